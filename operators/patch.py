"""What activity is made of: a judged frame, the run under way, and the patch it becomes.

Invariant: the rows of a run are consecutive frames from ``start``; a patch is never changed.
Nothing here decides anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from operators.records import BANDS
from operators.spectrum import Doubles


@dataclass(frozen=True, slots=True)
class Patch:
    """A run of activity: (frames, BANDS) levels in dB from frame ``start``, and its onsets."""

    start: int
    levels: Doubles
    floor: Doubles
    deviation: Doubles
    onsets: tuple[int, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What one frame decided: is something heard, which onsets are now known, what ended."""

    frame: int
    active: bool
    onsets: tuple[int, ...] = ()
    patch: Patch | None = None


@dataclass(slots=True)
class Run:
    """The activity under way, from frame ``start``; it was noticed from ``trigger`` on."""

    start: int
    trigger: int
    floor: Doubles
    deviation: Doubles
    rows: list[Doubles]
    onsets: list[int]
    peak: float
    below: int = 0

    def take(self, frames: int, *, cut: bool) -> Patch:
        """The first ``frames`` rows and their onsets as a patch."""
        end = self.start + frames
        onsets = tuple(onset for onset in self.onsets if onset < end)
        rows = np.stack(self.rows[:frames])
        return Patch(self.start, rows, self.floor, self.deviation, onsets, cut)

    def snapshot(self) -> dict[str, Any]:
        """The run as plain data."""
        return {
            "version": 1,
            "start": self.start,
            "trigger": self.trigger,
            "floor": self.floor.copy(),
            "deviation": self.deviation.copy(),
            "rows": stack_rows(self.rows),
            "onsets": list(self.onsets),
            "peak": self.peak,
            "below": self.below,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Run":
        """The run as it was at ``snapshot``."""
        return cls(
            start=state["start"],
            trigger=state["trigger"],
            floor=np.array(state["floor"]),
            deviation=np.array(state["deviation"]),
            rows=list(np.array(state["rows"])),
            onsets=list(state["onsets"]),
            peak=state["peak"],
            below=state["below"],
        )


def stack_rows(rows: Iterable[Doubles]) -> Doubles:
    """(n, BANDS) from n rows, n may be 0."""
    rows = list(rows)
    return np.stack(rows) if rows else np.zeros((0, BANDS))
