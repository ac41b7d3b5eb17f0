"""Two waiting rooms: occurrences without their vectors, vectors without their occurrences.

The model's lane and discovery run independently; either may be far ahead of the other, and the
model's may never come. An occurrence is joined with the nearest onset window of each space once
that space's embeddings have passed it, so that the pairs found do not depend on which lane was
faster. A window serves every occurrence that begins with it (two sounds may start together).

Invariant: bounded on both sides; whoever leaves unjoined is counted with a reason.
"""

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from operators.kinship.config import KinshipConfig
from operators.records import Floats


@dataclass(slots=True)
class Room:
    """The embeddings of one space by position (microseconds), and how far they have come."""

    vectors: dict[int, Floats] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    newest_us: int = -1

    def nearest(self, onset_us: int, within_us: int) -> int | None:
        """Position of the nearest embedding within reach; the earlier one of a tie."""
        at = bisect_left(self.order, onset_us)
        near = self.order[max(at - 1, 0) : at + 1]
        best = min(near, key=lambda position: (abs(position - onset_us), position), default=None)
        return best if best is not None and abs(best - onset_us) <= within_us else None

    def remove(self, position: int) -> bool:
        """Forget one embedding; True if it had served an occurrence."""
        del self.vectors[position]
        del self.order[bisect_left(self.order, position)]
        served = position in self.used
        self.used.discard(position)
        return served


@dataclass(frozen=True, slots=True)
class Joined:
    """A pattern and the vector that was heard with one of its occurrences."""

    pattern: str
    space: str
    position_us: int
    vector: Floats


class Waiting:
    """Joins occurrences and embeddings of one stream.

    Attributes:
        dropped: reason -> how many left unjoined.
    """

    def __init__(self, config: KinshipConfig, spaces: int) -> None:
        self._config = config
        self._spaces = spaces
        self._within_us = round(config.tolerance_s * 1e6)
        self._wait_us = round(config.wait_s * 1e6)
        self._occurrences: list[tuple[int, str, tuple[str, ...]]] = []
        self._rooms: dict[str, Room] = {}
        self._decided_us = -1
        self.dropped: Counter[str] = Counter()

    def add_occurrence(self, onset_us: int, decided_us: int, pattern: str) -> list[Joined]:
        """An occurrence was reported when the stream stood at ``decided_us``."""
        self._decided_us = max(self._decided_us, decided_us)
        joined: list[Joined] = []
        if decided_us - onset_us > self._wait_us:
            self.dropped["occurrence_late"] += 1
        else:
            insort(self._occurrences, (onset_us, pattern, ()))
            joined = self._settle(everything=False)
            if len(self._occurrences) > self._config.max_waiting:
                self._leave(self._occurrences.pop(0))
        for space in self._rooms:
            self._expire(space)
        return joined

    def add_embedding(self, position_us: int, space: str, vector: Floats | None) -> list[Joined]:
        """An embedding came (``vector`` None: it only tells how far the space has come)."""
        room = self._rooms.setdefault(space, Room())
        room.newest_us = max(room.newest_us, position_us)
        if vector is not None and position_us not in room.vectors:
            room.vectors[position_us] = vector
            insort(room.order, position_us)
        joined = self._settle(everything=False)
        while len(room.order) > self._config.max_waiting:
            if not room.remove(room.order[0]):
                self.dropped["embedding_crowded_out"] += 1
        self._expire(space)
        return joined

    def rename(self, alias: str, survivor: str) -> None:
        """Occurrences that wait as ``alias`` wait as ``survivor`` from now on."""
        renamed = [
            (onset, survivor if pattern == alias else pattern, spaces)
            for onset, pattern, spaces in self._occurrences
        ]
        self._occurrences = sorted(renamed)

    def forget(self, pattern: str) -> None:
        """Nobody waits for a retired pattern."""
        self._occurrences = [item for item in self._occurrences if item[1] != pattern]

    def conclude(self) -> list[Joined]:
        """Nothing more comes: join what can be joined, count and drop the rest."""
        joined = self._settle(everything=True)
        for item in self._occurrences:
            self._leave(item)
        for room in self._rooms.values():
            self.dropped["embedding_unmatched"] += len(room.order) - len(room.used)
        self._occurrences = []
        self._rooms = {}
        return joined

    def _settle(self, everything: bool) -> list[Joined]:
        """Join every occurrence with the spaces whose embeddings have passed it."""
        joined: list[Joined] = []
        kept: list[tuple[int, str, tuple[str, ...]]] = []
        furthest_us = max((room.newest_us for room in self._rooms.values()), default=-1)
        for number, (onset_us, pattern, settled) in enumerate(self._occurrences):
            if not everything and onset_us + self._within_us >= furthest_us:
                kept += self._occurrences[number:]
                break
            done = settled
            for space in sorted(self._rooms):
                room = self._rooms[space]
                if space in done or not (everything or room.newest_us > onset_us + self._within_us):
                    continue
                done = (*done, space)
                position = room.nearest(onset_us, self._within_us)
                if position is None:
                    self.dropped["occurrence_unmatched"] += 1
                else:
                    room.used.add(position)
                    joined.append(Joined(pattern, space, position, room.vectors[position]))
            if len(done) < self._spaces:
                kept.append((onset_us, pattern, done))
        self._occurrences = kept
        return joined

    def _expire(self, space: str) -> None:
        """Embeddings that discovery has left far behind and no waiting occurrence may need."""
        room = self._rooms[space]
        limit = self._decided_us - self._wait_us - self._within_us
        needs = (onset_us for onset_us, _, done in self._occurrences if space not in done)
        limit = min(limit, next(needs, limit) - self._within_us)
        while room.order and room.order[0] < limit:
            if not room.remove(room.order[0]):
                self.dropped["embedding_unmatched"] += 1

    def _leave(self, item: tuple[int, str, tuple[str, ...]]) -> None:
        if len(item[2]) < self._spaces:
            self.dropped["occurrence_without_vectors"] += 1

    def snapshot(self) -> dict[str, Any]:
        """Both rooms as plain lists and arrays."""
        return {
            "spaces": self._spaces,
            "occurrences": [[o, p, list(s)] for o, p, s in self._occurrences],
            "rooms": [
                [
                    space,
                    room.newest_us,
                    [[at, room.vectors[at], at in room.used] for at in room.order],
                ]
                for space, room in self._rooms.items()
            ],
            "decided_us": self._decided_us,
            "dropped": dict(self.dropped),
        }

    @classmethod
    def restore(cls, state: dict[str, Any], config: KinshipConfig) -> "Waiting":
        """The rooms that ``snapshot`` described."""
        waiting = cls(config, state["spaces"])
        waiting._occurrences = [(o, p, tuple(s)) for o, p, s in state["occurrences"]]
        for space, newest_us, held in state["rooms"]:
            room = waiting._rooms[space] = Room(newest_us=newest_us)
            for at, vector, used in held:
                room.vectors[at] = vector
                room.order.append(at)
                if used:
                    room.used.add(at)
        waiting._decided_us = state["decided_us"]
        waiting.dropped = Counter(state["dropped"])
        return waiting
