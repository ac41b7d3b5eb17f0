"""Whether random placement made two sounds look related that are not meant to be.

With ten sounds and a few minutes, chance now and then puts one sound after or over another more
often than a careful statistic would forgive. Such a plan has a relation that is not in its truth,
so it is not played. The test is a scan statistic, deliberately looser than a discovery would be.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

WIDTH_S = 0.4
REACH_S = 8.0
TAIL = 1e-4
SUPPORT = 4


def looks_related(
    starts: Mapping[str, Sequence[float]],
    extents: Mapping[str, float],
    duration_s: float,
    known: frozenset[frozenset[str]],
) -> bool:
    """True if any pair that is not ``known`` keeps a lag, or overlaps, suspiciously often.

    Args:
        starts: onsets in seconds by role.
        extents: lengths in seconds by role.
        duration_s: of the scene.
        known: pairs of roles that are related on purpose.
    """
    recurring = sorted(role for role, onsets in starts.items() if len(onsets) > 1)
    for a, b in combinations(recurring, 2):
        if frozenset((a, b)) in known:
            continue
        lags = np.subtract.outer(np.asarray(starts[b]), np.asarray(starts[a])).ravel()
        rarer = min(len(starts[a]), len(starts[b]))
        if _keeps_a_lag(lags, WIDTH_S / duration_s) or _overlaps(
            lags, extents[a], extents[b], rarer
        ):
            return True
    return False


def _keeps_a_lag(lags: np.ndarray[tuple[int], np.dtype[np.float64]], share: float) -> bool:
    """The fullest window of ``WIDTH_S`` against what uniform placement would put there."""
    near = np.sort(lags[np.abs(lags) <= REACH_S])
    if len(near) < SUPPORT:
        return False
    fullest = int(
        np.max(np.searchsorted(near, near + WIDTH_S, side="right") - np.arange(len(near)))
    )
    return fullest >= SUPPORT and poisson_tail(fullest, len(lags) * share) < TAIL


def _overlaps(
    lags: np.ndarray[tuple[int], np.dtype[np.float64]], a_s: float, b_s: float, rarer: int
) -> bool:
    count = int(np.count_nonzero((lags < a_s) & (lags > -b_s)))
    return count >= max(SUPPORT, math.ceil(rarer / 2))


def poisson_tail(count: int, mean: float) -> float:
    """P(N >= count) for a Poisson variable of the given mean."""
    term = math.exp(-mean)
    below = 0.0
    for k in range(count):
        below += term
        term *= mean / (k + 1)
    return max(0.0, 1.0 - below)
