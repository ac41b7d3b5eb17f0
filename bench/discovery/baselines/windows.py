"""Online: windows of 1 s every half second, the default model, leader clustering.

What a tutorial builds. Windows without activity are left out (grym's own gate, which is kinder
than a tutorial's), windows of one cluster that overlap are one event, and an event begins and ends
with the activity inside its windows. Invariant: every decision is taken when its window ends, and
stands.
"""

from bench.discovery.baselines.leader import led
from bench.discovery.baselines.reporting import Span, joined, recurring
from bench.discovery.baselines.segments import activity_of
from bench.discovery.baselines.vectors import WINDOW_S, embedded
from bench.discovery.given import Given, Labelled
from operators.records import ANALYSIS_RATE_HZ

HOP_S = 0.5
LEAST_ACTIVE_S = 0.2
LEAST_COSINE = 0.75
"""Between .7 (best event F1) and .8 (best B-cubed F) on development scenes (synthetic sounds, seeds
1-2, three presets)."""


def run(given: Given, least_cosine: float = LEAST_COSINE) -> list[Labelled]:
    """The recurring stretches by how alike their windows are."""
    active = active_windows(activity_of(given.regions), len(given.samples) / ANALYSIS_RATE_HZ)
    windows = [(start_s, start_s + WINDOW_S) for start_s, _ in active]
    numbers = led(embedded(given.samples, windows), least_cosine)
    spans = [heard for _, heard in active]
    return recurring(*joined(spans, numbers, HOP_S))


def active_windows(activity: list[Span], duration_s: float) -> list[tuple[float, Span]]:
    """Start of each window with enough activity, and from when to when there is some in it."""
    found: list[tuple[float, Span]] = []
    first = 0
    for number in range(int((duration_s - WINDOW_S) / HOP_S) + 1):
        start_s = number * HOP_S
        while first < len(activity) and activity[first][1] <= start_s:
            first += 1
        inside = [
            (max(begin, start_s), min(end, start_s + WINDOW_S))
            for begin, end in activity[first : first + 8]
            if begin < start_s + WINDOW_S
        ]
        if sum(end - begin for begin, end in inside) >= LEAST_ACTIVE_S:
            found.append((start_s, (inside[0][0], inside[-1][1])))
    return found
