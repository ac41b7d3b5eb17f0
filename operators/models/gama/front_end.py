"""What GAMA hears of a clip: 10 s of Kaldi's log mel levels, standardised as in its training."""

import torch
from torch import Tensor

from operators.models import fbank
from operators.models.gama.shape import Shape

RATE_HZ = fbank.RATE_HZ
FRONT_END = f"{fbank.VERSION}, padded with 0, (x + 5.081) / 4.4849"
"""Enters the fingerprint of the space."""
_MEAN, _DEVIATION = -5.081, 4.4849


def longest_samples(shape: Shape) -> int:
    """Samples that fill all frames."""
    return fbank.FRAME_SAMPLES + (shape.frames - 1) * fbank.HOP_SAMPLES


class Levels:
    """Clips at 16 kHz to spectrograms of a fixed length, cut or padded at the end.

    The padding is the level 0 before standardisation, as in training: a loud band, not silence.
    """

    def __init__(self, shape: Shape, device: torch.device) -> None:
        self._frames = shape.frames
        self._longest = longest_samples(shape)
        self._fbank = fbank.Fbank(shape.bands, device)

    def __call__(self, clips: Tensor) -> Tensor:
        """(n, samples) float32 -> (n, frames, bands) float32."""
        # The authors take the clip's mean away first; the filter bank does so frame by frame.
        levels = self._fbank(clips[:, : self._longest])
        lacking = self._frames - levels.shape[1]
        return (torch.nn.functional.pad(levels, (0, 0, 0, lacking)) - _MEAN) / _DEVIATION
