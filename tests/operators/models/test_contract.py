"""What every model promises, asked of each of grym's own."""

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.models import Model
from operators.models.protocol import WindowsError

RATE = 44_100
Signal = NDArray[np.float64]
everyone = pytest.mark.parametrize("name", ["aisfx", "aisfx_plain", "logmel"])
identifying = pytest.mark.parametrize("name", ["aisfx", "logmel"])


def pluck(rng: np.random.Generator) -> Signal:
    time, base = np.arange(RATE) / RATE, np.exp(rng.uniform(np.log(90), np.log(900)))
    orders = np.arange(1, 10)
    decay = np.exp(-time[:, None] * orders * rng.uniform(1.5, 6.0))
    tones = np.sin(2 * np.pi * base * orders * time[:, None])
    return np.asarray((tones * decay * orders ** -rng.uniform(0.5, 1.5)).sum(axis=1))


def bell(rng: np.random.Generator) -> Signal:
    time, base = np.arange(RATE) / RATE, np.exp(rng.uniform(np.log(300), np.log(2_500)))
    ratios = np.array([0.56, 0.92, 1.19, 1.71, 2.0, 2.74, 3.76]) * rng.uniform(0.9, 1.1, 7)
    decay = np.exp(-time[:, None] * rng.uniform(2.0, 12.0, 7))
    return np.asarray((np.sin(2 * np.pi * base * ratios * time[:, None]) * decay).sum(axis=1))


def hiss(rng: np.random.Generator) -> Signal:
    centre, octaves = np.exp(rng.uniform(np.log(300), np.log(9_000))), rng.uniform(0.3, 1.5)
    frequency = np.fft.rfftfreq(RATE, 1 / RATE)
    shape = np.exp(-0.5 * (np.log2(np.maximum(frequency, 1) / centre) / octaves * 2) ** 2)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(RATE)) * shape, RATE)
    return np.asarray(noise * np.exp(-np.arange(RATE) / RATE * rng.uniform(3.0, 20.0)))


def heard(sound: Signal, start_s: float, gain: float) -> Signal:
    start = int(start_s * RATE)
    return np.concatenate([np.zeros(start), gain * sound / np.abs(sound).max()])[:RATE]


def sounds(count: int, seed: int = 11) -> list[Signal]:
    makers = (pluck, bell, hiss)
    return [makers[i % 3](np.random.default_rng((seed, i))) for i in range(count)]


def batch(count: int) -> NDArray[np.float32]:
    return np.stack([heard(s, 0.1, 0.5) for s in sounds(count)]).astype(np.float32)


@everyone
def test_rows_are_finite_and_of_unit_length_silence_included(
    models: dict[str, Model], name: str
) -> None:
    windows = np.concatenate([batch(3), np.zeros((1, RATE), np.float32), batch(1) * 1e-20])
    vectors = models[name].embed(windows)
    assert vectors.shape == (5, models[name].dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@everyone
def test_no_windows_give_no_vectors(models: dict[str, Model], name: str) -> None:
    empty = np.zeros((0, RATE), dtype=np.float32)
    assert models[name].embed(empty).shape == (0, models[name].dimension)


@everyone
def test_a_vector_does_not_depend_on_the_company_it_was_computed_in(
    models: dict[str, Model], name: str
) -> None:
    model, windows = models[name], batch(11)
    together = model.embed(windows)
    alone = np.concatenate([model.embed(window[None]) for window in windows])
    shuffled = model.embed(windows[::-1].copy())[::-1]
    assert (together * alone).sum(axis=1).min() >= 0.9999
    assert (together * shuffled).sum(axis=1).min() >= 0.9999
    assert np.array_equal(model.embed(windows), together)


@identifying
def test_gain_changes_nothing(models: dict[str, Model], name: str) -> None:
    windows = batch(4)
    quiet = models[name].embed(windows * np.float32(0.003))
    assert (quiet * models[name].embed(windows)).sum(axis=1).min() >= 0.999


@everyone
def test_a_window_with_nan_gives_nan_and_its_companions_stay(
    models: dict[str, Model], name: str
) -> None:
    windows = batch(3)
    clean = models[name].embed(windows)
    windows[1, 7] = np.nan
    found = models[name].embed(windows)
    assert np.isnan(found[1]).all()
    assert (found[[0, 2]] * clean[[0, 2]]).sum(axis=1).min() >= 0.9999


@everyone
def test_half_and_double_windows_have_vectors_too(models: dict[str, Model], name: str) -> None:
    windows = batch(2)
    for other in (windows[:, : RATE // 2], np.concatenate([windows, windows], axis=1)):
        assert np.isfinite(models[name].embed(other)).all()


@everyone
def test_windows_too_short_to_say_anything_are_refused(models: dict[str, Model], name: str) -> None:
    with pytest.raises(WindowsError, match="1024 samples: this model needs"):
        models[name].embed(np.ones((1, 1024), dtype=np.float32))


@identifying
def test_the_same_sound_is_found_again_shifted_quieter_and_in_noise(
    models: dict[str, Model], name: str
) -> None:
    dry, rng = sounds(36), np.random.default_rng(3)
    gallery = models[name].embed(
        np.stack([heard(sound, 0.05, 0.5) for sound in dry]).astype(np.float32)
    )
    queries = []
    for sound in dry:
        query = heard(sound, rng.uniform(0.05, 0.4), 0.5 * 10 ** (rng.uniform(-30, 0) / 20))
        noise = rng.standard_normal(RATE) * np.sqrt(np.mean(query**2)) * 10 ** (-20 / 20)
        queries.append(query + noise)
    cosine = models[name].embed(np.stack(queries).astype(np.float32)) @ gallery.T
    found = cosine.argmax(axis=1) == np.arange(len(dry))
    assert found.mean() > 0.9
    others = cosine[~np.eye(len(dry), dtype=bool)]
    assert np.median(np.diag(cosine)) > np.quantile(others, 0.99)
