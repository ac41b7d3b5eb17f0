"""CLAP's log mel spectrogram of whole batches, equal to transformers' ``ClapFeatureExtractor``.

A window shorter than what the network hears (ten seconds) is repeated as often as it fits and the
rest is silence, or as the extractor's ``padding`` says. Then power spectra of centred frames
(periodic Hann window, ends reflected), the extractor's own mel bank, and decibels from -100 up.

Invariant: nothing is drawn by lot. For longer windows the extractor takes crops at random; they are
not taken here. Fusion checkpoints, which look at four pictures of a long clip, are given the one
picture that they use for a clip that is not long.
"""

from typing import Any

import torch
from torch import Tensor

VERSION = "clap log mel, v1"
"""Enters the fingerprint of every space; change the arithmetic below and change the version."""
PADDINGS = ("repeatpad", "repeat", "pad")
_FLOOR = 1e-10
_DISTINCT = 3
"""Repetitions of a window whose frames differ: the first, one between, and the last."""


class ClapMel:
    """Windows at the extractor's rate to log mel levels in dB.

    Args:
        extractor: a ``ClapFeatureExtractor``; see ``PADDINGS`` for what it may ask for.
        device: where the windows lie.
    """

    def __init__(self, extractor: Any, device: torch.device | str = "cpu") -> None:
        fused = extractor.truncation == "fusion"
        bank = extractor.mel_filters if fused else extractor.mel_filters_slaney
        self._bank = torch.tensor(bank, dtype=torch.float32, device=device)
        self._n_fft, self._hop = extractor.fft_window_size, extractor.hop_length
        self._padding = extractor.padding
        self.most_samples = int(extractor.nb_max_samples)
        self.frames = 1 + self.most_samples // self._hop
        shape = torch.hann_window(self._n_fft, periodic=True, dtype=torch.float64)
        self._window = shape.to(device, torch.float32)
        asked = (self._n_fft, self._hop, self.most_samples, self._padding, *bank.shape)
        limits = (extractor.frequency_min, extractor.frequency_max)
        self.recipe = f"{VERSION}, {asked}, {'htk' if fused else 'slaney'} {limits} Hz"

    def __call__(self, windows: Tensor) -> Tensor:
        """(n, samples) float32, at most ``most_samples`` -> (n, ``frames``, bands) in dB."""
        samples = windows.shape[1]
        times, period = self.most_samples // samples, samples // self._hop
        whole = self._padding == "repeatpad" and samples == period * self._hop
        if not whole or times <= _DISTINCT or samples < self._n_fft:
            return self._levels(self._filled(windows))
        # Every repetition between the first and the last gives the same frames: one is computed.
        tail = self.most_samples - times * samples
        short = torch.nn.functional.pad(windows.repeat(1, _DISTINCT), (0, tail))
        levels = self._levels(short)
        between = levels[:, period : 2 * period].repeat(1, times - _DISTINCT, 1)
        return torch.cat([levels[:, : 2 * period], between, levels[:, 2 * period :]], dim=1)

    def _levels(self, filled: Tensor) -> Tensor:
        reach = self._n_fft // 2
        padded = torch.nn.functional.pad(filled, (reach, reach), mode="reflect")
        frames: Tensor = padded.unfold(1, self._n_fft, self._hop) * self._window
        spectra = torch.fft.rfft(frames, dim=2)
        power = spectra.real.square() + spectra.imag.square()
        return 10.0 * torch.log10((power @ self._bank).clamp(min=_FLOOR))

    def _filled(self, windows: Tensor) -> Tensor:
        """Windows brought to ``most_samples`` by repetition, silence, or both."""
        times = self.most_samples // windows.shape[1]
        if self._padding == "repeat":
            windows = windows.repeat(1, times + 1)[:, : self.most_samples]
        elif self._padding == "repeatpad":
            windows = windows.repeat(1, times)
        return torch.nn.functional.pad(windows, (0, self.most_samples - windows.shape[1]))
