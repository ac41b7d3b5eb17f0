"""From numbered stretches of a scene to the events that a baseline reports.

Only what was heard at least three times is reported as a pattern: all baselines go through here,
so that none is charged for, or gains by, what it heard once or twice. Invariant: what is reported
is in order of time, and every label in it has at least ``LEAST_EVENTS`` events.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.discovery.given import Labelled

LEAST_EVENTS = 3
NOISE = -1
"""The number of a stretch that belongs to no pattern."""

Span = tuple[float, float]


def recurring(spans: Iterable[Span], numbers: Iterable[int]) -> list[Labelled]:
    """The events of every number that has enough of them.

    Args:
        spans: (start_s, end_s) of each stretch.
        numbers: the cluster of each stretch, or ``NOISE``.
    """
    numbered = [(*span, number) for span, number in zip(spans, numbers, strict=True)]
    counts = Counter(number for _, _, number in numbered)
    return sorted(
        (
            Labelled(float(start_s), float(end_s), f"c{number}")
            for start_s, end_s, number in numbered
            if number != NOISE and counts[number] >= LEAST_EVENTS
        ),
        key=lambda event: (event.start_s, event.end_s, event.label),
    )


def joined(
    spans: Sequence[Span], numbers: Sequence[int], gap_s: float
) -> tuple[list[Span], list[int]]:
    """Consecutive stretches of one number, at most ``gap_s`` apart, as one."""
    longer: list[Span] = []
    kept: list[int] = []
    for (start_s, end_s), number in zip(spans, numbers, strict=True):
        if kept and kept[-1] == number and start_s - longer[-1][1] <= gap_s:
            longer[-1] = (longer[-1][0], max(end_s, longer[-1][1]))
        else:
            longer.append((start_s, end_s))
            kept.append(number)
    return longer, kept
