"""Alternated pairs: two ways of doing the same work in turn, so that a drifting machine is fair.

A single timing on a shared machine says little; the ratio of neighbours, over at least nine pairs,
says what one way costs against the other. A limit holds if the median is within it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

PAIRS = 9


@dataclass(frozen=True, slots=True)
class Ratio:
    """Times of both sides and the ratio other / ours, pair by pair: above 1 we are faster."""

    ours_s: tuple[float, ...]
    other_s: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Throughput of ours against the other, sorted."""
        return sorted(b / a for a, b in zip(self.ours_s, self.other_s, strict=True))

    @property
    def median(self) -> float:
        """The figure to quote."""
        return median(self.ratios)


def alternate(ours: Callable[[], object], other: Callable[[], object], pairs: int = PAIRS) -> Ratio:
    """Time both in turn, after one uncounted round of each; who begins alternates."""
    ours()
    other()
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs):
        for mine in (True, False) if number % 2 else (False, True):
            started = time.perf_counter()
            (ours if mine else other)()
            times[mine].append(time.perf_counter() - started)
    return Ratio(tuple(times[True]), tuple(times[False]))
