import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

from operators.models import configure, fbank, load
from operators.models.ast import Ast
from operators.models.protocol import BadWeightsError
from tests.plugins.folders import edit_json, save_tiny

RATE = 16_000
COLUMNS, BANDS = 50, 12
"""Patches of the tiny network: 512 frames by 128 bins in patches of 16, 10 apart."""
Rows = NDArray[np.float32]
pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter")


@pytest.fixture(scope="module")
def folder(tiny_models: Callable[[str], Path]) -> Path:
    return tiny_models("ast")


def opened(folder: Path, **options: Any) -> Ast:
    model = load("ast", configure("ast", weights=folder, dtype="float32", device="cpu", **options))
    assert isinstance(model, Ast)
    return model


def waves(count: int, samples: int) -> Rows:
    rng, time = np.random.default_rng(4), np.arange(samples) / RATE
    pitch = np.exp(rng.uniform(np.log(100), np.log(3_000), (count, 1)))
    tones = 0.4 * np.sin(2 * np.pi * pitch * time) * np.exp(-4 * time)
    return np.asarray(tones + 0.01 * rng.standard_normal((count, samples)), np.float32)


def cut_to(folder: Path, columns: int) -> tuple[ASTModel, ASTFeatureExtractor]:
    """Transformers' own network and extractor for fewer columns of patches."""
    frames = (columns - 1) * 10 + 16
    whole = ASTModel.from_pretrained(folder)
    tensors = whole.state_dict()
    name = "embeddings.position_embeddings"
    tokens, grid = tensors[name][:, :2], tensors[name][:, 2:].reshape(1, BANDS, COLUMNS, -1)
    tensors[name] = torch.cat([tokens, grid[:, :, :columns].flatten(1, 2)], dim=1)
    network = ASTModel(ASTConfig.from_pretrained(folder, max_length=frames)).eval()
    network.load_state_dict(tensors)
    return network, ASTFeatureExtractor.from_pretrained(folder, max_length=frames)


@pytest.mark.parametrize(
    ("samples", "columns"),
    [(16_000, 10), (8_000, 5), (2_800, 1), (2_801, 1), (5_000, 3), (81_000, 50), (82_319, 50)],
)
def test_it_is_what_transformers_computes_for_windows_of_that_length(
    folder: Path, samples: int, columns: int
) -> None:
    network, extractor = cut_to(folder, columns)
    windows = waves(3, samples)
    heard = extractor(list(windows), sampling_rate=RATE, return_tensors="pt")["input_values"]
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(network(heard).pooler_output, dim=1)
    model = opened(folder)
    assert (model.spectrograms(torch.from_numpy(windows)) - heard).abs().max() < 0.002
    assert np.abs(model.embed(windows) - expected.numpy()).max() < 0.001


def test_ten_seconds_of_padding_are_another_matter(folder: Path) -> None:
    """Why the position embeddings are cut: the padding would be most of what is heard."""
    windows = waves(1, RATE)
    extractor = ASTFeatureExtractor.from_pretrained(folder)
    heard = extractor(list(windows), sampling_rate=RATE, return_tensors="pt")["input_values"]
    with torch.inference_mode():
        padded = ASTModel.from_pretrained(folder)(heard).pooler_output
    cosine = torch.nn.functional.normalize(padded, dim=1).numpy() @ opened(folder).embed(windows).T
    assert cosine[0, 0] < 0.99


def test_a_window_is_covered_by_whole_columns_to_its_end(folder: Path) -> None:
    """98 frames of one second: nine columns would leave out the last two frames."""
    found = opened(folder).spectrograms(torch.zeros(2, RATE))
    assert found.shape == (2, 106, 128)
    assert torch.allclose(found[0, 97], (torch.tensor(fbank.FLOOR).log() + 4.2677393) / 9.1379948)
    assert torch.allclose(found[0, 98:], torch.tensor(4.2677393 / 9.1379948))


def test_the_configured_length_of_windows_changes_no_vector(folder: Path) -> None:
    windows = waves(2, RATE)
    one, other = opened(folder), opened(folder, window_s=3.0)
    assert one.space == other.space
    assert np.array_equal(one.embed(windows), other.embed(windows))


def test_the_statistics_of_the_extractor_are_used_and_named(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    file = copy / "preprocessor_config.json"
    told = json.loads(file.read_text())
    seen: dict[str, Rows] = {opened(folder).space: opened(folder).embed(waves(1, RATE))}
    for change in ({"mean": 1.5}, {"std": 2.0}, {"do_normalize": False}):
        file.write_text(json.dumps(told | change))
        model = opened(copy)
        found = model.embed(waves(1, RATE))
        assert model.space not in seen
        assert all(np.abs(found - other).max() > 1e-3 for other in seen.values())
        seen[model.space] = found


def test_an_extractor_of_other_bins_than_the_network_is_refused(tmp_path: Path) -> None:
    save_tiny("ast", tmp_path)
    file = tmp_path / "preprocessor_config.json"
    edit_json(file, num_mel_bins=64)
    with pytest.raises(BadWeightsError, match="num_mel_bins is 128, expected 64"):
        opened(tmp_path)
