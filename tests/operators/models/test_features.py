import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from operators.models.features import (
    Cepstra,
    MelLevels,
    limited_db,
    moments,
    motion,
    power_spectra,
    soft_limited,
    unit,
)
from operators.spectrum import mel_filterbank

RATE = 44_100


def chirp() -> NDArray[np.float32]:
    time = np.arange(RATE) / RATE
    return (0.3 * np.sin(2 * np.pi * (200.0 * time + 4_000.0 * time**2))).astype(np.float32)


def reference_levels(samples: NDArray[np.float32], bands: int) -> NDArray[np.float64]:
    """The front end as its description reads, frame by frame in float64."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2047)
    padded = np.concatenate([np.zeros(1024), samples.astype(np.float64), np.zeros(1024)])
    starts = range(0, len(padded) - 2047, 1024)
    power = np.stack([np.abs(np.fft.rfft(padded[s : s + 2048] * window)) ** 2 for s in starts])
    mel = power @ mel_filterbank(bands=bands, n_fft=2048, rate_hz=RATE).T
    return np.asarray(mel / mel.max())


@pytest.mark.parametrize("bands", [96, 64])
def test_levels_are_those_of_the_description(bands: int) -> None:
    levels = MelLevels(bands)(power_spectra(torch.from_numpy(chirp()[None])))[0]
    expected = reference_levels(chirp(), bands)
    assert levels.shape == (44, bands)
    assert np.allclose(levels, expected, rtol=1e-3, atol=1e-6)
    soft = soft_limited(levels).numpy()
    assert np.abs(soft - np.log10(1e4 * expected + 1)).max() < 1e-3


@pytest.mark.parametrize("gain", [1e-30, 1e-4, 1.0, 32_768.0, 1e25])
def test_levels_do_not_depend_on_gain(gain: float) -> None:
    mel = MelLevels(64)
    loud = limited_db(mel(power_spectra(torch.from_numpy(chirp()[None]))))
    faint = limited_db(mel(power_spectra(torch.from_numpy(chirp()[None] * np.float32(gain)))))
    assert (loud - faint).abs().max() < 0.01
    assert loud.max() == pytest.approx(40.0, abs=1e-3)
    assert loud.min() == 0.0


def test_silence_lies_at_the_limit() -> None:
    levels = MelLevels(64)(power_spectra(torch.zeros(2, RATE)))
    assert not limited_db(levels).any()
    assert not soft_limited(levels).any()


def test_cepstra_are_an_orthonormal_transform() -> None:
    levels = torch.rand(2, 5, 16, generator=torch.Generator().manual_seed(1))
    cepstra = Cepstra(16, 16)(levels)
    assert torch.allclose(cepstra.norm(dim=2), levels.norm(dim=2), atol=1e-5)
    flat = Cepstra(4, 16)(torch.ones(1, 1, 16))
    assert torch.allclose(flat[0, 0], torch.tensor([4.0, 0.0, 0.0, 0.0]), atol=1e-6)


def test_statistics_are_mean_deviation_and_deviation_of_the_difference() -> None:
    track = torch.tensor([[[0.0, 1.0], [2.0, 1.0], [0.0, 1.0], [2.0, 1.0]]])
    assert moments(track).tolist() == [[1.0, 1.0, 1.0, 0.0]]
    assert motion(track)[0, 0] == pytest.approx(np.std([2.0, -2.0, 2.0]))
    assert motion(track)[0, 1] == 0.0


def test_unit_rows_have_length_one_and_zero_stays_zero() -> None:
    rows = unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
