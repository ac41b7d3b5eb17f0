"""Holds what the lanes bring until all of them have passed the same boundary of stream time.

Discovery and the models run independently; which is ahead depends on the machine. So items are
held, lane by lane, and given out an interval at a time: first each space's embeddings, then what
discovery said. Embeddings are given out ``reach_us`` beyond the boundary, so that every sound that
discovery has reported by then meets all windows near it. Boundaries with nothing to give out are
left out.

Invariant: while nothing is forced, the intervals are a function of each lane's own sequence. Only
when more than ``max_held`` items wait (a lane is stuck) is the oldest interval given out without
every lane, and counted; from then on what came of it may depend on timing.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from operators.records import Embedding, Occurrence, Pattern
from operators.revision import Revision

Held: TypeAlias = Embedding | Occurrence | Pattern | Revision
DISCOVERY = ""
"""Name of discovery's lane; the others are named after the model that was asked for."""


@dataclass(slots=True)
class Lane:
    """How far one lane has come, and its items with their positions, which never descend."""

    reached_us: int = -1
    held: deque[tuple[int, Held]] = field(default_factory=deque)

    def take(self, until_us: int) -> list[Held]:
        """The items up to and including a position, in order."""
        taken: list[Held] = []
        while self.held and self.held[0][0] <= until_us:
            taken.append(self.held.popleft()[1])
        return taken


@dataclass(frozen=True, slots=True)
class Interval:
    """What is processed together, in order; ``end_us`` is the boundary."""

    end_us: int
    items: list[Held]


class Barrier:
    """Cuts the lanes of one stream at multiples of ``every_us``.

    Args:
        lanes: how many lanes there are, discovery's included.
        every_us: stream time between two boundaries.
        reach_us: how much further than a boundary embeddings are given out.
        max_held: items held at most, over all lanes.

    Attributes:
        forced: intervals that were given out before every lane had passed them.
    """

    def __init__(self, lanes: int, every_us: int, reach_us: int, max_held: int) -> None:
        self._count = lanes
        self._every_us = every_us
        self._reach_us = reach_us
        self._max_held = max_held
        self._lanes: dict[str, Lane] = {}
        self._done_us = 0
        self.forced = 0

    def put(self, name: str, position_us: int, item: Held | None) -> None:
        """A lane has come as far as this (``item`` None: and brings nothing to hold).

        A position behind the lane's own furthest counts as that: the order within a lane stands.
        """
        lane = self._lanes.setdefault(name, Lane())
        lane.reached_us = max(lane.reached_us, position_us)
        if item is not None:
            lane.held.append((lane.reached_us, item))

    def passed(self) -> Interval | None:
        """The next interval that every lane has passed, or that must go because too much waits."""
        end_us = self._due_us()
        if end_us is None:
            return None
        if not self._all_beyond(end_us):
            if sum(len(lane.held) for lane in self._lanes.values()) <= self._max_held:
                return None
            self.forced += 1
        return self._cut(end_us)

    def rest(self) -> Interval | None:
        """The next interval when nothing more comes; None when nothing is left."""
        end_us = self._due_us()
        return None if end_us is None else self._cut(end_us)

    def _due_us(self) -> int | None:
        """The first boundary by which something that is held must be given out."""
        waiting = [(name, lane.held[0][0]) for name, lane in self._lanes.items() if lane.held]
        if not waiting:
            return None
        first = min(position_us - self._reach(name) for name, position_us in waiting)
        return max(self._done_us + self._every_us, -(-first // self._every_us) * self._every_us)

    def _all_beyond(self, end_us: int) -> bool:
        return len(self._lanes) >= self._count and all(
            lane.reached_us - self._reach(name) > end_us for name, lane in self._lanes.items()
        )

    def _reach(self, name: str) -> int:
        return 0 if name == DISCOVERY else self._reach_us

    def _cut(self, end_us: int) -> Interval:
        self._done_us = end_us
        names = [*sorted(self._lanes.keys() - {DISCOVERY}), DISCOVERY]
        items = [
            item
            for name in names
            if name in self._lanes
            for item in self._lanes[name].take(end_us + self._reach(name))
        ]
        return Interval(end_us, items)

    def snapshot(self) -> dict[str, Any]:
        """What is held as plain lists of records."""
        return {
            "lanes": [
                [name, lane.reached_us, [list(held) for held in lane.held]]
                for name, lane in self._lanes.items()
            ],
            "done_us": self._done_us,
            "forced": self.forced,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where ``snapshot`` was taken."""
        self._lanes = {
            name: Lane(reached_us, deque((at, item) for at, item in held))
            for name, reached_us, held in state["lanes"]
        }
        self._done_us = state["done_us"]
        self.forced = state["forced"]
