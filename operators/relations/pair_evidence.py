"""What is known of two patterns together: a sparse lag histogram with exact integer sums.

Invariant: adding a co-occurrence and taking it back leaves the counts and sums bit for bit as
they were, because everything is an integer (microseconds). ``first_us`` and ``last_us`` are a
hull: they do not shrink when something is taken back.
"""

from dataclasses import dataclass

Extent = tuple[int, int]
"""Onset and end of an occurrence in microseconds from the start of the stream."""

COUNT, LAG, LAG_SQUARED, OVERLAP, B_IN_A, A_IN_B, FIRST, LAST = range(8)
_EDGE_US = 100_000
"""Ends are blurred by reverberation: a part may stand out of its whole by this much."""


def overlaps(a: Extent, b: Extent) -> bool:
    """Whether two extents share at least a quarter of the shorter one.

    Less is reverberation running into the next sound, not two sounds at once.
    """
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return shared > 0 and 4 * shared >= min(a[1] - a[0], b[1] - b[0])


def inside(part: Extent, whole: Extent) -> bool:
    """Whether ``part`` lies within ``whole``, edges give or take 0.1 s."""
    return part[0] >= whole[0] - _EDGE_US and part[1] <= whole[1] + _EDGE_US


@dataclass(slots=True)
class PairEvidence:
    """Co-occurrences of patterns a and b (a < b), lag = onset of b - onset of a.

    Attributes:
        bins: lag bin -> [count, sum of lags, sum of squared lags, overlapping, b within a,
            a within b, first, last] (microseconds).
        total: co-occurrences over all bins.
        last_us: latest onset that took part.
    """

    bins: dict[int, list[int]]
    total: int = 0
    last_us: int = 0

    def add(self, a: Extent, b: Extent, bin_us: int, sign: int = 1) -> int:
        """Count one co-occurrence, or take it back (``sign`` -1); returns the change in bins."""
        lag = b[0] - a[0]
        key = lag // bin_us
        cell = self.bins.get(key)
        change = 0
        if cell is None:
            if sign < 0:
                return 0
            cell = [0, 0, 0, 0, 0, 0, min(a[0], b[0]), max(a[0], b[0])]
            self.bins[key] = cell
            change = 1
        self.total += sign
        cell[COUNT] += sign
        cell[LAG] += sign * lag
        cell[LAG_SQUARED] += sign * lag * lag
        if overlaps(a, b):
            cell[OVERLAP] += sign
            cell[B_IN_A] += sign * inside(b, a)
            cell[A_IN_B] += sign * inside(a, b)
        cell[FIRST] = min(cell[FIRST], a[0], b[0])
        cell[LAST] = max(cell[LAST], a[0], b[0])
        self.last_us = max(self.last_us, a[0], b[0])
        if cell[COUNT] <= 0:
            del self.bins[key]
            change = -1
        return change

    def fold(self, other: "PairEvidence", flipped: bool) -> int:
        """Take over another pair's counts; ``flipped`` if its a is our b. Change in bins."""
        before = len(self.bins)
        for key, cell in other.bins.items():
            count, lag, squared, overlap, b_in_a, a_in_b, first, last = cell
            if flipped:
                key, lag, b_in_a, a_in_b = -key - 1, -lag, a_in_b, b_in_a  # noqa: PLW2901
            own = self.bins.setdefault(key, [0, 0, 0, 0, 0, 0, first, last])
            for field, value in enumerate((count, lag, squared, overlap, b_in_a, a_in_b)):
                own[field] += value
            own[FIRST] = min(own[FIRST], first)
            own[LAST] = max(own[LAST], last)
        self.total += other.total
        self.last_us = max(self.last_us, other.last_us)
        return len(self.bins) - before

    def window(self, low: int, high: int) -> list[int]:
        """The fields over the bins low <= bin < high added up (first and last: their hull)."""
        summed = [0] * 8
        cells = [cell for key, cell in self.bins.items() if low <= key < high]
        for field in range(COUNT, FIRST):
            summed[field] = sum(cell[field] for cell in cells)
        summed[FIRST] = min((cell[FIRST] for cell in cells), default=0)
        summed[LAST] = max((cell[LAST] for cell in cells), default=0)
        return summed

    def ever(self, field: int) -> int:
        """A count over all lags."""
        return sum(cell[field] for cell in self.bins.values())
