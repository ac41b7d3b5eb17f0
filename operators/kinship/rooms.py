"""Where onset windows wait for the occurrences that began with them, one room a space.

An occurrence takes the nearest window of each space. A window serves every occurrence that begins
with it (two sounds may start together), and it waits long after, because the first occurrence of
a pattern is told only when the second one has been heard. One that has served stays still longer,
with who claims it: hindsight may give it to another pattern.

Invariant: every room is bounded; a window or occurrence that leaves unjoined is counted with a
reason, and so is an occurrence taken back that claims no window here any more. It relies on being
told of all windows near an occurrence before the occurrence.
"""

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from operators.kinship.config import KinshipConfig
from operators.records import Floats

Claim: TypeAlias = tuple[int, str]
"""Onset of an occurrence (microseconds) and the pattern it was told of."""


@dataclass(slots=True)
class Room:
    """Windows of one space by position (microseconds), and the occurrences that each served."""

    vectors: dict[int, Floats] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    served: dict[int, set[Claim]] = field(default_factory=dict)
    dimension: int = 0

    def accepts(self, vector: Floats) -> bool:
        """Whether a vector has a direction and the dimension of the first one."""
        fits = self.dimension in (0, len(vector))
        return fits and bool(np.isfinite(vector).all()) and bool(vector.any())

    def nearest(self, onset_us: int, within_us: int) -> int | None:
        """Position of the nearest window within reach; the earlier one of a tie."""
        at = bisect_left(self.order, onset_us)
        near = self.order[max(at - 1, 0) : at + 1]
        best = min(near, key=lambda position: (abs(position - onset_us), position), default=None)
        return best if best is not None and abs(best - onset_us) <= within_us else None

    def claimed(self, claim: Claim, within_us: int) -> int | None:
        """Position of the window that an occurrence took, if it is still here."""
        low = bisect_left(self.order, claim[0] - within_us)
        high = bisect_left(self.order, claim[0] + within_us + 1)
        near = (at for at in self.order[low:high] if claim in self.served.get(at, ()))
        return next(near, None)

    def leave(self, place: int = 0) -> bool:
        """The window in this place goes, the earliest if unsaid; True if it had served."""
        position = self.order.pop(place)
        del self.vectors[position]
        return self.served.pop(position, None) is not None


@dataclass(frozen=True, slots=True)
class Joined:
    """The window of one space that an occurrence began with.

    Attributes:
        told_as: names under which it is claimed, this occurrence's left out.
    """

    space: str
    position_us: int
    vector: Floats
    told_as: frozenset[str] = frozenset()


class Rooms:
    """The waiting windows of one stream in all of its spaces.

    Attributes:
        dropped: reason -> how many windows or occurrences left unjoined.
    """

    def __init__(self, config: KinshipConfig, spaces: int) -> None:
        self._config = config
        self._spaces = spaces
        self._within_us = round(config.tolerance_s * 1e6)
        self._wait_us = round(config.wait_s * 1e6)
        self._stay_us = round(max(config.wait_s, config.revise_s) * 1e6)
        self._rooms: dict[str, Room] = {}
        self.dropped: Counter[str] = Counter()

    def open(self, space: str) -> None:
        """There is such a space: an occurrence without a window in it is unmatched there."""
        self._rooms.setdefault(space, Room())

    def add(self, space: str, position_us: int, vector: Floats) -> None:
        """An onset window waits from now on; the earliest one goes if the room is full."""
        room = self._rooms.setdefault(space, Room())
        if not room.accepts(vector):
            self.dropped["embedding_unusable"] += 1
            return
        room.dimension = len(vector)
        if position_us not in room.vectors:
            room.vectors[position_us] = vector
            insort(room.order, position_us)
        if len(room.order) > self._config.max_waiting and not room.leave():
            self.dropped["embedding_crowded_out"] += 1

    def join(self, claim: Claim) -> list[Joined]:
        """The windows, at most one of each space, that an occurrence began with: it claims them."""
        joined: list[Joined] = []
        for space, room in sorted(self._rooms.items()):
            position = room.nearest(claim[0], self._within_us)
            if position is None:
                self.dropped["occurrence_unmatched"] += 1
            else:
                room.served.setdefault(position, set()).add(claim)
                joined.append(Joined(space, position, room.vectors[position]))
        if len(self._rooms) < self._spaces:
            self.dropped["occurrence_without_vectors"] += 1
        return joined

    def part(self, claim: Claim) -> list[Joined]:
        """The windows that an occurrence had claimed, and does so no more."""
        parted: list[Joined] = []
        for space, room in sorted(self._rooms.items()):
            position = room.claimed(claim, self._within_us)
            if position is None:
                self.dropped["revision_unmatched"] += 1
                continue
            room.served[position].discard(claim)
            left = frozenset(told_as for _, told_as in room.served[position])
            parted.append(Joined(space, position, room.vectors[position], left))
        return parted

    def vector(self, space: str, position_us: int) -> Floats | None:
        """That of a window, if it is still here."""
        room = self._rooms.get(space)
        return room.vectors.get(position_us) if room else None

    def expire(self, decided_us: int) -> None:
        """Discovery has decided up to here: windows it has left too far behind go."""
        limit = decided_us - self._wait_us - self._within_us
        longest = decided_us - self._stay_us - self._within_us
        for room in self._rooms.values():
            for place in reversed(range(bisect_left(room.order, limit))):
                at = room.order[place]
                if (at < longest or at not in room.served) and not room.leave(place):
                    self.dropped["embedding_unmatched"] += 1

    def conclude(self) -> None:
        """Nothing more comes: the rest is counted and goes."""
        for room in self._rooms.values():
            self.dropped["embedding_unmatched"] += len(room.order) - len(room.served)
        self._rooms = {}

    def snapshot(self) -> dict[str, Any]:
        """The rooms as plain lists and arrays."""
        return {
            "rooms": [
                [
                    space,
                    room.dimension,
                    [
                        [at, room.vectors[at], [list(c) for c in sorted(room.served[at])]]
                        if at in room.served
                        else [at, room.vectors[at], None]
                        for at in room.order
                    ],
                ]
                for space, room in self._rooms.items()
            ],
            "dropped": dict(self.dropped),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where ``snapshot`` was taken."""
        self._rooms = {
            space: Room(
                vectors={at: vector for at, vector, _ in held},
                order=[at for at, _, _ in held],
                served={
                    at: {(onset_us, told_as) for onset_us, told_as in claims}
                    for at, _, claims in held
                    if claims is not None
                },
                dimension=dimension,
            )
            for space, dimension, held in state["rooms"]
        }
        self.dropped = Counter(state["dropped"])
