"""Which patterns are similar, and what has to be said about it since the last time.

Invariant: what was reported and is not withdrawn is what a reader believes; small changes wait
for the end.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from operators.kinship.affinity import affinities
from operators.kinship.centroids import Centroid
from operators.kinship.config import KinshipConfig
from operators.records import Relation
from operators.reported import Reported

Centroids = Mapping[str, Mapping[str, Centroid]]
"""space -> pattern -> its centroid."""


class Likeness:
    """The ``similar`` relations of one stream."""

    def __init__(self, stream: str, config: KinshipConfig) -> None:
        self._stream = stream
        self._config = config
        self._reported = Reported(_moved)

    def compare(self, centroids: Centroids, *, final: bool) -> list[Relation]:
        """Relations that are withdrawn, new, or changed (``final``: however little)."""
        return self._reported.changes(self._similar(centroids), final=final)

    def _similar(self, centroids: Centroids) -> dict[str, Relation]:
        """Relations by key; of several spaces the one in which the pair stands out most."""
        best: dict[str, tuple[float, Relation]] = {}
        for space in sorted(centroids):
            known = centroids[space]
            names = sorted(n for n, c in known.items() if c.count >= self._config.min_vectors)
            if len(names) < self._config.min_patterns:
                continue
            rows = np.stack([known[name].direction() for name in names])
            for pair in affinities(rows, self._config):
                ends = names[pair.first], names[pair.second]
                relation = self._relation(ends, (known[ends[0]], known[ends[1]]), pair.cosine)
                if pair.z > best.get(relation.key, (0.0, relation))[0]:
                    best[relation.key] = (pair.z, relation)
        return {key: relation for key, (_, relation) in best.items()}

    def _relation(
        self, ends: tuple[str, str], pair: tuple[Centroid, Centroid], cosine: float
    ) -> Relation:
        return Relation(
            stream=self._stream,
            kind="similar",
            source=ends[0],
            target=ends[1],
            support=min(centroid.count for centroid in pair),
            probability=cosine,
            first_s=min(centroid.first_us for centroid in pair) / 1e6,
            last_s=max(centroid.last_us for centroid in pair) / 1e6,
        )

    def snapshot(self) -> list[dict[str, Any]]:
        """What was reported and still stands."""
        return self._reported.snapshot()

    def resume(self, state: list[dict[str, Any]]) -> None:
        """Go on where ``snapshot`` was taken."""
        self._reported.resume(state)


def _moved(before: Relation, now: Relation) -> bool:
    """Whether a reader would want to hear of it again."""
    other = abs(now.support - before.support) >= max(1.0, 0.1 * before.support)
    return other or abs((now.probability or 0.0) - (before.probability or 0.0)) > 0.02
