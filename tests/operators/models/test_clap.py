import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import ClapFeatureExtractor, ClapModel, RobertaTokenizer

from operators.models import configure, load
from operators.models.clap import Clap
from operators.models.protocol import BadWeightsError, Dtype, ModelError, WeightsMissingError
from tests.plugins.folders import edit_json, save_tiny

RATE = 48_000
TEXTS = ["a dog barks", "rain on a tin roof, far away", "Säge"]
Rows = NDArray[np.float32]


@pytest.fixture
def folder(tiny_models: Callable[[str], Path], tmp_path: Path) -> Path:
    """A CLAP to damage."""
    return Path(shutil.copytree(tiny_models("clap"), tmp_path / "model"))


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("clap", tmp_path_factory.mktemp("fused"), enable_fusion=True)


def opened(folder: Path, dtype: Dtype = "float32") -> Clap:
    model = load("clap", configure("clap", weights=folder, dtype=dtype, device="cpu"))
    assert isinstance(model, Clap)
    return model


def waves(count: int, samples: int) -> Rows:
    rng, time = np.random.default_rng(6), np.arange(samples) / RATE
    pitch = np.exp(rng.uniform(np.log(100), np.log(9_000), (count, 1)))
    tones = 0.4 * np.sin(2 * np.pi * pitch * time) * np.exp(-4 * time)
    return np.asarray(tones + 0.01 * rng.standard_normal((count, samples)), np.float32)


def heard_by_transformers(folder: Path, windows: Rows) -> Rows:
    extractor = ClapFeatureExtractor.from_pretrained(folder)
    heard = extractor(list(windows), sampling_rate=RATE, return_tensors="pt")
    heard["is_longer"][:] = False  # the extractor sets one at random
    with torch.inference_mode():
        found = ClapModel.from_pretrained(folder).get_audio_features(**heard)
    return np.asarray(found.pooler_output.numpy())


@pytest.mark.parametrize("samples", [RATE, 33_333, 4 * RATE])
def test_sounds_are_what_transformers_computes(folder: Path, samples: int) -> None:
    windows = waves(3, samples)
    found = opened(folder).embed(windows)
    assert np.abs(found - heard_by_transformers(folder, windows)).max() < 1e-4


def test_fusion_checkpoints_are_what_transformers_computes(fused: Path) -> None:
    windows = waves(3, RATE)
    found = opened(fused).embed(windows)
    assert np.abs(found - heard_by_transformers(fused, windows)).max() < 1e-4


def test_a_fusion_network_with_an_extractor_that_crops_is_heard_as_well(
    fused: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(fused, tmp_path / "copy"))
    edit_json(copy / "preprocessor_config.json", truncation="rand_trunc")
    windows = waves(2, RATE)
    found = opened(copy).embed(windows)
    assert np.abs(found - heard_by_transformers(copy, windows)).max() < 1e-4


def test_tensors_that_follow_from_the_configuration_may_be_missing_or_be_there(
    folder: Path,
) -> None:
    """Published checkpoints come from years of versions, which saved other ones of them."""
    model, tensors = opened(folder), load_file(folder / "model.safetensors")
    lean = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    assert len(lean) < len(tensors)
    for kept in (lean, lean | {"audio_model.audio_encoder.position_ids": torch.arange(9)}):
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        found = opened(folder)
        assert found.space == model.space
        assert np.array_equal(found.embed(waves(1, RATE)), model.embed(waves(1, RATE)))
        assert np.array_equal(found.embed_text(TEXTS), model.embed_text(TEXTS))


def test_texts_are_what_transformers_computes_padding_or_not(folder: Path) -> None:
    words = RobertaTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = ClapModel.from_pretrained(folder).get_text_features(**words).pooler_output
    found = opened(folder).embed_text(TEXTS)
    assert found.dtype == np.float32
    assert np.abs(found - expected.numpy()).max() < 1e-5


def test_texts_are_of_unit_length_and_depend_on_no_companion(folder: Path) -> None:
    model = opened(folder)
    together = model.embed_text(TEXTS)
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(together[1:2], model.embed_text(TEXTS[1:2]))
    assert model.embed_text([]).shape == (0, 32)


def test_bfloat16_keeps_texts_in_their_space(folder: Path) -> None:
    fine, coarse = opened(folder).embed_text(TEXTS), opened(folder, "bfloat16").embed_text(TEXTS)
    assert (fine * coarse).sum(axis=1).min() > 0.999


def test_levels_reach_the_network_in_float32_whatever_its_arithmetic(folder: Path) -> None:
    """A quarter of a decibel is a bfloat16 at -60 dB; only the layer after it is coarse."""
    fine = opened(folder).network.audio_model.audio_encoder.batch_norm
    coarse = opened(folder, "bfloat16").network.audio_model.audio_encoder.batch_norm
    levels = torch.linspace(-100, 20, 32 * 11).reshape(1, 32, 11, 1)
    assert fine(levels).dtype == torch.float32
    assert torch.equal(coarse(levels), fine(levels).to(torch.bfloat16))


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_text_without_words_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(ModelError, match="without words: say what it sounds like"):
        opened(folder).embed_text(["a dog", text])


def test_a_text_that_would_be_cut_off_is_refused(folder: Path) -> None:
    model = opened(folder)
    assert model.embed_text(["x" * 62]).shape == (1, 32)
    with pytest.raises(ModelError, match="a text of 65 tokens: clap reads 64; say it shorter"):
        model.embed_text(["x" * 63])


def test_listening_needs_no_tokenizer_and_searching_says_that_it_does(folder: Path) -> None:
    expected = opened(folder).embed(waves(1, RATE))
    (folder / "tokenizer.json").unlink()
    model = opened(folder)
    assert np.array_equal(model.embed(waves(1, RATE)), expected)
    with pytest.raises(WeightsMissingError, match=r"no tokenizer\.json there; .* search by words"):
        model.embed_text(TEXTS)


def test_a_damaged_tokenizer_is_one_line(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(BadWeightsError, match=r"tokenizer\.json: cannot be read as a tokenizer"):
        opened(folder).embed_text(TEXTS)


def test_a_tokenizer_of_vocabulary_and_merges_will_do(folder: Path) -> None:
    expected = opened(folder).embed_text(TEXTS)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    assert np.array_equal(opened(folder).embed_text(TEXTS), expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"feature_size": 64}, "num_mel_bins is 32, expected 64"),
        ({"truncation": "fusion"}, "truncation is 'fusion', the network has no fusion"),
        ({"padding": "reflect"}, "padding is 'reflect', expected repeatpad, repeat, pad"),
        ({"nb_max_samples": 480_000, "max_length_s": 10}, "1001 frames, the network takes 512"),
        ({"sampling_rate": 44_100}, "sampling_rate is 44100, expected 48000"),
    ],
)
def test_an_extractor_that_does_not_fit_the_network_is_refused(
    folder: Path, change: dict[str, Any], said: str
) -> None:
    edit_json(folder / "preprocessor_config.json", **change)
    with pytest.raises(BadWeightsError, match=said):
        opened(folder)
