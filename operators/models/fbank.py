"""Kaldi's log mel filter bank ("fbank") of whole batches, as AST and its kin were trained on.

Frames of 25 ms every 10 ms, none beyond the ends of the window; from each frame its mean is taken,
then pre-emphasis (0.97) and a symmetric Hann window are applied; power spectrum; triangles linear
in mel from 20 Hz to half the rate; natural logarithm above the smallest float32 step. This is what
``torchaudio.compliance.kaldi.fbank`` computes without dither and with ``window_type="hanning"``,
and what transformers' ``ASTFeatureExtractor`` computes with or without torchaudio, window by
window. (Povey et al., "The Kaldi speech recognition toolkit", 2011; https://kaldi-asr.org.)

Invariant: every window is treated alone. Normalisation and padding are the models' own business.
"""

import numpy as np
import torch
from torch import Tensor

from operators.spectrum import Doubles

RATE_HZ = 16_000
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
N_FFT = 512
FLOOR = float(np.finfo(np.float32).eps)
VERSION = f"kaldi fbank {FRAME_SAMPLES}/{HOP_SAMPLES}/{N_FFT} at {RATE_HZ} Hz, hanning, v1"
"""Enters the fingerprint of every space; change the arithmetic below and change the version."""
_PRE_EMPHASIS = 0.97
_LOWEST_HZ = 20.0


class Fbank:
    """Windows at 16 kHz to log mel energies.

    Args:
        bins: number of mel bands.
        device: where the windows lie.
    """

    def __init__(self, bins: int = 128, device: torch.device | str = "cpu") -> None:
        self.bins = bins
        shape = torch.hann_window(FRAME_SAMPLES, periodic=False, dtype=torch.float64)
        self._window = shape.to(device, torch.float32)
        self._bank = torch.tensor(kaldi_mel_bank(bins), dtype=torch.float32, device=device)

    def __call__(self, waveforms: Tensor) -> Tensor:
        """(n, samples) float32 within [-1, 1] -> (n, ``frames(samples)``, bins) float32."""
        frames: Tensor = waveforms.unfold(1, FRAME_SAMPLES, HOP_SAMPLES)
        frames = frames - frames.mean(dim=2, keepdim=True)
        before = torch.cat([frames[:, :, :1], frames[:, :, :-1]], dim=2)
        frames = (frames - _PRE_EMPHASIS * before) * self._window
        spectra = torch.fft.rfft(frames, n=N_FFT, dim=2)
        power = spectra.real.square() + spectra.imag.square()
        return torch.log((power @ self._bank).clamp(min=FLOOR))


def frames(samples: int) -> int:
    """How many frames a window of so many samples has; 0 for one shorter than a frame."""
    return max(0, 1 + (samples - FRAME_SAMPLES) // HOP_SAMPLES)


def kaldi_mel_bank(bins: int) -> Doubles:
    """Kaldi's triangles: (N_FFT // 2 + 1, bins) weights, linear in mel, peaks of 1.

    Kaldi's mel is 1127 ln(1 + f / 700). The triangles are drawn in mel, not in Hz; a narrow one
    may lie between two bins of the spectrum and be empty, as it is in Kaldi.
    """
    bins_mel = _mel(np.arange(N_FFT // 2 + 1, dtype=np.float64) * (RATE_HZ / N_FFT))
    lowest, highest = _mel(np.array([_LOWEST_HZ, RATE_HZ / 2]))
    edges = np.linspace(lowest, highest, bins + 2)
    away = np.abs(bins_mel[:, None] - edges[None, 1:-1]) / (edges[1] - edges[0])
    weights: Doubles = np.maximum(0.0, 1.0 - away)
    return weights


def _mel(frequency_hz: Doubles) -> Doubles:
    mel: Doubles = 1127.0 * np.log1p(frequency_hz / 700.0)
    return mel
