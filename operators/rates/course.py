"""What is remembered of one pattern: its onsets since its rate last changed.

The first onset that is remembered only begins the first interval. It is ``fixed`` once a change
was told or older ones were left out: what is older than it is then of the old rate and refused.

Invariant: bounded; the same occurrences in any order between two evaluations leave the same state.
"""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from operators.rates.change import Seconds


@dataclass(slots=True)
class Course:
    """Onsets (microseconds, ascending) of one pattern.

    Attributes:
        silent: it was told that it is.
        dispersion: of its counts, as large as it was where a change was told; never less than 1.
        told_us: positions of the latest changes that were told.
    """

    onsets_us: list[int] = field(default_factory=list)
    fixed: bool = False
    silent: bool = False
    dispersion: float = 1.0
    told_us: list[int] = field(default_factory=list)
    settled: bool = False

    @property
    def last_us(self) -> int:
        """The latest onset."""
        return self.onsets_us[-1] if self.onsets_us else -1

    def add(self, onset_us: int, keep: int) -> None:
        """Take an onset; of too many between two evaluations the latest ``keep`` stay."""
        if not (self.fixed and self.onsets_us and onset_us < self.onsets_us[0]):
            insort(self.onsets_us, onset_us)
            self.settled = False
            self.trim(keep)

    def remove(self, onset_us: int, within_us: int) -> None:
        """Take the onset back that lies nearest, if one is near."""
        at = bisect_left(self.onsets_us, onset_us - within_us)
        near = self.onsets_us[at : bisect_right(self.onsets_us, onset_us + within_us)]
        if near:
            self.onsets_us.remove(min(near, key=lambda other: (abs(other - onset_us), other)))

    def settle(self, within_us: int) -> None:
        """Onsets closer than this are one: the first of them stays."""
        if self.settled:
            return
        self.settled = True
        kept: list[int] = []
        for onset_us in self.onsets_us:
            if not kept or onset_us - kept[-1] > within_us:
                kept.append(onset_us)
        self.onsets_us = kept

    def trim(self, keep: int) -> None:
        """Only the latest ``keep`` stay."""
        if len(self.onsets_us) > keep:
            del self.onsets_us[:-keep]
            self.fixed = True

    def known_s(self, now_us: int) -> Seconds:
        """(n,) onsets in seconds that began by ``now_us``."""
        known = self.onsets_us[: bisect_right(self.onsets_us, now_us)]
        return np.asarray(known, dtype=np.float64) / 1e6

    def begin_at(self, index: int, now_us: int) -> None:
        """What was told at ``now_us`` is the baseline: it began with that onset."""
        del self.onsets_us[:index]
        self.fixed = True
        self.told_us.append(now_us)

    def fold(self, other: "Course", keep: int) -> None:
        """Take another pattern's occurrences in; what was told of this one stands."""
        starts = [each.onsets_us[0] for each in (self, other) if each.fixed and each.onsets_us]
        both = sorted([*self.onsets_us, *other.onsets_us])
        self.onsets_us = both[bisect_left(both, max(starts)) :] if starts else both
        self.fixed |= other.fixed
        self.settled = False
        self.dispersion = max(self.dispersion, other.dispersion)
        self.told_us = sorted([*self.told_us, *other.told_us])
        self.trim(keep)

    def snapshot(self) -> list[Any]:
        """Everything as a plain list."""
        return [[*self.onsets_us], self.fixed, self.silent, self.dispersion, [*self.told_us]]

    @classmethod
    def restore(cls, state: list[Any]) -> "Course":
        """The course that ``snapshot`` described."""
        onsets_us, fixed, silent, dispersion, told_us = state
        return cls([*onsets_us], fixed, silent, dispersion, [*told_us])
