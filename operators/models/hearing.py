"""A clip as a model that answers in words takes it: checked, at its rate, of bounded length.

Invariant: the clip's start is kept. Nothing is scaled.
"""

import numpy as np
import torch
from torch import Tensor

from operators.models.protocol import WindowsError
from operators.models.resampling import Resampler
from operators.records import Floats

LEAST_S = 0.1
"""Shorter clips are padded with silence: some models cannot place a single token of sound."""


class Hearing:
    """From any rate to the model's own.

    Args:
        rate_hz: what the model's front end works at.
        longest_s: what it hears of a clip.
        device: where clips are put.
    """

    def __init__(self, rate_hz: int, longest_s: float, device: torch.device) -> None:
        self._rate_hz = rate_hz
        self._longest_s = longest_s
        self._device = device
        self._resampler: tuple[int, Resampler] | None = None

    def __call__(self, clip: Floats, rate_hz: int | None = None) -> Tensor:
        """(samples,) at ``rate_hz`` -> (1, samples) float32 at the model's rate.

        Raises:
            WindowsError: not one-dimensional, empty, or not finite.
        """
        rate_hz = rate_hz or self._rate_hz
        if clip.ndim != 1 or not len(clip):
            raise WindowsError(f"a clip of shape {clip.shape}: give (samples,), at least one")
        heard = np.array(clip[: round(self._longest_s * rate_hz)], dtype=np.float32)
        if not np.isfinite(heard).all():
            raise WindowsError("a clip that holds NaN or infinity: nothing can be said about it")
        waveform = torch.from_numpy(heard)[None].to(self._device)
        if rate_hz != self._rate_hz:
            waveform = self._resample(rate_hz)(waveform)
        lacking = round(LEAST_S * self._rate_hz) - waveform.shape[1]
        return torch.nn.functional.pad(waveform, (0, max(0, lacking)))

    def _resample(self, rate_hz: int) -> Resampler:
        """The last converter is kept: clips of one stream come at one rate."""
        if self._resampler is None or self._resampler[0] != rate_hz:
            self._resampler = rate_hz, Resampler(rate_hz, self._rate_hz, self._device)
        return self._resampler[1]
