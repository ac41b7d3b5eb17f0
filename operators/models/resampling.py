"""Resamples windows on the device of the model that wants them, in one convolution.

A rational ratio L/M is a bank of L filters, each a band-limited interpolation kernel at its own
phase, moved by M samples a step (Crochiere and Rabiner, "Multirate Digital Signal Processing",
1983, chapter 3; J. O. Smith, "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample/).
The kernel is a Kaiser-windowed sinc.

Invariant: every window is treated alone, with silence beyond its ends; sample 0 stays sample 0.
Streams are not resampled here: their continuity is the sources' business.
"""

from math import gcd

import torch
from torch import Tensor

_ZEROS = 32
"""Zero crossings of the sinc on either side."""
_BETA = 12.0
_ROLL_OFF = 0.945
"""Share of the lower Nyquist frequency that passes."""


class Resampler:
    """From one rate to another, both in Hz; windows on ``device``."""

    def __init__(self, from_hz: int, to_hz: int, device: torch.device) -> None:
        common = gcd(from_hz, to_hz)
        self._step, self._phases = from_hz // common, to_hz // common
        cut = _ROLL_OFF * min(1.0, to_hz / from_hz)
        self._reach = int(_ZEROS / cut) + 1
        taps = torch.arange(-self._reach, self._reach + self._step, dtype=torch.float64)
        phase = torch.arange(self._phases, dtype=torch.float64)[:, None]
        away = taps - phase * self._step / self._phases
        inside = (1.0 - (away * cut / _ZEROS).square()).clamp(min=0.0)
        window = torch.special.i0(_BETA * inside.sqrt()) / torch.special.i0(
            torch.tensor(_BETA, dtype=torch.float64)
        )
        window[(away * cut).abs() > _ZEROS] = 0.0
        bank = cut * torch.sinc(away * cut) * window
        self._bank = bank.to(torch.float32)[:, None, :].to(device)

    def length(self, samples: int) -> int:
        """How many samples come out for so many."""
        return -(-samples * self._phases // self._step)

    def __call__(self, windows: Tensor) -> Tensor:
        """(n, samples) float32 -> (n, ``length(samples)``) float32."""
        wanted = self.length(windows.shape[1])
        steps = -(-wanted // self._phases)
        beyond = max(0, (steps - 1) * self._step + self._bank.shape[2] - self._reach)
        padded = torch.nn.functional.pad(windows, (self._reach, max(0, beyond - windows.shape[1])))
        rows = torch.nn.functional.conv1d(padded[:, None], self._bank, stride=self._step)
        return rows[:, :, :steps].transpose(1, 2).reshape(len(windows), -1)[:, :wanted]
