"""Did the rate of a point process change, and when: the comparison behind every rate event.

Every occurrence may have been the last at the old rate. For each of them the counts before and
after are held against one common rate by the likelihood ratio of two Poisson rates (given both
counts that is the binomial test of Przyborowski and Wilenski, 1940, "Homogeneity of results in
testing samples from Poisson series", Biometrika 31); the largest ratio is the generalised
likelihood ratio statistic of a change point (Siegmund and Venkatraman, 1995, "Using the
generalized likelihood ratio statistic for sequential detection of a change-point", Ann. Statist.
23). It is divided by the dispersion of the counts before (quasi-likelihood: McCullagh and Nelder,
1989, "Generalized Linear Models"), so that sounds that come in bursts need more to be said of them.

A sound that comes in beats has stopped when too many beats in a row are missing, given how often
one is missing otherwise: sooner than its rate alone would tell.

Invariant: pure functions of onsets and the position.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.rates.config import RateConfig

_PER_BIN = (4.0, 12.0, 36.0)
_LEAST_BINS = 4
_LEAST_BEATS = 10
_OFF_BEAT = 0.1
_SKIPS = 4
_ON_BEAT_SHARE = 0.9

Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """Where the rate changed.

    Attributes:
        last: index of the last onset at the old rate.
        before, after: onsets that count on either side.
        before_s, after_s: how long the sides are.
        evidence: log likelihood ratio, corrected for dispersion (nats).
        dispersion: that it was corrected for.
    """

    last: int
    before: int
    after: int
    before_s: float
    after_s: float
    evidence: float
    dispersion: float = 1.0


def find_change(
    onsets_s: Seconds, now_s: float, bar: float, config: RateConfig, dispersed: float = 1.0
) -> Change | None:
    """The most telling change of rate, or None where none is worth saying.

    Args:
        onsets_s: (n,) ascending; the first one only begins the first interval.
        now_s: everything that began before it is known.
        bar: evidence needed, in nats.
        config: floors.
        dispersed: dispersion known from before.
    """
    if len(onsets_s) <= config.least_before:
        return None
    before = np.arange(1, len(onsets_s), dtype=np.float64)
    after = before[::-1] - 1.0
    before_s = onsets_s[1:] - onsets_s[0]
    after_s = np.maximum(now_s - onsets_s[1:], 1e-6)
    old, new = before / before_s, after / after_s
    enough = (before >= config.least_before) & (before_s >= config.least_before_s)
    more = (after >= config.least_more) & (new >= config.ratio * old)
    more &= after_s * old >= config.least_span
    evidence = log_ratio(before, before_s, after, after_s)
    evidence[~(enough & (more | (config.ratio * new <= old)))] = -1.0
    at = int(evidence.argmax())
    if evidence[at] >= bar and not _throughout(onsets_s, at + 1, now_s, min(old[at], new[at])):
        evidence[at] = -1.0
    if evidence[at] >= bar:
        dispersed = max(dispersed, dispersion(onsets_s[: at + 2]))
        evidence[at] /= dispersed
    stopped = missing_beats(onsets_s, now_s) if enough[-1] else 0.0
    if stopped >= bar and stopped > evidence[at]:
        at = len(before) - 1
        evidence[at] = stopped
    if evidence[at] < bar:
        return None
    return Change(
        at + 1,
        int(before[at]),
        int(after[at]),
        float(before_s[at]),
        float(after_s[at]),
        float(evidence[at]),
        dispersed,
    )


def _throughout(onsets_s: Seconds, last: int, now_s: float, lower: float) -> bool:
    """Whether the side with more has no less than the lower rate in each of its thirds.

    Otherwise it is one burst, which is no rate.
    """
    turn_s = float(onsets_s[last])
    if last * (now_s - turn_s) > (len(onsets_s) - 1 - last) * (turn_s - float(onsets_s[0])):
        side, edges = onsets_s[1 : last + 1], np.linspace(onsets_s[0], turn_s, 4)
    else:
        side, edges = onsets_s[last + 1 :], np.linspace(turn_s, now_s, 4)
    counts = np.histogram(side, edges)[0]
    return bool((counts >= lower * (edges[1] - edges[0])).all())


def log_ratio(before: Seconds, before_s: Seconds, after: Seconds, after_s: Seconds) -> Seconds:
    """Log likelihood ratio of two Poisson rates against one, elementwise.

    exp of its negative bounds the binomial tail (Chernoff).
    """
    total, total_s = before + after, before_s + after_s
    return np.asarray(
        before * np.log(np.maximum(before, 1.0) / before_s)
        + after * np.log(np.maximum(after, 1.0) / after_s)
        - total * np.log(np.maximum(total, 1.0) / total_s)
    )


def dispersion(onsets_s: Seconds) -> float:
    """How much more counts vary than at random (1 = Poisson or more regular), cautiously.

    Pearson's statistic over its degrees of freedom and one standard deviation of it, for bins of
    about 4, 12 and 36 occurrences; the largest one. 1 where there are too few to tell.
    """
    count, span_s = len(onsets_s) - 1, float(onsets_s[-1] - onsets_s[0])
    worst = 1.0
    for per_bin in _PER_BIN:
        bins = round(count / per_bin)
        if bins < _LEAST_BINS or span_s <= 0.0:
            continue
        place = ((onsets_s[1:] - onsets_s[0]) / span_s * bins).astype(np.intp)
        filled = np.bincount(np.minimum(place, bins - 1), minlength=bins)
        expected = count / bins
        pearson = float(((filled - expected) ** 2).sum()) / expected
        free = bins - 1
        worst = max(worst, pearson / (free + math.sqrt(2.0 * free)))
    return worst


def missing_beats(onsets_s: Seconds, now_s: float) -> float:
    """Evidence (nats) that a regular sound has stopped: 0 where it is not regular.

    Regular = nine of ten of the intervals are one to four times the median within a tenth
    of it. A beat is missing with the share that was missing so far (Laplace's rule).
    """
    intervals = np.diff(onsets_s)
    if len(intervals) < _LEAST_BEATS:
        return 0.0
    period = float(np.median(intervals))
    steps = np.maximum(np.rint(intervals / period), 1.0) if period > 0.0 else intervals
    on_beat = (np.abs(intervals - steps * period) <= _OFF_BEAT * period) & (steps <= _SKIPS)
    if period <= 0.0 or on_beat.mean() < _ON_BEAT_SHARE:
        return 0.0
    beats = float(steps[on_beat].sum())
    missed = (beats - int(on_beat.sum()) + 1.0) / (beats + 2.0)
    due = math.floor((now_s - float(onsets_s[-1])) / period - _OFF_BEAT)
    return -due * math.log(missed) if due > 0 else 0.0
