"""Leader clustering: one pass, one threshold (Hartigan, Clustering Algorithms, 1975, chapter 3).

A vector joins the cluster whose leader is most like it, if that is like enough, or leads a new one.
The leader is the mean of its members, as streaming tutorials do it. Invariant: what was decided is
never changed, and depends on what came before alone.
"""

import numpy as np
from numpy.typing import NDArray

from operators.records import Floats


class Leader:
    """The clusters so far; ``least_cosine`` is how alike a vector and its leader must be."""

    def __init__(self, least_cosine: float) -> None:
        self._least = least_cosine
        self._sums: list[NDArray[np.float64]] = []

    def assign(self, vector: Floats) -> int:
        """The number of the cluster that a (dimension,) vector joins; not all zero."""
        unit = vector.astype(np.float64)
        unit /= max(float(np.linalg.norm(unit)), 1e-12)
        if self._sums:
            sums = np.stack(self._sums)
            cosines = (sums * unit).sum(axis=1) / np.linalg.norm(sums, axis=1)
            nearest = int(cosines.argmax())
            if cosines[nearest] >= self._least:
                self._sums[nearest] += unit
                return nearest
        self._sums.append(unit)
        return len(self._sums) - 1


def led(vectors: Floats, least_cosine: float) -> list[int]:
    """The cluster of each of (n, dimension) vectors, taken in order."""
    leader = Leader(least_cosine)
    return [leader.assign(vector) for vector in vectors]
