from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor, AutoModel

from operators.models import configure, load
from operators.models.protocol import ModelConfigError
from operators.models.wav2vec2 import Waveform, normalised, receptive_field
from tests.plugins.folders import LAYER_NORM, save_tiny

KINDS = ("data2vec", "hubert", "wav2vec2", "wavlm")
RATE = 16_000
everyone = pytest.mark.parametrize("kind", KINDS)
Rows = NDArray[np.float32]
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
"""Of transformers' WavLM where it is given a mask; the model never gives it one."""


def opened(kind: str, folder: Path, **options: Any) -> Waveform:
    config = configure(kind, weights=folder, dtype="float32", device="cpu", **options)
    model = load(kind, config)
    assert isinstance(model, Waveform)
    return model


def waves(count: int, samples: int = RATE) -> Rows:
    rng, time = np.random.default_rng(3), np.arange(samples) / RATE
    pitch = np.exp(rng.uniform(np.log(100), np.log(3_000), (count, 1)))
    tones = 0.4 * np.sin(2 * np.pi * pitch * time) * np.exp(-4 * time) + 0.1
    return np.asarray(tones + 0.01 * rng.standard_normal((count, samples)), np.float32)


def unit(rows: torch.Tensor) -> Rows:
    return np.asarray(torch.nn.functional.normalize(rows, dim=1).numpy())


def reference(folder: Path, windows: Rows, layer: int | None = None) -> Rows:
    """What a user of transformers would write."""
    network = AutoModel.from_pretrained(folder)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    heard = extractor(list(windows), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        found = network(**heard, output_hidden_states=True)
    frames = found.last_hidden_state if layer is None else found.hidden_states[layer]
    return unit(frames.mean(dim=1))


@pytest.fixture(scope="module", params=["hubert", "wav2vec2", "wavlm"])
def layer_norm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """The variants that normalise by layer instead of over time."""
    kind = request.param
    folder = tmp_path_factory.mktemp("layer-norm") / kind
    return kind, save_tiny(kind, folder, **LAYER_NORM)


@everyone
def test_it_is_what_transformers_computes(kind: str, tiny_models: Callable[[str], Path]) -> None:
    folder = tiny_models(kind)
    found = opened(kind, folder).embed(waves(5))
    assert np.allclose(found, reference(folder, waves(5)), atol=2e-5)


def test_layer_norm_variants_are_what_transformers_computes(layer_norm: tuple[str, Path]) -> None:
    kind, folder = layer_norm
    assert np.allclose(opened(kind, folder).embed(waves(3)), reference(folder, waves(3)), atol=2e-5)


@everyone
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_any_layer_can_be_chosen(kind: str, layer: int, tiny_models: Callable[[str], Path]) -> None:
    folder = tiny_models(kind)
    found = opened(kind, folder, layer=layer).embed(waves(3))
    assert np.allclose(found, reference(folder, waves(3), layer), atol=2e-5)


def test_layers_below_the_last_come_before_the_final_norm(layer_norm: tuple[str, Path]) -> None:
    kind, folder = layer_norm
    for layer in (0, 1):
        found = opened(kind, folder, layer=layer).embed(waves(3))
        assert np.allclose(found, reference(folder, waves(3), layer), atol=2e-5)


def test_the_last_layer_is_the_default(layer_norm: tuple[str, Path]) -> None:
    kind, folder = layer_norm
    default, chosen = opened(kind, folder), opened(kind, folder, layer=2)
    assert chosen.space == default.space
    assert np.array_equal(chosen.embed(waves(3)), default.embed(waves(3)))


def test_layers_above_the_chosen_one_are_not_computed(tiny_models: Callable[[str], Path]) -> None:
    assert len(opened("wavlm", tiny_models("wavlm"), layer=1).network.encoder.layers) == 1


@pytest.mark.parametrize(("layer", "said"), [(-1, "give 0 or more"), (3, "has layers 0 to 2")])
def test_a_layer_that_is_not_there(
    layer: int, said: str, tiny_models: Callable[[str], Path]
) -> None:
    with pytest.raises(ModelConfigError, match=rf"layer = {layer}: .*{said}"):
        opened("hubert", tiny_models("hubert"), layer=layer)


def test_an_adapter_on_top_is_part_of_the_last_layer_and_of_no_other(tmp_path: Path) -> None:
    folder = save_tiny("wav2vec2", tmp_path, add_adapter=True, output_hidden_size=24)
    whole = opened("wav2vec2", folder)
    assert whole.dimension == 24
    assert np.allclose(whole.embed(waves(2)), reference(folder, waves(2)), atol=2e-5)
    lower = opened("wav2vec2", folder, layer=1)
    assert lower.dimension == 32
    assert np.allclose(lower.embed(waves(2)), reference(folder, waves(2), 1), atol=2e-5)


def test_gain_and_offset_change_nothing_where_windows_are_normalised(
    tiny_models: Callable[[str], Path],
) -> None:
    model = opened("hubert", tiny_models("hubert"))
    moved = model.embed(np.float32(0.03) * waves(4) + np.float32(0.2))
    assert (moved * model.embed(waves(4))).sum(axis=1).min() > 0.999


def test_windows_are_normalised_as_the_extractor_does() -> None:
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    windows = np.concatenate([waves(3), np.zeros((1, RATE), np.float32), 1e-5 * waves(1)])
    expected = np.stack(extractor(list(windows), sampling_rate=RATE)["input_values"])
    assert np.abs(normalised(torch.from_numpy(windows)).numpy() - expected).max() < 1e-4


def padded(model: Waveform, window: Rows, to: int) -> Rows:
    """The vector that transformers' padding and mask would give a window in longer company."""
    heard = torch.zeros(1, to)
    heard[0, : len(window)] = normalised(torch.from_numpy(window)[None])[0]
    mask = (torch.arange(to) < len(window)).long()[None]
    with torch.inference_mode():
        frames = model.network(heard, attention_mask=mask).last_hidden_state
    valid = int(model.network._get_feat_extract_output_lengths(len(window)))
    return unit(frames[:, :valid].mean(dim=1))[0]


def test_padding_would_change_nothing_in_layer_norm_variants(layer_norm: tuple[str, Path]) -> None:
    model = opened(*layer_norm)
    window = waves(1)[0]
    assert float(padded(model, window, 3 * RATE) @ model.embed(window[None])[0]) > 0.99999


@pytest.mark.parametrize("kind", ["hubert", "wav2vec2", "wavlm"])
def test_padding_would_change_group_norm_variants_hence_one_length_a_batch(
    kind: str, tiny_models: Callable[[str], Path]
) -> None:
    model = opened(kind, tiny_models(kind))
    window = waves(1)[0]
    assert float(padded(model, window, 3 * RATE) @ model.embed(window[None])[0]) < 0.999


def test_padding_would_leak_into_data2vec_through_its_stack_of_position_convolutions(
    tiny_models: Callable[[str], Path],
) -> None:
    """A layer-norm variant, too; but only the first of its five convolutions meets zeros."""
    model = opened("data2vec", tiny_models("data2vec"))
    window = waves(1)[0]
    assert float(padded(model, window, 3 * RATE) @ model.embed(window[None])[0]) < 0.9999


def test_the_receptive_field_is_the_shortest_window_with_a_frame() -> None:
    config = transformers.Wav2Vec2Config()
    network = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(num_hidden_layers=0))
    assert receptive_field(config) == 400
    assert int(network._get_feat_extract_output_lengths(400)) == 1
    assert int(network._get_feat_extract_output_lengths(399)) == 0
