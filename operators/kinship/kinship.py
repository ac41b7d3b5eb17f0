"""Joins the model's lane with discovery: centroids of patterns, and which patterns are similar.

Invariant: discovery never depends on it; with no vectors it says nothing and loses nothing. When
both lanes have ended, what was said depends only on what came, not on which lane was faster. It
does not know audio, models or other streams.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from operators import records
from operators.kinship.affinity import affinities
from operators.kinship.centroids import Centroid
from operators.kinship.config import KinshipConfig
from operators.kinship.waiting import Joined, Waiting
from operators.records import Embedding, Occurrence, Pattern, Relation, StreamEnd, to_s

VERSION = 1
_MAX_ALIASES = 4_096
Said = records.Centroid | Relation


class Kinship:
    """Vectors of the patterns of one stream, in one space or several.

    Args:
        stream: id of the stream.
        config: tolerances, waits and bars.
        lanes: how many ``StreamEnd`` come: discovery's, and one for each model.
    """

    def __init__(self, stream: str, config: KinshipConfig | None = None, lanes: int = 2) -> None:
        self.config = config if config is not None else KinshipConfig()
        self._stream = stream
        self._lanes = lanes
        self._ended = 0
        self._waiting = Waiting(self.config, max(1, lanes - 1))
        self._centroids: dict[str, dict[str, Centroid]] = {}
        self._alias: dict[str, str] = {}
        self._reported: dict[str, Relation] = {}
        self._next_s = self.config.evaluate_every_s

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> how many occurrences or embeddings left without being joined."""
        return {reason: count for reason, count in self._waiting.dropped.items() if count}

    def hear(self, item: Embedding | Occurrence | Pattern | StreamEnd) -> list[Said]:
        """Take one item of either lane, in any order between the lanes.

        Returns:
            Centroids whose count reached the next Fibonacci number, and, every
            ``evaluate_every_s`` of stream time and at the end, relations that are new, changed
            or withdrawn.
        """
        if isinstance(item, Pattern):
            return self._learn(item)
        if isinstance(item, StreamEnd):
            return self._end()
        if isinstance(item, Occurrence):
            position_s = item.emitted_s
            joined = self._waiting.add_occurrence(
                round(item.start_s * 1e6), round(item.emitted_s * 1e6), self._name(item.pattern)
            )
        else:
            position_s = to_s(item.index)
            vector = item.vector if item.onset and self._usable(item) else None
            joined = self._waiting.add_embedding(round(position_s * 1e6), item.space, vector)
        said: list[Said] = [*self._take(joined)]
        if position_s >= self._next_s:
            every = self.config.evaluate_every_s
            self._next_s = (position_s // every + 1) * every
            said += self._compare(final=False)
        return said

    def _name(self, pattern: str) -> str:
        return self._alias.get(pattern, pattern)

    def _usable(self, item: Embedding) -> bool:
        """Whether a vector has a direction and the dimension of its space."""
        known = next(iter(self._centroids.get(item.space, {}).values()), None)
        fits = known is None or known.total.shape == item.vector.shape
        usable = fits and bool(np.isfinite(item.vector).all()) and bool(item.vector.any())
        if not usable:
            self._waiting.dropped["embedding_unusable"] += 1
        return usable

    def _learn(self, pattern: Pattern) -> list[Said]:
        name, into = pattern.pattern, self._name(pattern.into)
        if pattern.status == "merged" and into and into != name:
            for alias, survivor in self._alias.items():
                if survivor == name:
                    self._alias[alias] = into
            self._alias[name] = into
            if len(self._alias) > _MAX_ALIASES:
                del self._alias[next(iter(self._alias))]
            self._waiting.rename(name, into)
            return [*self._fold(name, into)]
        if pattern.status == "retired":
            self._waiting.forget(name)
            for centroids in self._centroids.values():
                centroids.pop(name, None)
        return []

    def _fold(self, alias: str, survivor: str) -> Iterable[Said]:
        for space in sorted(self._centroids):
            centroids = self._centroids[space]
            old = centroids.pop(alias, None)
            if old is None:
                continue
            own = centroids.setdefault(survivor, Centroid(np.zeros_like(old.total)))
            own.fold(old, self.config.max_indices)
            yield self._tell(survivor, space, own)

    def _take(self, joined: list[Joined]) -> Iterable[Said]:
        for pair in joined:
            centroids = self._centroids.setdefault(pair.space, {})
            own = centroids.get(pair.pattern)
            if own is None:
                if len(centroids) >= self.config.max_patterns:
                    del centroids[min(centroids, key=lambda name: (centroids[name].last_us, name))]
                own = centroids[pair.pattern] = Centroid(np.zeros(len(pair.vector), np.int64))
            added = own.add(pair.vector, pair.position_us, self.config.max_indices)
            if added and _fibonacci(own.count):
                yield self._tell(pair.pattern, pair.space, own)

    def _tell(self, pattern: str, space: str, centroid: Centroid) -> records.Centroid:
        centroid.told = centroid.count
        vector = centroid.direction().astype(np.float32)
        vector.flags.writeable = False
        return records.Centroid(self._stream, pattern, space, vector, centroid.count)

    def _end(self) -> list[Said]:
        self._ended += 1
        if self._ended != self._lanes:
            return []
        said: list[Said] = [*self._take(self._waiting.conclude())]
        for space in sorted(self._centroids):
            for name, centroid in sorted(self._centroids[space].items()):
                if centroid.told != centroid.count:
                    said.append(self._tell(name, space, centroid))
        return said + self._compare(final=True)

    def _compare(self, final: bool) -> list[Said]:
        present = self._similar()
        said: list[Said] = [
            replace(self._reported.pop(key), withdrawn=True)
            for key in sorted(set(self._reported) - set(present))
        ]
        for key in sorted(present):
            before = self._reported.get(key)
            if before is None or (
                before != present[key] if final else _moved(before, present[key])
            ):
                self._reported[key] = present[key]
                said.append(present[key])
        return said

    def _similar(self) -> dict[str, Relation]:
        """Relations by key; of several spaces the one in which the pair stands out most."""
        best: dict[str, tuple[float, Relation]] = {}
        for space in sorted(self._centroids):
            known = self._centroids[space]
            names = sorted(n for n, c in known.items() if c.count >= self.config.min_vectors)
            if len(names) < self.config.min_patterns:
                continue
            rows = np.stack([known[name].direction() for name in names])
            for pair in affinities(rows, self.config):
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

    def snapshot(self) -> dict[str, Any]:
        """Everything that survives a restart, as plain data."""
        return {
            "version": VERSION,
            "stream": self._stream,
            "lanes": self._lanes,
            "ended": self._ended,
            "waiting": self._waiting.snapshot(),
            "centroids": {
                space: {name: centroid.snapshot() for name, centroid in known.items()}
                for space, known in self._centroids.items()
            },
            "alias": [list(item) for item in self._alias.items()],
            "reported": [asdict(relation) for relation in self._reported.values()],
            "next_s": self._next_s,
        }

    @classmethod
    def restore(cls, state: dict[str, Any], config: KinshipConfig | None = None) -> "Kinship":
        """The kinship that ``snapshot`` described; goes on exactly where it stopped.

        Raises:
            ValueError: the state is of another version.
        """
        if state["version"] != VERSION:
            msg = f"kinship: state of version {state['version']}, this build reads {VERSION}"
            raise ValueError(f"{msg}; start without the recovery state")
        kinship = cls(state["stream"], config, state["lanes"])
        kinship._ended = state["ended"]
        kinship._waiting = Waiting.restore(state["waiting"], kinship.config)
        kinship._centroids = {
            space: {name: Centroid.restore(held) for name, held in known.items()}
            for space, known in state["centroids"].items()
        }
        kinship._alias = dict(state["alias"])
        for fields in state["reported"]:
            relation = Relation(**fields)
            kinship._reported[relation.key] = relation
        kinship._next_s = state["next_s"]
        return kinship


def _fibonacci(count: int) -> bool:
    """Whether to report a centroid of so many vectors: 1, 2, 3, 5, 8, ... keeps rows few."""
    low, high = 1, 2
    while low < count:
        low, high = high, low + high
    return low == count


def _moved(before: Relation, now: Relation) -> bool:
    """Whether a reader would want to hear of it again."""
    grown = now.support - before.support >= max(1.0, 0.1 * before.support)
    return grown or abs((now.probability or 0.0) - (before.probability or 0.0)) > 0.02
