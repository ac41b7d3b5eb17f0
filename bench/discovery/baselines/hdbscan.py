"""Offline: onset-aligned segments, hybrid vectors, HDBSCAN (Campello et al. 2013, in scikit-learn).

Invariant: it hears the whole scene before it decides anything; no randomness. What HDBSCAN takes
for noise is not reported.
"""

from sklearn.cluster import HDBSCAN

from bench.discovery.baselines.agglomerative import SHARE
from bench.discovery.baselines.reporting import LEAST_EVENTS, NOISE, recurring
from bench.discovery.baselines.segments import segments_of
from bench.discovery.baselines.vectors import hybrid
from bench.discovery.given import Given, Labelled

LEAST_SAMPLES = 3
"""Best of 1 to 3 on development scenes (synthetic sounds, seeds 1-5, three presets)."""


def run(given: Given, least_samples: int = LEAST_SAMPLES) -> list[Labelled]:
    """The recurring segments by the density of their vectors."""
    spans = segments_of(given.regions)
    if len(spans) < LEAST_EVENTS:
        return []
    clustering = HDBSCAN(
        min_cluster_size=LEAST_EVENTS, min_samples=least_samples, copy=True
    )  # unit vectors: Euclidean distance ranks as the cosine does
    numbers = clustering.fit_predict(hybrid(given.samples, spans, SHARE))
    return recurring(spans, [max(int(number), NOISE) for number in numbers])
