"""The background of one stream: a level and a deviation for every band that follow slowly.

Invariant: after ``start`` every frame moves the floor by a bounded step, so neither a loud sound
nor a drop-out can run away with it. It does not know what counts as activity; it is told.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from operators.records import BANDS, FRAME_S
from operators.spectrum import Doubles

GAUSSIAN_MEAN_TO_SD = 1.2533
"""Standard deviation of a normal distribution over its mean absolute deviation."""


@dataclass(frozen=True, slots=True)
class FloorConfig:
    """How the background is followed.

    Attributes:
        quantile, offset_db: the start, from the first frames: this quantile plus this much.
        deviation_start_db, deviation_min_db, deviation_max_db: of the deviation.
        time_s: time constant while nothing is heard.
        active_share: the rate while something is heard, relative to the idle rate.
        step_down_db, step_up_db: distances beyond these do not pull harder.
    """

    quantile: float = 0.3
    offset_db: float = 1.5
    deviation_start_db: float = 3.0
    deviation_min_db: float = 1.5
    deviation_max_db: float = 9.0
    time_s: float = 8.0
    active_share: float = 0.06
    step_down_db: float = 8.0
    step_up_db: float = 6.0


class AdaptiveFloor:
    """Per-band background level ``mu`` and deviation ``dev``, both (BANDS,) in dB."""

    def __init__(self, config: FloorConfig = FloorConfig()) -> None:
        self.config = config
        self.mu: Doubles = np.zeros(BANDS)
        self.dev: Doubles = np.full(BANDS, config.deviation_start_db)
        self._idle_rate = FRAME_S / config.time_s

    def start(self, levels: Doubles, share: float = 1.0) -> None:
        """Begin from the first (n, BANDS) levels of a stream.

        Args:
            levels: in dB.
            share: lowers the quantile where most of the levels may be sound.
        """
        config = self.config
        self.mu = np.quantile(levels, config.quantile * share, axis=0) + config.offset_db
        self.dev = np.full(BANDS, config.deviation_start_db)

    def follow(self, level: Doubles, *, active: bool) -> None:
        """Move towards one (BANDS,) frame of levels."""
        config = self.config
        rate = self._idle_rate * config.active_share if active else self._idle_rate
        step = np.minimum(np.maximum(level - self.mu, -config.step_down_db), config.step_up_db)
        self.mu = self.mu + rate * step
        dev = self.dev + rate * (GAUSSIAN_MEAN_TO_SD * np.abs(step) - self.dev)
        self.dev = np.minimum(np.maximum(dev, config.deviation_min_db), config.deviation_max_db)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"version": 1, "mu": self.mu.copy(), "dev": self.dev.copy()}

    @classmethod
    def restore(cls, state: dict[str, Any], config: FloorConfig = FloorConfig()) -> "AdaptiveFloor":
        """The floor as it was at ``snapshot``."""
        floor = cls(config)
        floor.mu = np.array(state["mu"], dtype=np.float64)
        floor.dev = np.array(state["dev"], dtype=np.float64)
        return floor
