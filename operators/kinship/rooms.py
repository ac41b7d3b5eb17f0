"""Where onset windows wait for the occurrences that began with them, one room a space.

An occurrence takes the nearest window of each space. A window serves every occurrence that begins
with it (two sounds may start together), and it waits long after, because the first occurrence of
a pattern is told only when the second one has been heard.

Invariant: every room is bounded; a window or occurrence that leaves unjoined is counted with a
reason. It relies on being told of all windows near an occurrence before the occurrence.
"""

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from operators.kinship.config import KinshipConfig
from operators.records import Floats


@dataclass(slots=True)
class Room:
    """Windows of one space by position (microseconds), and those that have served."""

    vectors: dict[int, Floats] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
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

    def leave(self) -> bool:
        """The earliest window goes; True if it had served an occurrence."""
        position = self.order.pop(0)
        del self.vectors[position]
        served = position in self.used
        self.used.discard(position)
        return served


@dataclass(frozen=True, slots=True)
class Joined:
    """The window of one space that an occurrence began with."""

    space: str
    position_us: int
    vector: Floats


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

    def join(self, onset_us: int) -> list[Joined]:
        """The windows, at most one of each space, that an occurrence began with."""
        joined: list[Joined] = []
        for space, room in sorted(self._rooms.items()):
            position = room.nearest(onset_us, self._within_us)
            if position is None:
                self.dropped["occurrence_unmatched"] += 1
            else:
                room.used.add(position)
                joined.append(Joined(space, position, room.vectors[position]))
        if len(self._rooms) < self._spaces:
            self.dropped["occurrence_without_vectors"] += 1
        return joined

    def expire(self, decided_us: int) -> None:
        """Discovery has decided up to here: windows it has left too far behind go."""
        limit = decided_us - self._wait_us - self._within_us
        for room in self._rooms.values():
            while room.order and room.order[0] < limit:
                if not room.leave():
                    self.dropped["embedding_unmatched"] += 1

    def conclude(self) -> None:
        """Nothing more comes: the rest is counted and goes."""
        for room in self._rooms.values():
            self.dropped["embedding_unmatched"] += len(room.order) - len(room.used)
        self._rooms = {}

    def snapshot(self) -> dict[str, Any]:
        """The rooms as plain lists and arrays."""
        return {
            "rooms": [
                [
                    space,
                    room.dimension,
                    [[at, room.vectors[at], at in room.used] for at in room.order],
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
                used={at for at, _, used in held if used},
                dimension=dimension,
            )
            for space, dimension, held in state["rooms"]
        }
        self.dropped = Counter(state["dropped"])
