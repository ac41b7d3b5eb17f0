"""Online: onset-aligned segments, log-mel vectors of them, leader clustering.

Invariant: no learnt weights; every decision is taken when its segment ends, and stands.
"""

from bench.discovery.baselines.leader import led
from bench.discovery.baselines.reporting import recurring
from bench.discovery.baselines.segments import segments_of
from bench.discovery.baselines.vectors import embedded
from bench.discovery.given import Given, Labelled

LEAST_COSINE = 0.7
"""Best of .3 to .8 on development scenes (synthetic sounds, seeds 1-5, three presets)."""


def run(given: Given, least_cosine: float = LEAST_COSINE) -> list[Labelled]:
    """The recurring segments by how alike their log-mel vectors are."""
    spans = segments_of(given.regions)
    return recurring(spans, led(embedded(given.samples, spans, "logmel"), least_cosine))
