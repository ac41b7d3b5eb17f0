"""What the rate tracker may be told: bars, floors and bounds, with their units.

Invariant: a config is complete by its defaults; nothing here is tuned to one recording.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateConfig:
    """Settings of :class:`operators.rates.RateTracker`.

    Attributes:
        evaluate_every_s: stream time between two evaluations.
        settle_s: occurrences may be told this long after they began; what is younger waits for
            the next evaluation.
        bar: log likelihood ratio (nats) that a change needs; 12 is about one false alarm in
            100,000 occurrences at a steady rate.
        weary_s: each change told within so long before ...
        weary: ... raises the bar of a pattern by so many times: what keeps changing is no news.
        least_before: occurrences at the old rate that make it known ...
        least_before_s: ... over at least so long.
        least_more: occurrences at a higher rate that make it one ...
        least_span: ... over at least so many intervals of the old rate (a burst is no rate).
        ratio: rates that differ by less are the same.
        again_p: chance at which what comes after a silence is taken for more than a stray.
        same_onset_s: two occurrences of one pattern closer than this are one.
        max_onsets: latest occurrences of each pattern that are judged.
        max_patterns: patterns remembered; the one not heard for longest is forgotten first.
    """

    evaluate_every_s: float = 60.0
    settle_s: float = 10.0
    bar: float = 12.0
    weary_s: float = 21_600.0
    weary: float = 2.0
    least_before: int = 6
    least_before_s: float = 300.0
    least_more: int = 6
    least_span: float = 3.0
    ratio: float = 1.5
    again_p: float = 0.05
    same_onset_s: float = 0.05
    max_onsets: int = 256
    max_patterns: int = 1_024
