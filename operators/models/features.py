"""The spectral front ends of the models, in batched torch: limited mel levels and their statistics.

Levels are relative to the loudest cell of their own window and limited to 40 dB below it: a model
then hears the sound and not the room behind it, and gain changes nothing. (Of all remedies against
noise that were measured, limiting the range was the one that helped; subtracting the noise harmed.)

Invariant: every window is treated alone; its features depend on its companions by no more than the
last bits of a matrix product. Silence has features too: every level at the limit.
"""

import math
from functools import cache

import torch
from torch import Tensor

from operators.records import ANALYSIS_RATE_HZ, HOP_SAMPLES
from operators.spectrum import mel_filterbank

N_FFT = 2_048
RANGE_DB = 40.0
FRONT_END = f"{ANALYSIS_RATE_HZ} Hz, hann {N_FFT}, hop {HOP_SAMPLES}, centred, htk mel, 40 dB, v1"
"""Enters the fingerprint of every space; change the arithmetic below and change the version."""
_RANGE = 10.0 ** (RANGE_DB / 10.0)
_TINY = 1e-30
_CPU = torch.device("cpu")


def power_spectra(windows: Tensor) -> Tensor:
    """Power spectra of windows, each scaled to a peak of 1 first.

    The scaling keeps very faint and very loud audio within the range of float32; what follows is
    relative to the loudest cell anyway.

    Args:
        windows: (n, samples) float32.

    Returns:
        (n, 1 + samples // hop, N_FFT / 2 + 1): symmetric Hann window, centred on every hop, the
        ends padded with zeros.
    """
    peak = windows.abs().amax(dim=1, keepdim=True)
    return absolute_power_spectra(torch.where(peak > 0, windows / peak, windows))


def absolute_power_spectra(windows: Tensor) -> Tensor:
    """Power spectra of windows at the level they have; shapes as for :func:`power_spectra`."""
    padded = torch.nn.functional.pad(windows, (N_FFT // 2, N_FFT // 2))
    frames: Tensor = padded.unfold(1, N_FFT, HOP_SAMPLES)
    spectra = torch.fft.rfft(frames * _hann(windows.device), dim=2)
    power: Tensor = spectra.real.square() + spectra.imag.square()
    return power


@cache
def _hann(device: torch.device) -> Tensor:
    window = torch.hann_window(N_FFT, periodic=False, dtype=torch.float64)
    return window.to(torch.float32).to(device)


class MelLevels:
    """Mel bands relative to the loudest cell of the window.

    The bank is HTK's: triangles linear in mel from 0 Hz to half the rate, every band's weights
    summing to 1.
    """

    def __init__(self, bands: int, device: torch.device = _CPU) -> None:
        bank = mel_filterbank(bands=bands, n_fft=N_FFT, rate_hz=ANALYSIS_RATE_HZ)
        self._bank = torch.tensor(bank, dtype=torch.float32).T.contiguous().to(device)

    def power(self, spectra: Tensor) -> Tensor:
        """(n, frames, bins) power -> (n, frames, bands) power, relative to nothing."""
        return spectra @ self._bank

    def __call__(self, spectra: Tensor) -> Tensor:
        """(n, frames, bins) power -> (n, frames, bands), the loudest cell of a window being 1."""
        power = self.power(spectra)
        return power / power.amax(dim=(1, 2), keepdim=True).clamp(min=_TINY)


def soft_limited(levels: Tensor) -> Tensor:
    """Relative levels -> decades above a soft knee that lies 40 dB below the loudest cell."""
    return torch.log10(_RANGE * levels + 1.0)


def limited_db(levels: Tensor) -> Tensor:
    """Relative levels -> dB above a hard limit, 0 to ``RANGE_DB``."""
    return 10.0 * torch.log10((_RANGE * levels).clamp(min=1.0))


class Cepstra:
    """Mel-frequency cepstral coefficients: the first rows of the orthonormal DCT-II of levels."""

    def __init__(self, coefficients: int, bands: int, device: torch.device = _CPU) -> None:
        band = torch.arange(bands, dtype=torch.float64) + 0.5
        order = torch.arange(coefficients, dtype=torch.float64)
        basis = torch.cos(math.pi / bands * band[:, None] * order) * math.sqrt(2.0 / bands)
        basis[:, 0] *= math.sqrt(0.5)
        self._basis = basis.to(torch.float32).to(device)

    def __call__(self, levels_db: Tensor) -> Tensor:
        """(n, frames, bands) levels -> (n, frames, coefficients)."""
        return levels_db @ self._basis


def moments(tracks: Tensor) -> Tensor:
    """(n, frames, k) -> (n, 2 k): mean and standard deviation over time."""
    return torch.cat([tracks.mean(dim=1), tracks.std(dim=1, correction=0)], dim=1)


def motion(tracks: Tensor) -> Tensor:
    """(n, frames, k) -> (n, k): standard deviation of the difference between frames."""
    return tracks.diff(dim=1).std(dim=1, correction=0)


def unit(vectors: Tensor) -> Tensor:
    """Scales rows to unit length; a row of zeros stays one."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return torch.div(vectors, length.clamp(min=_TINY))
