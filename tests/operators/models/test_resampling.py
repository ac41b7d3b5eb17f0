import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from operators.models.protocol import ModelConfigError
from operators.models.resampling import Resampler

CPU = torch.device("cpu")
USUAL = [(44_100, 16_000), (44_100, 48_000), (44_100, 22_050), (48_000, 44_100), (8_000, 44_100)]
usual = pytest.mark.parametrize(("from_hz", "to_hz"), USUAL)
Signal = NDArray[np.float64]


def band_limited(from_hz: int, to_hz: int) -> tuple[Signal, Signal]:
    """The same second of noise below 0.4 of the lower rate, at both rates, exactly."""
    spectrum = np.fft.rfft(np.random.default_rng(from_hz).standard_normal(from_hz))
    spectrum[int(0.4 * min(from_hz, to_hz)) :] = 0.0
    other = np.zeros(to_hz // 2 + 1, dtype=complex)
    shared = min(len(spectrum), len(other))
    other[:shared] = spectrum[:shared]
    return np.fft.irfft(spectrum, from_hz), np.fft.irfft(other, to_hz) * to_hz / from_hz


def resampled(windows: NDArray[np.floating], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    given = torch.from_numpy(np.atleast_2d(windows).astype(np.float32))
    return np.asarray(Resampler(from_hz, to_hz, CPU)(given).numpy())


@usual
def test_what_passes_is_exact_to_the_last_bits_of_float32(from_hz: int, to_hz: int) -> None:
    given, expected = band_limited(from_hz, to_hz)
    found = resampled(given, from_hz, to_hz)[0]
    inner = slice(to_hz // 10, -to_hz // 10)  # beyond the ends the signal goes on, a window is zero
    error = np.sqrt(np.mean((found - expected)[inner] ** 2) / np.mean(expected**2))
    assert error < 1e-6


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44_100, 16_000), (48_000, 44_100)])
def test_what_the_lower_rate_cannot_hold_is_gone(from_hz: int, to_hz: int) -> None:
    time = np.arange(from_hz) / from_hz
    tone = np.sin(2 * np.pi * 1.1 * (to_hz / 2) * time)
    inner = slice(to_hz // 10, -to_hz // 10)
    found = resampled(tone, from_hz, to_hz)[0, inner]
    assert 20 * np.log10(np.sqrt(2.0) * found.std()) < -100.0


@usual
def test_the_first_sample_stays_the_first(from_hz: int, to_hz: int) -> None:
    time = np.arange(from_hz // 10) / from_hz
    click = np.exp(-0.5 * ((time - 0.05) * 2_000) ** 2)
    found = resampled(click, from_hz, to_hz)[0]
    assert abs(found.argmax() / to_hz - 0.05) <= 0.5 / to_hz + 1e-9


@given(
    st.sampled_from(USUAL),
    st.integers(1, 3),
    st.integers(1, 3_000),
)
@settings(deadline=None, max_examples=50)
def test_every_length_comes_out_as_announced_and_windows_do_not_mix(
    rates: tuple[int, int], count: int, samples: int
) -> None:
    resample = Resampler(*rates, CPU)
    windows = np.random.default_rng(samples).standard_normal((count, samples)).astype(np.float32)
    found = resample(torch.from_numpy(windows))
    length = -(-samples * rates[1] // rates[0])
    assert found.shape == (count, length)
    assert resample.length(samples) == length
    alone = torch.cat([resample(row[None]) for row in torch.from_numpy(windows)])
    assert torch.allclose(found, alone, atol=1e-5)


def test_the_end_of_a_window_does_not_change_its_beginning() -> None:
    windows = np.random.default_rng(5).standard_normal((1, 44_100)).astype(np.float32)
    whole, half = (resampled(part, 44_100, 16_000) for part in (windows, windows[:, :22_050]))
    assert np.allclose(whole[:, :7_900], half[:, :7_900], atol=1e-5)


def test_rates_without_a_common_measure_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(ModelConfigError, match="44100 Hz cannot be converted to 44099 Hz"):
        Resampler(44_100, 44_099, CPU)


def test_everything_is_on_the_device_of_the_model() -> None:
    there = torch.device("meta")
    found = Resampler(44_100, 16_000, there)(torch.zeros(2, 44_100, device=there))
    assert found.device == there
    assert found.shape == (2, 16_000)
