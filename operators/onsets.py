"""Where sounds start: local peaks of the spectral flux above the background.

Flux of a frame = mean over bands of the rise in level, beyond a dead zone, over the loudest that
the band and its two neighbours were in the last ``memory_frames``, or over the background where
that is louder. Looking at the neighbours keeps a glide or a vibrato from being a row of onsets
(SuperFlux, Boeck and Widmer, DAFx 2013); the longer memory does the same for beats and rough
sounds; the background for noise that comes back from a dip. That is what lets the threshold be
low enough for a sound that starts under another one.

Invariant: whether frame k is an onset is decided at frame k + 1 and never revised.
It does not know whether anything else finds the frame active.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from operators.records import BANDS
from operators.spectrum import Doubles


@dataclass(frozen=True, slots=True)
class OnsetConfig:
    """What counts as the start of a sound.

    Attributes:
        memory_frames: how far back a band's rise is measured from.
        rise_db, rise_max_db: the dead zone of a band's rise and the most it may contribute.
        flux_min: smallest flux of an onset, dB averaged over all bands.
        gap_frames: smallest distance of two onsets.
    """

    memory_frames: int = 6
    rise_db: float = 1.0
    rise_max_db: float = 15.0
    flux_min: float = 0.25
    gap_frames: int = 7


class OnsetPicker:
    """Picks onsets frame by frame; ``reset`` begins a new stretch of audio."""

    def __init__(self, config: OnsetConfig = OnsetConfig()) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget what came before: the next frame is compared with the background alone."""
        self._memory: Doubles = np.full((self.config.memory_frames, BANDS), -np.inf)
        self._flux = 0.0
        self._flux_before = 0.0
        self._last = -(10**9)

    def hear(self, frame: int, level: Doubles, wide: Doubles, floor: Doubles) -> int | None:
        """Take one frame of levels; returns the frame before if that was an onset.

        Args:
            frame: its number, one more than that of the last call.
            level: (BANDS,) in dB.
            wide: (BANDS,) the same widened to the neighbouring bands.
            floor: (BANDS,) background in dB.
        """
        config = self.config
        rise = level - np.maximum(np.maximum.reduce(self._memory), floor)
        rise -= config.rise_db
        rise = np.minimum(np.maximum(rise, 0.0), config.rise_max_db)
        flux = float(np.add.reduce(rise)) / BANDS
        onset = self._settle(frame - 1, flux)
        self._memory[frame % config.memory_frames] = wide
        self._flux_before, self._flux = self._flux, flux
        return onset

    def finish(self, frame: int) -> int | None:
        """No frame follows ``frame``: returns it if it was an onset."""
        return self._settle(frame, 0.0)

    def _settle(self, frame: int, following: float) -> int | None:
        """Whether ``frame``, whose flux is known, is an onset given the flux that follows it."""
        config = self.config
        if (
            self._flux >= config.flux_min
            and self._flux > self._flux_before
            and self._flux >= following
            and frame - self._last >= config.gap_frames
        ):
            self._last = frame
            return frame
        return None

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data."""
        return {
            "version": 1,
            "memory": self._memory.copy(),
            "flux": self._flux,
            "flux_before": self._flux_before,
            "last": self._last,
        }

    @classmethod
    def restore(cls, state: dict[str, Any], config: OnsetConfig = OnsetConfig()) -> "OnsetPicker":
        """The picker as it was at ``snapshot``."""
        picker = cls(config)
        picker._memory = np.array(state["memory"], dtype=np.float64)
        picker._flux = state["flux"]
        picker._flux_before = state["flux_before"]
        picker._last = state["last"]
        return picker
