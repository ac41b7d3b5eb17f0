"""The model without weights: cepstra and modulation, 176 numbers a window.

Mean and deviation of 40 cepstral coefficients (80), and at half their weight the modulation
spectrum of the same levels (96): how strongly each of 8 groups of mel bands comes and goes, at 12
rates from 1 to 16 Hz. Nothing is learnt, so there is nothing to fetch: this is what grym falls
back on when no weights are at hand. It finds the same sound again nearly as well as the default
model; what it lacks is a notion of which *different* sounds are of a kind.

Invariant: needs no file; the space depends on nothing but this code. Loading takes about half a
second, in which the statistics of synthetic sounds are computed.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from operators.models import synthetic
from operators.models.compute import CHUNK, Placement, Runner, set_threads
from operators.models.features import (
    FRONT_END,
    Cepstra,
    MelLevels,
    limited_db,
    moments,
    power_spectra,
    unit,
)
from operators.models.normalisation import Normalisation
from operators.models.protocol import ModelConfig, space_name
from operators.records import ANALYSIS_RATE_HZ, HOP_SAMPLES, Floats

NAME = "logmel"
_BANDS = 64
_COEFFICIENTS = 40
_GROUPS = 8
_RATES = 12
_MODULATION_FFT = 64
_MODULATION_WEIGHT = 0.5
_SOUNDS = 64
_LEAST_FRAMES = 4


@dataclass(frozen=True, slots=True)
class LogmelConfig(ModelConfig):
    """Configuration of the model without weights; only ``threads`` matters to it."""


class Logmel:
    """The model without weights; see :class:`operators.models.protocol.Model` for the promise."""

    config_type = LogmelConfig
    name = NAME
    sample_rate_hz = ANALYSIS_RATE_HZ
    window_s = 1.0
    hop_s = 0.5
    dimension = 2 * _COEFFICIENTS + _GROUPS * _RATES
    trained = True
    device = "cpu"
    dtype = "float32"

    def __init__(self, config: LogmelConfig) -> None:
        set_threads(config.threads)
        recipe = f"{FRONT_END}|logmel v1, sounds v{synthetic.VERSION} x {_SOUNDS}"
        fingerprint = hashlib.blake2b(recipe.encode(), digest_size=4).hexdigest()
        self.space = space_name(NAME, fingerprint, self.dimension)
        self._mel, self._cepstra = MelLevels(_BANDS), Cepstra(_COEFFICIENTS, _BANDS)
        windows = torch.from_numpy(np.stack(list(synthetic.synthetic_windows(_SOUNDS))))
        with torch.inference_mode():
            rows = [self._features(chunk) for chunk in torch.split(windows, CHUNK)]
        timbre, modulation = (torch.cat(part) for part in zip(*rows, strict=True))
        self._timbre = Normalisation.fit(timbre)
        self._modulation = Normalisation.fit(modulation)
        self._run = Runner(
            self._vectors,
            Placement(torch.device("cpu"), torch.float32),
            dimension=self.dimension,
            rate_hz=self.sample_rate_hz,
            least_samples=(_LEAST_FRAMES - 1) * HOP_SAMPLES,
        )

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """(n, samples) -> (n, 176); the promise is the protocol's."""
        return self._run(windows, rate_hz)

    def _vectors(self, windows: Tensor) -> Tensor:
        timbre, modulation = self._features(windows)
        parts = [self._timbre(timbre), _MODULATION_WEIGHT * self._modulation(modulation)]
        return unit(torch.cat(parts, dim=1))

    def _features(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        levels = limited_db(self._mel(power_spectra(windows)))
        return moments(self._cepstra(levels)), modulation_spectrum(levels)


def modulation_spectrum(levels_db: Tensor) -> Tensor:
    """How strongly the level of groups of bands varies, by rate of variation.

    Magnitudes forget when in the window something happened, within limits: an event that is cut by
    the end of the window is another event. Compressed by log(1 + x).

    Args:
        levels_db: (n, frames, 64); of more than 64 frames (1.5 s) the first 64 are looked at.

    Returns:
        (n, 12 * 8): rates (centres 1.0 to 15.8 Hz, 1.35 Hz apart) by groups of 8 bands.
    """
    grouped = torch.unflatten(levels_db, 2, (_GROUPS, -1)).mean(dim=3)
    centred = grouped - grouped.mean(dim=1, keepdim=True)
    magnitude = torch.fft.rfft(centred, n=_MODULATION_FFT, dim=1).abs()[:, 1 : 2 * _RATES + 1]
    return torch.log1p(torch.unflatten(magnitude, 1, (_RATES, 2)).mean(dim=2)).flatten(1)
