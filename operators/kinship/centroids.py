"""The mean direction of a pattern's vectors, summed exactly.

Unit vectors are rounded to multiples of 2^-40 and summed as integers, so that a centroid does
not depend on the order in which its vectors came (the rounding is far below float32's own), and
what is taken back leaves nothing behind.

Invariant: a window counts once for a pattern, however often it is told (one that both sides of a
merge had counts twice if its vector is not there any more).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.records import Floats

_SCALE = float(1 << 40)


@dataclass(slots=True)
class Centroid:
    """A running sum of unit vectors with what it was made of.

    Attributes:
        total: (dimension,) int64, the sum in units of 2^-40.
        count: vectors in it.
        first_us, last_us: positions of the earliest and the latest that ever were in it.
        positions: the latest positions, ascending by arrival (bounded).
        told: it was reported.
        changed: it is not what was reported last.
    """

    total: NDArray[np.int64]
    count: int = 0
    first_us: int = 0
    last_us: int = 0
    positions: list[int] = field(default_factory=list)
    told: bool = False
    changed: bool = False

    def add(self, vector: Floats, position_us: int, keep: int) -> bool:
        """Take one vector in; False if that window was counted before."""
        if position_us in self.positions:
            return False
        self.total = self.total + _whole(vector)
        self.first_us = min(self.first_us, position_us) if self.count else position_us
        self.last_us = max(self.last_us, position_us) if self.count else position_us
        self.count += 1
        self.positions.append(position_us)
        del self.positions[:-keep]
        self.changed = True
        return True

    def take_back(self, vector: Floats, position_us: int, leave: int) -> None:
        """Take the vector of a window out as often as it counts beyond ``leave`` times."""
        for _ in range(self.positions.count(position_us) - leave):
            self.total = self.total - _whole(vector)
            self.count -= 1
            self.positions.remove(position_us)
            self.changed = True

    def fold(self, other: "Centroid", keep: int) -> None:
        """Take another pattern's vectors in."""
        self.total = self.total + other.total
        self.first_us = min(self.first_us, other.first_us) if self.count else other.first_us
        self.last_us = max(self.last_us, other.last_us)
        self.count += other.count
        self.positions = [*self.positions, *other.positions][-keep:]
        self.changed = True

    def direction(self) -> NDArray[np.float64]:
        """(dimension,) the mean as a unit vector; zeros if the vectors cancel out."""
        mean = self.total.astype(np.float64) / _SCALE
        norm = float(np.sqrt(np.sum(mean * mean)))
        return mean / norm if norm > 0.0 else mean

    def snapshot(self) -> list[Any]:
        """Everything as a plain list."""
        return [
            *(self.total.copy(), self.count, self.first_us, self.last_us),
            *([*self.positions], self.told, self.changed),
        ]

    @classmethod
    def restore(cls, state: list[Any]) -> "Centroid":
        """The centroid that ``snapshot`` described."""
        total, count, first_us, last_us, positions, told, changed = state
        return cls(total.copy(), count, first_us, last_us, [*positions], told, changed)


def _whole(vector: Floats) -> NDArray[np.int64]:
    """A vector's direction in units of 2^-40."""
    unit = vector.astype(np.float64)
    unit /= np.sqrt(np.sum(unit * unit))
    return np.rint(unit * _SCALE).astype(np.int64)
