"""Joins the models' lanes with discovery: centroids of patterns, and which patterns are similar.

Which are variants of each other is told beside it, by their templates alone.

Items are held until every lane has passed the same boundary of stream time (``barrier``); then the
interval's embeddings and occurrences are joined, and what changed is told. So what is said, and
its order, depends on each lane's own sequence and not on which lane was faster: after a restart it
is said again word for word. Only where a stuck lane made intervals go without it (``forced``) may
it depend on timing.

Invariant: discovery never depends on it; with no vectors it tells variants and loses nothing. What
was told of a pattern that is no more is withdrawn. An occurrence that is taken back leaves its
pattern's centroid as long as its window is remembered (``revise_s``). It does not know audio,
models or other streams.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from operators import records
from operators.aliases import Aliases
from operators.kinship.barrier import DISCOVERY, Barrier, Interval
from operators.kinship.centroids import Centroid
from operators.kinship.config import KinshipConfig
from operators.kinship.likeness import Likeness
from operators.kinship.rooms import Joined, Rooms
from operators.kinship.variants import Variants
from operators.records import Embedding, Occurrence, Pattern, Relation, StreamEnd, Verdict, to_s
from operators.revision import Revision

VERSION = 5
Said: TypeAlias = records.Centroid | Relation
Item: TypeAlias = Embedding | Verdict | Occurrence | Pattern | Revision


class Kinship:
    """Vectors of the patterns of one stream, in one space or several.

    Args:
        stream: id of the stream.
        config: tolerances, waits and bars.
        lanes: how many ``StreamEnd`` come: discovery's, and one for each model asked for.
        lane_of: space -> whose lane its vectors come on, where a lane brings several (a ladder
            of models); a space that is not named is a lane of its own.
    """

    def __init__(
        self,
        stream: str,
        config: KinshipConfig | None = None,
        lanes: int = 2,
        lane_of: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config if config is not None else KinshipConfig()
        self._stream = stream
        self._lanes = lanes
        self._lane_of = dict(lane_of or {})
        self._ended = 0
        self._barrier = Barrier(
            lanes,
            every_us=_us(self.config.evaluate_every_s),
            reach_us=_us(self.config.tolerance_s),
            max_held=self.config.max_held,
        )
        self._rooms = Rooms(self.config, max(1, lanes - 1))
        self._likeness = Likeness(stream, self.config)
        self._variants = Variants(stream, self.config)
        self._centroids: dict[str, dict[str, Centroid]] = {}
        self._alias = Aliases()
        self._gone: dict[tuple[str, str], Centroid] = {}

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> how many occurrences, embeddings or centroids were left out."""
        return {reason: count for reason, count in self._rooms.dropped.items() if count}

    @property
    def forced(self) -> int:
        """Intervals that were processed before every lane had passed them."""
        return self._barrier.forced

    def hear(self, item: Item | StreamEnd) -> list[Said]:
        """Take one item of any lane; within a lane in order, between lanes in any order.

        A verdict tells how far a lane has come that has no vector to bring.

        Returns:
            For every interval of ``evaluate_every_s`` that all lanes have passed now, and at the
            last lane's end for the rest: centroids that are gone or have changed, then relations
            that are withdrawn, new or changed.
        """
        if isinstance(item, StreamEnd):
            self._ended += 1
            if self._ended < self._lanes:
                return []
            self._ended = 0  # a stream that ended may be taken up again
            return self._conclude()
        self._hold(item)
        said: list[Said] = []
        while (interval := self._barrier.passed()) is not None:
            said += self._process(interval)
        return said

    def _hold(self, item: Item) -> None:
        """Hold what will be needed; everything else tells how far its lane has come."""
        if isinstance(item, Embedding | Verdict):
            lane = self._lane_of.get(item.space, item.space)
            held = item if isinstance(item, Embedding) and item.onset else None
            if isinstance(item, Embedding):
                self._rooms.open(item.space)
            self._barrier.put(lane, _us(to_s(item.index)), held)
        elif isinstance(item, Pattern):
            self._barrier.put(DISCOVERY, _us(item.last_s), item)
        else:
            longest_s = max(self.config.wait_s, self.config.revise_s)
            late = item.emitted_s - item.start_s > longest_s
            kind = "occurrence" if isinstance(item, Occurrence) else "revision"
            claims = isinstance(item, Occurrence) or bool(item.gone)
            self._rooms.dropped[f"{kind}_late"] += late and claims
            position_us = _us(max(item.emitted_s, item.start_s))
            self._barrier.put(DISCOVERY, position_us, item if claims and not late else None)

    def _conclude(self) -> list[Said]:
        said: list[Said] = []
        while (interval := self._barrier.rest()) is not None:
            said += self._process(interval)
        self._rooms.conclude()
        said += self._likeness.compare(self._centroids, final=True)
        return said + self._variants.tell(final=True)

    def _process(self, interval: Interval) -> list[Said]:
        for item in interval.items:
            if isinstance(item, Embedding):
                self._rooms.add(item.space, _us(to_s(item.index)), item.vector)
            elif isinstance(item, Pattern):
                self._learn(item)
            elif isinstance(item, Revision):
                self._take_back(item)
            else:
                name = self._alias.of(item.pattern)
                for joined in self._rooms.join((_us(item.start_s), item.pattern)):
                    self._take(name, joined)
        self._rooms.expire(interval.end_us)
        said: list[Said] = [*self._tell_changes()]
        if said:  # otherwise no pair changed either, and comparing all of them takes its time
            said += self._likeness.compare(self._centroids, final=False)
        return said + self._variants.tell(final=False)

    def _learn(self, pattern: Pattern) -> None:
        """A pattern was merged into another one, or is no more."""
        self._variants.learn(pattern)
        name, into = pattern.pattern, self._alias.of(pattern.into)
        if pattern.status == "retired":
            for space in self._centroids:
                self._remove(space, name)
        elif into and into != name:
            self._alias.merge(name, into)
            for space, centroids in self._centroids.items():
                old = self._remove(space, name)
                if old is not None:
                    own = centroids.setdefault(into, Centroid(np.zeros_like(old.total)))
                    twice = sorted({*own.positions} & {*old.positions})
                    own.fold(old, self.config.max_indices)
                    for position_us in twice:
                        vector = self._rooms.vector(space, position_us)
                        if vector is not None:
                            own.take_back(vector, position_us, 1)

    def _take(self, name: str, joined: Joined) -> None:
        centroids = self._centroids.setdefault(joined.space, {})
        if name not in centroids:
            if len(centroids) >= self.config.max_patterns:
                oldest = min(centroids, key=lambda other: (centroids[other].last_us, other))
                self._remove(joined.space, oldest)
                self._rooms.dropped["centroid_crowded_out"] += 1
            centroids[name] = Centroid(np.zeros(len(joined.vector), np.int64))
        centroids[name].add(joined.vector, joined.position_us, self.config.max_indices)

    def _take_back(self, revision: Revision) -> None:
        """An occurrence is gone: its windows leave the centroids, unless others claim them, too."""
        name = self._alias.of(revision.pattern_from)
        for parted in self._rooms.part((_us(revision.start_s), revision.pattern_from)):
            centroid = self._centroids.get(parted.space, {}).get(name)
            if centroid is not None:
                claimed = any(self._alias.of(told_as) == name for told_as in parted.told_as)
                centroid.take_back(parted.vector, parted.position_us, int(claimed))
                if not centroid.count:
                    self._remove(parted.space, name)

    def _remove(self, space: str, name: str) -> Centroid | None:
        """Forget a centroid; if it was told, that it is gone is told with the next changes."""
        centroid = self._centroids[space].pop(name, None)
        if centroid is not None and centroid.told:
            self._gone[space, name] = centroid
        return centroid

    def _tell_changes(self) -> Iterable[records.Centroid]:
        for (space, name), centroid in sorted(self._gone.items()):
            if name not in self._centroids[space]:
                yield self._record(name, space, centroid, withdrawn=True)
        self._gone.clear()
        for space in sorted(self._centroids):
            for name, centroid in sorted(self._centroids[space].items()):
                if centroid.changed:
                    centroid.told, centroid.changed = True, False
                    yield self._record(name, space, centroid)

    def _record(
        self, pattern: str, space: str, centroid: Centroid, *, withdrawn: bool = False
    ) -> records.Centroid:
        vector = centroid.direction().astype(np.float32)
        vector.flags.writeable = False
        return records.Centroid(self._stream, pattern, space, vector, centroid.count, withdrawn)

    def snapshot(self) -> dict[str, Any]:
        """Everything that survives a restart, as plain data that does not change afterwards."""
        return {
            "version": VERSION,
            "stream": self._stream,
            "lanes": self._lanes,
            "lane_of": dict(self._lane_of),
            "ended": self._ended,
            "barrier": self._barrier.snapshot(),
            "rooms": self._rooms.snapshot(),
            "centroids": {
                space: {name: centroid.snapshot() for name, centroid in known.items()}
                for space, known in self._centroids.items()
            },
            "alias": self._alias.snapshot(),
            "reported": self._likeness.snapshot(),
            "variants": self._variants.snapshot(),
        }

    @classmethod
    def restore(
        cls,
        state: dict[str, Any],
        config: KinshipConfig | None = None,
        lane_of: Mapping[str, str] | None = None,
    ) -> "Kinship":
        """The kinship that ``snapshot`` described; goes on exactly where it stopped.

        ``lane_of`` replaces the snapshot's: weights may have been exchanged in between.

        Raises:
            ValueError: the state is of another version.
        """
        if state["version"] != VERSION:
            msg = f"kinship: state of version {state['version']}, this build reads {VERSION}"
            raise ValueError(f"{msg}; start without the recovery state")
        lane_of = state["lane_of"] if lane_of is None else lane_of
        kinship = cls(state["stream"], config, state["lanes"], lane_of)
        kinship._ended = state["ended"]
        kinship._barrier.resume(state["barrier"])
        kinship._rooms.resume(state["rooms"])
        kinship._centroids = {
            space: {name: Centroid.restore(held) for name, held in known.items()}
            for space, known in state["centroids"].items()
        }
        kinship._alias = Aliases.restore(state["alias"])
        kinship._likeness.resume(state["reported"])
        kinship._variants.resume(state["variants"])
        return kinship


def _us(position_s: float) -> int:
    """A stream position in whole microseconds."""
    return round(position_s * 1e6)
