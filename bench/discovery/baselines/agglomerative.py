"""Offline: onset-aligned segments, hybrid vectors, average linkage cut at a distance.

Invariant: it hears the whole scene before it decides anything; no randomness. Average linkage is
Sokal and Michener's (1958), as scipy computes it.
"""

from scipy.cluster.hierarchy import fcluster, linkage

from bench.discovery.baselines.reporting import recurring
from bench.discovery.baselines.segments import segments_of
from bench.discovery.baselines.vectors import hybrid
from bench.discovery.given import Given, Labelled
from operators.records import Floats

SHARE = 0.75
"""Of the default model in a hybrid vector; with the next one the best on
development scenes (synthetic sounds, seeds 1-5, three presets)."""
MOST_DISTANCE = 0.4


def run(given: Given, most_distance: float = MOST_DISTANCE) -> list[Labelled]:
    """The recurring segments by how alike their vectors are."""
    spans = segments_of(given.regions)
    return recurring(spans, cut(hybrid(given.samples, spans, SHARE), most_distance))


def cut(vectors: Floats, most_distance: float) -> list[int]:
    """The cluster of each of (n, dimension) vectors.

    Args:
        vectors: not all zero.
        most_distance: mean cosine distance up to which two clusters are joined.
    """
    if len(vectors) < 2:
        return [0] * len(vectors)
    tree = linkage(vectors, method="average", metric="cosine")
    return [int(number) for number in fcluster(tree, most_distance, criterion="distance")]
