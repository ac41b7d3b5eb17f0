"""What every model that transformers brings promises, asked of each, in folders of its own kind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from operators.models import Model, configure, load
from operators.models.protocol import (
    Dtype,
    ModelConfigError,
    TextModel,
    WeightsMissingError,
    WindowsError,
)

RATE = 44_100
KINDS = ("ast", "clap", "data2vec", "hubert", "wav2vec2", "wavlm")
everyone = pytest.mark.parametrize("name", KINDS)
Load = Callable[..., Model]


@pytest.fixture(scope="module")
def loaded(tiny_models: Callable[[str], Path]) -> Load:
    """A tiny model, loaded once in each arithmetic."""
    cache: dict[tuple[str, Dtype], Model] = {}

    def one(name: str, dtype: Dtype = "float32") -> Model:
        if (name, dtype) not in cache:
            config = configure(name, weights=tiny_models(name), dtype=dtype, device="cpu")
            cache[name, dtype] = load(name, config)
        return cache[name, dtype]

    return one


def sounds(count: int, samples: int = RATE) -> NDArray[np.float32]:
    """Decaying harmonic tones in noise, each of its own pitch and pace."""
    rows, time = [], np.arange(samples) / RATE
    for i in range(count):
        rng = np.random.default_rng((2, i))
        base, pace = np.exp(rng.uniform(np.log(80), np.log(2_000))), rng.uniform(1, 9)
        tones = sum(np.sin(2 * np.pi * base * k * time) / k for k in (1, 2, 3, 5))
        rows.append(0.2 * tones * np.exp(-pace * time) + 0.01 * rng.standard_normal(samples))
    return np.stack(rows).astype(np.float32)


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((one * other).sum(axis=1))


@everyone
def test_it_keeps_the_protocol_and_says_that_it_is_untrained(loaded: Load, name: str) -> None:
    model = loaded(name)
    assert isinstance(model, Model)
    assert isinstance(model, TextModel) == (name == "clap")
    assert (model.name, model.device, model.dtype) == (name, "cpu", "float32")
    assert model.space.startswith(f"{name}-")
    assert model.space.endswith("-32")
    assert not model.trained


@everyone
def test_rows_are_of_unit_length_silence_included_and_different_sounds_differ(
    loaded: Load, name: str
) -> None:
    windows = np.concatenate([sounds(4), np.zeros((1, RATE), np.float32), sounds(1) * 1e-20])
    vectors = loaded(name).embed(windows, RATE)
    assert vectors.shape == (6, 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    between = vectors[:4] @ vectors[:4].T
    assert between[~np.eye(4, dtype=bool)].max() < 0.99999


@everyone
def test_no_windows_give_no_vectors(loaded: Load, name: str) -> None:
    assert loaded(name).embed(np.zeros((0, RATE), np.float32), RATE).shape == (0, 32)


@everyone
@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.99999), ("bfloat16", 0.999)])
def test_a_vector_does_not_depend_on_the_company_it_was_computed_in(
    loaded: Load, name: str, dtype: Dtype, least: float
) -> None:
    model, windows = loaded(name, dtype), sounds(11)
    together = model.embed(windows, RATE)
    alone = np.concatenate([model.embed(window[None], RATE) for window in windows])
    shuffled = model.embed(windows[::-1].copy(), RATE)[::-1]
    assert cosines(together, alone).min() >= least
    assert cosines(together, shuffled).min() >= least


@everyone
def test_the_same_windows_give_the_same_bits(
    loaded: Load, tiny_models: Callable[[str], Path], name: str
) -> None:
    model, windows = loaded(name), sounds(5)
    again = load(name, configure(name, weights=tiny_models(name), dtype="float32", device="cpu"))
    assert np.array_equal(model.embed(windows, RATE), model.embed(windows, RATE))
    assert np.array_equal(model.embed(windows, RATE), again.embed(windows, RATE))
    assert model.space == again.space


@everyone
def test_bfloat16_lives_in_the_same_space(loaded: Load, name: str) -> None:
    fine, coarse = loaded(name), loaded(name, "bfloat16")
    assert coarse.dtype == "bfloat16"
    assert coarse.space == fine.space
    assert cosines(fine.embed(sounds(6), RATE), coarse.embed(sounds(6), RATE)).min() > 0.999


@everyone
def test_a_window_with_nan_gives_nan_and_its_companions_stay(loaded: Load, name: str) -> None:
    model, windows = loaded(name), sounds(3)
    clean = model.embed(windows, RATE)
    windows[1, 7] = np.nan
    found = model.embed(windows, RATE)
    assert np.isnan(found[1]).all()
    assert cosines(found[[0, 2]], clean[[0, 2]]).min() >= 0.99999


@everyone
def test_the_rate_is_converted_as_a_resampler_of_files_would(loaded: Load, name: str) -> None:
    """For what lies below 6 kHz: no two resamplers agree on the last eighth below 8 kHz."""
    model = loaded(name)
    windows = np.stack([soxr.resample(w, 12_000, RATE) for w in sounds(6, 12_000)])
    resampled = np.stack([soxr.resample(w, RATE, model.sample_rate_hz) for w in windows])
    found = model.embed(windows, RATE)
    assert cosines(found, model.embed(resampled)).min() > 0.9999


@everyone
def test_windows_of_other_lengths_have_vectors_too(loaded: Load, name: str) -> None:
    for samples in (RATE // 4, RATE // 2, 2 * RATE, 70_001):
        vectors = loaded(name).embed(sounds(2, samples), RATE)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@everyone
def test_batches_of_another_shape_are_refused(loaded: Load, name: str) -> None:
    with pytest.raises(WindowsError, match=r"windows of shape \(9,\)"):
        loaded(name).embed(np.zeros(9, np.float32))


@pytest.mark.parametrize(
    ("name", "samples", "least"),
    [("ast", 2_799, 2_800), ("wav2vec2", 399, 400), ("data2vec", 399, 400), ("clap", 0, 1)],
)
def test_windows_too_short_for_the_network_are_refused(
    loaded: Load, name: str, samples: int, least: int
) -> None:
    model = loaded(name)
    with pytest.raises(WindowsError, match=f"{samples} samples: this model needs {least}"):
        model.embed(np.zeros((1, samples), np.float32))
    assert np.isfinite(model.embed(np.ones((1, least), np.float32))).all()


@pytest.mark.parametrize(("name", "most"), [("ast", 82_319), ("clap", 192_000)])
def test_windows_longer_than_the_network_hears_are_refused(
    loaded: Load, name: str, most: int
) -> None:
    model = loaded(name)
    with pytest.raises(WindowsError, match=f"{most + 1} samples: this model hears {most} at most"):
        model.embed(np.zeros((1, most + 1), np.float32))
    assert np.isfinite(model.embed(np.ones((1, most), np.float32))).all()
    longest_s = most / model.sample_rate_hz
    with pytest.raises(WindowsError, match=f"hears {most} at most"):
        model.embed(np.zeros((1, int((longest_s + 0.01) * RATE)), np.float32), RATE)


@pytest.mark.parametrize(
    ("name", "window_s", "said"),
    [
        ("ast", 0.1, "window_s = 0.1: ast needs 0.175 s or more"),
        ("ast", 6.0, "window_s = 6: ast hears 5.145 s at most"),
        ("clap", 5.0, "window_s = 5: clap hears 4 s at most"),
        ("hubert", 0.01, "window_s = 0.01: hubert needs 0.025 s or more"),
    ],
)
def test_windows_that_will_not_fit_are_refused_before_weights_are_read(
    tiny_models: Callable[[str], Path], name: str, window_s: float, said: str
) -> None:
    with pytest.raises(ModelConfigError, match=said):
        load(name, configure(name, weights=tiny_models(name), window_s=window_s))


@everyone
def test_without_a_folder_it_says_what_to_set(name: str) -> None:
    with pytest.raises(WeightsMissingError, match=rf"not found: set path of \[models.{name}\]"):
        load(name)
