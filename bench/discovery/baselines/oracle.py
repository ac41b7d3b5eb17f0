"""Offline, and told where every event is: true segments, hybrid vectors, average linkage.

The bound of what clustering vectors can reach, however well it segments. Invariant: it is told
where events start and end, and never which of them are the same.
"""

from bench.discovery.baselines.agglomerative import SHARE, cut
from bench.discovery.baselines.reporting import recurring
from bench.discovery.baselines.vectors import hybrid
from bench.discovery.given import Given, Labelled

MOST_DISTANCE = 0.35
"""Best of .25 to .45 on development scenes (synthetic sounds, seeds 1-5, three presets)."""


def run(given: Given, most_distance: float = MOST_DISTANCE) -> list[Labelled]:
    """The recurring events by how alike their vectors are."""
    vectors = hybrid(given.samples, given.segments, SHARE)
    return recurring(given.segments, cut(vectors, most_distance))
