"""Resamples windows on the device of the model that wants them, in one matrix product.

A rational ratio L/M is a bank of L filters, each a band-limited interpolation kernel at its own
phase, moved by M samples a step (Crochiere and Rabiner, "Multirate Digital Signal Processing",
1983, chapter 3; J. O. Smith, "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample/).
The kernel is a Kaiser-windowed sinc. Every step is a row of a matrix, every phase a column of the
bank: a product costs two thirds of the convolution that it is, and is float32 on a GPU as well,
where convolutions are not unless told.

Invariant: every window is treated alone, with silence beyond its ends; sample 0 stays sample 0.
Streams are not resampled here: their continuity is the sources' business.
"""

from math import gcd

import torch
from torch import Tensor

from operators.models.protocol import ModelConfigError

_ZEROS = 32
"""Zero crossings of the sinc on either side."""
_BETA = 12.0
_ROLL_OFF = 0.945
"""Share of the lower Nyquist frequency that passes."""
VERSION = f"sinc of {_ZEROS} zeros, kaiser {_BETA}, pass {_ROLL_OFF}, v1"
"""Enters the fingerprint of every space whose model does not work at the rate that is listened at;
change the arithmetic below and change the version."""
_LARGEST_BANK = 1 << 24
"""Coefficients (64 MB); audio's usual rates need less than a hundredth of that."""


class Resampler:
    """From one rate to another, both in Hz; windows on ``device``.

    Raises:
        ModelConfigError: rates whose ratio takes too large a bank, such as 44100 to 44099.
    """

    def __init__(self, from_hz: int, to_hz: int, device: torch.device) -> None:
        common = gcd(from_hz, to_hz)
        step, phases = from_hz // common, to_hz // common
        cut = _ROLL_OFF * min(1.0, to_hz / from_hz)
        self._reach = int(_ZEROS / cut) + 1
        # Steps shorter than the kernel are taken several at once: rows would repeat one another.
        at_once = max(1, -(-2 * self._reach // step))
        self._step, self._phases = step * at_once, phases * at_once
        self._taps = 2 * self._reach + self._step
        if self._taps * self._phases > _LARGEST_BANK:
            raise ModelConfigError(
                f"windows at {from_hz} Hz cannot be converted to {to_hz} Hz, the rate of the model:"
                " the two have too little in common: resample them first"
            )
        self._bank = self._filters(cut).to(torch.float32).to(device)

    def _filters(self, cut: float) -> Tensor:
        """(taps, phases), float64: where each output of a step lies among its inputs."""
        taps = torch.arange(-self._reach, self._reach + self._step, dtype=torch.float64)
        phase = torch.arange(self._phases, dtype=torch.float64)
        away = taps[:, None] - phase * self._step / self._phases
        inside = (1.0 - (away * cut / _ZEROS).square()).clamp(min=0.0)
        window = torch.special.i0(_BETA * inside.sqrt()) / torch.special.i0(
            torch.tensor(_BETA, dtype=torch.float64)
        )
        window[(away * cut).abs() > _ZEROS] = 0.0
        filters: Tensor = cut * torch.sinc(away * cut) * window
        return filters

    def length(self, samples: int) -> int:
        """How many samples come out for so many."""
        return -(-samples * self._phases // self._step)

    def __call__(self, windows: Tensor) -> Tensor:
        """(n, samples) float32 -> (n, ``length(samples)``) float32."""
        wanted = self.length(windows.shape[1])
        steps = -(-wanted // self._phases)
        beyond = (steps - 1) * self._step + self._taps - self._reach - windows.shape[1]
        padded = torch.nn.functional.pad(windows, (self._reach, max(0, beyond)))
        rows: Tensor = padded.unfold(1, self._taps, self._step)[:, :steps]
        found: Tensor = (rows @ self._bank).flatten(1)[:, :wanted]
        return found
