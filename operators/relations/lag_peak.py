"""The most surprising window of a lag histogram, judged against its own flanks.

What chance would put into a window is what lies around it (scaled to its width), or what two
independent streams of that many occurrences would bring, whichever is more. The flanks absorb
bursts that two sounds share (the same busy hour), which defeat the homogeneous expectation; they
are steadied by two seconds' worth of it, because flanks of few counts are mostly noise. A window as
wide as a whole is held against all lags: three seconds beside it are hardly more than it holds.

Invariant: depends on counts only, never on the order in which they came. It does not know
whether a surprising lag is a relation or two pieces of one sound: ``links`` decides that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.relations.config import RelationConfig
from operators.relations.false_discovery import poisson_tail
from operators.relations.pair_evidence import COUNT, PairEvidence

Counts = NDArray[np.float64]
Edges = NDArray[np.int64]

_BARELY = 2.0
"""Log likelihood ratio below which a window cannot be significant."""
_STEADY_S = 2.0
_WINDOWS_ALIKE = 3.0
"""Neighbouring windows share most of their counts: p times all of them was 3-10 times too large
on independent streams (8 to 60 occurrences each), so that it is divided by the least of these."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A window of lag bins [low, high) with what it holds and what chance explains.

    ``p`` is the tail of chance times ``tries``, the number of windows that were looked at.
    """

    low: int
    high: int
    support: int
    expected: float
    p: float
    tries: float = 1.0


def histograms(evidence: Sequence[PairEvidence], config: RelationConfig) -> Counts:
    """Lag histograms as (pairs, bins) counts, lag 0 between the two middle columns."""
    reach = round(config.max_lag_s / config.bin_s)
    bins = 2 * reach
    at: list[int] = [
        row * bins + min(key + reach, bins - 1)
        for row, pair in enumerate(evidence)
        for key in pair.bins
    ]
    held = [cell[COUNT] for pair in evidence for cell in pair.bins.values()]
    counts: Counts = np.zeros(len(evidence) * bins)
    np.add.at(counts, at, held)
    return counts.reshape(len(evidence), bins)


def narrow_peaks(counts: Counts, chance: Counts, config: RelationConfig) -> list[Peak | None]:
    """The best of all sliding windows of each pair; its p allows for how many there were.

    Args:
        counts: (pairs, bins) lag histograms.
        chance: (pairs,) expected count in one bin if both were independent and homogeneous.
        config: widths, flanks and the least support.
    """
    bins = counts.shape[1]
    cumulated = _cumulated(counts)
    rows = np.arange(len(counts))
    best = np.zeros(len(counts))
    where = np.zeros((3, len(counts)))
    tried = 0
    flank = round(config.flank_s / config.bin_s)
    for width_s in config.widths_s:
        width = round(width_s / config.bin_s)
        low = np.arange(bins - width + 1)
        tried += len(low)
        inside = cumulated[:, low + width] - cumulated[:, low]
        row, column = np.nonzero(inside >= config.min_support)
        expected = np.zeros_like(inside)
        score = np.zeros_like(inside)
        expected[row, column] = _expected(
            cumulated, row, low[column], low[column] + width, chance[row], flank, config
        )
        score[row, column] = _surprise(inside[row, column], expected[row, column])
        at = np.argmax(score, axis=1)
        better = score[rows, at] > best
        best[better] = score[rows, at][better]
        where[:, better] = np.stack((at, at + width, expected[rows, at]))[:, better]
    return _peaks(counts, best, where, tried / _WINDOWS_ALIKE)


def extent_peaks(
    counts: Counts, rooms_s: Counts, after: bool, chance: Counts, config: RelationConfig
) -> list[Peak | None]:
    """For each pair the one window that a whole opens for a part beginning anywhere inside it.

    Args:
        counts: (pairs, bins) lag histograms.
        rooms_s: (pairs,) lags at which the part can begin.
        after: the part is b (positive lags); else it is a (negative lags).
        chance: (pairs,) expected count in one bin if both were independent and homogeneous.
        config: the least support, and how wide a bin is.
    """
    reach = counts.shape[1] // 2
    cumulated = _cumulated(counts)
    rows = np.arange(len(counts))
    width = np.clip(np.rint(rooms_s / config.bin_s).astype(np.int64), 1, reach)
    low = np.full(len(counts), reach) if after else reach - width
    inside = cumulated[rows, low + width] - cumulated[rows, low]
    expected = _expected(cumulated, rows, low, low + width, chance, reach, config)
    score = np.where(inside >= config.min_support, _surprise(inside, expected), 0.0)
    return _peaks(counts, score, np.stack((low, low + width, expected)), 1.0)


def _cumulated(counts: Counts) -> Counts:
    """(pairs, bins + 1): what lies below each edge of the bins."""
    cumulated = np.zeros((len(counts), counts.shape[1] + 1))
    np.cumsum(counts, axis=1, out=cumulated[:, 1:])
    return cumulated


def _expected(
    cumulated: Counts,
    rows: Edges,
    low: Edges,
    high: Edges,
    chance: Counts,
    flank: int,
    config: RelationConfig,
) -> Counts:
    """What chance puts into windows [low, high) of the given rows: flanks, steadied."""
    left = np.maximum((low + high) // 2 - np.maximum(flank, (high - low) // 2 + flank // 2), 0)
    right = (low + high) // 2 + np.maximum(flank, (high - low) // 2 + flank // 2)
    right = np.minimum(right, cumulated.shape[1] - 1)
    inside = cumulated[rows, high] - cumulated[rows, low]
    around = cumulated[rows, right] - cumulated[rows, left] - inside
    steady = _STEADY_S / config.bin_s
    rate = (around + chance * steady) / (right - left - (high - low) + steady)
    return np.asarray(np.maximum(rate, chance) * (high - low))


def _peaks(counts: Counts, scores: Counts, where: Counts, tries: float) -> list[Peak | None]:
    """The windows (low, high, expected) that are more than barely surprising, with their p."""
    return [
        _peak(row, int(low), int(high), float(expected), tries) if score > _BARELY else None
        for row, score, (low, high, expected) in zip(counts, scores, where.T, strict=True)
    ]


def _peak(counts: Counts, low: int, high: int, expected: float, tries: float) -> Peak:
    support = int(counts[low:high].sum())
    p = min(1.0, poisson_tail(support, expected) * tries)
    reach = len(counts) // 2
    return Peak(low - reach, high - reach, support, expected, p, tries)


def _surprise(counts: Counts, expected: Counts) -> Counts:
    """Log likelihood ratio of a Poisson count above its expectation (0 where it is below)."""
    safe = np.maximum(expected, 1e-12)
    ratio = np.log(np.maximum(counts, 1e-12) / safe)
    return np.where(counts > safe, counts * ratio - (counts - safe), 0.0)
