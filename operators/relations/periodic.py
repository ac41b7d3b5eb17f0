"""Sounds that come in beats: the period that explains a pattern's own intervals.

Candidate periods are the differences between each onset and the three that follow it (three, so
that a spurious occurrence between two beats does not hide them). A period is judged by how many
occurrences are followed by another one period later, against how many are followed by one a
little earlier or later (its flanks) and against a homogeneous stream. Skipped beats (up to four)
still count as explained.

Invariant: only differences of onsets enter: the beat may drift. It looks at the latest
``max_intervals`` only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.relations.config import RelationConfig
from operators.relations.false_discovery import poisson_tail

_SHORTEST_S = 0.3
_LONGEST_S = 900.0
_RELATIVE_TOLERANCE = 0.03
_FLANKS = 5
"""Width of the flanks on either side, in tolerances."""
_SKIPS = 4
_LEAST_EXPLAINED = 0.6
_LEAST_FIRST = 0.35
_VOTES = 0.5
_LEAST_VOTES = 0.25
_CANDIDATES = 6


@dataclass(frozen=True, slots=True)
class Beat:
    """A period with its evidence: ``support`` onsets are followed by one a period later."""

    period_s: float
    jitter_s: float
    support: int
    share: float
    expected: float
    p: float
    first_s: float
    last_s: float


def find_beat(onsets_s: Sequence[float], config: RelationConfig) -> Beat | None:
    """The best period of ascending onsets (seconds), or None if none explains them.

    ``p`` is multiplied by the number of distinguishable periods.
    """
    onsets = np.asarray(onsets_s, dtype=np.float64)[-config.max_intervals - 1 :]
    if len(onsets) <= config.min_beats:
        return None
    trains = [
        (train, -period)
        for period in _candidates(onsets)
        if (train := _train(onsets, period)) >= _LEAST_EXPLAINED * len(onsets)
    ]
    if not trains:
        return None
    period = -max(trains)[1]
    tolerance = _tolerance(period)
    follows = onsets[None, :] - onsets[:, None]
    hit = np.abs(follows - period) <= tolerance
    support = int(hit.any(axis=1).sum())
    possible = int((onsets + period <= onsets[-1] + tolerance).sum())
    if support < max(config.min_beats, _LEAST_FIRST * possible):
        return None
    expected = _by_chance(onsets, period, tolerance, possible)
    tries = math.log(_LONGEST_S / _SHORTEST_S) / _RELATIVE_TOLERANCE
    return Beat(
        period_s=period,
        jitter_s=float(follows[hit].std()),
        support=support,
        share=support / possible,
        expected=expected,
        p=min(1.0, poisson_tail(support, expected) * tries),
        first_s=float(onsets[0]),
        last_s=float(onsets[-1]),
    )


def _tolerance(period_s: float) -> float:
    return min(max(0.05, _RELATIVE_TOLERANCE * period_s), 0.5)


def _differences(onsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ascending differences to the next three onsets."""
    parts = [onsets[k:] - onsets[:-k] for k in (1, 2, 3) if k < len(onsets)]
    every = np.sort(np.concatenate(parts))
    return every[(every >= _SHORTEST_S) & (every <= _LONGEST_S)]


def _candidates(onsets: NDArray[np.float64]) -> list[float]:
    """Differences that many others agree with, refined by their mean; twice the period is one."""
    differences = _differences(onsets)
    if not len(differences):
        return []
    widths = np.minimum(np.maximum(0.05, _RELATIVE_TOLERANCE * differences), 0.5)
    low = np.searchsorted(differences, differences - widths, "left")
    high = np.searchsorted(differences, differences + widths, "right")
    votes = high - low
    periods: list[float] = []
    for at in np.argsort(-votes, kind="stable"):
        least = max(_VOTES * votes.max(), _LEAST_VOTES * len(onsets))
        if votes[at] < least or len(periods) == _CANDIDATES:
            break
        period = float(differences[at])
        if any(abs(period - other) <= 2 * _tolerance(other) for other in periods):
            continue
        for _ in range(2):
            near = differences[np.abs(differences - period) <= _tolerance(period)]
            period = float(near.mean())
        periods.append(period)
    return periods


def _train(onsets: NDArray[np.float64], period: float) -> int:
    """Onsets that hang together by 1 to 1 + skips periods: the longest train."""
    steps = (onsets[:, None] - onsets[None, :]) / period
    whole = np.round(steps)
    fits = (whole >= 1) & (whole <= 1 + _SKIPS)
    fits &= np.abs(steps - whole) <= _tolerance(period) / period
    train = np.ones(len(onsets), dtype=np.int64)
    for at in np.flatnonzero(fits.any(axis=1)):
        train[at] = 1 + train[fits[at]].max()
    return int(train.max())


def _by_chance(
    onsets: NDArray[np.float64], period: float, tolerance: float, possible: int
) -> float:
    """Expected followers within the tolerance: from the flanks or homogeneous, the larger."""
    gaps = np.abs(onsets[None, :] - onsets[:, None] - period)
    flank = int(((gaps > tolerance) & (gaps <= (1 + _FLANKS) * tolerance)).sum())
    homogeneous = possible * (len(onsets) - 1) * 2 * tolerance / float(onsets[-1] - onsets[0])
    return max(flank / _FLANKS, homogeneous)
