"""Cuts an exemplar of each pattern that is due out of the audio kept of its stream.

One that had to give way to a newer one is cut again when there is room, while its audio is kept.

Invariant: an exemplar holds its occurrence with the sound around it, whole, however the stream was
cut into frames: where the end has not come in yet it is waited for, as far as the stream goes; and
where the beginning is no longer kept there is none. What is due is cut, or counted as lost; what
hindsight takes back before that is not due any more.
"""

from collections.abc import Callable, Collection
from typing import Any, Literal, TypeAlias

import numpy as np

from operators.describing.agenda import Agenda
from operators.describing.config import DescribeConfig
from operators.describing.displaced import Displaced
from operators.describing.exemplar import Exemplar
from operators.describing.reports import Losses
from operators.describing.ring import Absent, Rings, Samples
from operators.records import ANALYSIS_RATE_HZ, Frame, Occurrence, Pattern, StreamEnd
from operators.revision import Revision

Item: TypeAlias = Frame | Occurrence | Revision | Pattern | StreamEnd
Queue: TypeAlias = Literal["clips", "words"]

_DISPLACED = 1_024
"""Occurrences of each queue that may wait for room again (some 200 bytes each)."""


class Cutting:
    """The audio of all streams and the patterns found in it.

    Args:
        config: bounds.
        longest_s: of an exemplar.
        losses: counts what could not be cut.
    """

    def __init__(self, config: DescribeConfig, longest_s: float, losses: Losses) -> None:
        self.agenda = Agenda(
            every_s=config.every_s, retry_s=config.retry_s, patterns=config.patterns
        )
        self._rings = Rings(config.keep_s, config.streams)
        self._pad = _position(config.pad_s)
        self._longest = max(1, _position(longest_s) - 2 * self._pad)
        self._losses = losses
        self._early: dict[str, Occurrence] = {}
        self._displaced: dict[Queue, Displaced] = {
            "clips": Displaced(_DISPLACED),
            "words": Displaced(_DISPLACED),
        }
        self._over: set[str] = set()

    @property
    def displaced(self) -> list[Occurrence]:
        """Occurrences whose exemplars had to give way, oldest first in each queue."""
        return [at for queue in self._displaced.values() for at in queue]

    def take(self, item: Item, under_way: Collection[str]) -> list[Exemplar]:
        """Take in what was heard or found; gives the exemplars that can be cut now.

        Args:
            item: in order; the end of a stream has to follow all that was found on it.
            under_way: patterns of which an exemplar is on its way already.
        """
        return _TAKES[type(item)](self, item, under_way)

    def displace(self, at: Occurrence, queue: Queue) -> None:
        """An exemplar had to give way to a newer one in a queue."""
        displaced = self._displaced[queue]
        displaced.add(at)
        # Only the oldest: on a busy stream it goes first, and the others are seen when they are
        # wanted. Looking at all of them each time would hold the flow up.
        oldest = displaced.oldest
        if oldest and (displaced.overflows or not self._rings.keeps(*self._place(oldest))):
            self._lose(oldest, displaced)

    def again(self, queue: Queue) -> Exemplar | None:
        """The newest exemplar that had to give way in a queue and whose audio is still kept."""
        displaced = self._displaced[queue]
        while (at := displaced.newest) is not None:
            samples = self._samples(at)
            if isinstance(samples, np.ndarray):
                displaced.remove(at.pattern)
                self._let_go(at.stream)
                return Exemplar(at, samples)
            self._lose(at, displaced)
        return None

    def _heard(self, frame: Frame, under_way: Collection[str]) -> list[Exemplar]:
        del under_way
        self._over.discard(frame.stream)
        if dropped := self._rings.hear(frame):
            self._losses.add("streams", dropped)
        return self._cut_early(frame.stream)

    def _occurred(self, occurrence: Occurrence, under_way: Collection[str]) -> list[Exemplar]:
        return self._consider(self.agenda.heard(occurrence), under_way)

    def _revised(self, revision: Revision, under_way: Collection[str]) -> list[Exemplar]:
        """Nothing is cut of an occurrence that is gone, if it was not yet."""
        del under_way
        pattern = revision.pattern_from
        self.agenda.taken_back(revision)
        if (early := self._early.get(pattern)) is not None and early.key == revision.gone:
            del self._early[pattern]
        for displaced in self._displaced.values():
            if (at := displaced.of(pattern)) is not None and at.key == revision.gone:
                displaced.remove(pattern)
                self._let_go(revision.stream)
        return []

    def _changed(self, pattern: Pattern, under_way: Collection[str]) -> list[Exemplar]:
        return self._consider(self.agenda.changed(pattern), under_way)

    def _ended(self, end: StreamEnd, under_way: Collection[str]) -> list[Exemplar]:
        del under_way
        self._rings.finish(end.stream)  # a stream that broke off had no last frame
        exemplars = self._cut_early(end.stream)
        self._over.add(end.stream)
        self._let_go(end.stream)
        return exemplars

    def _cut_early(self, stream: str) -> list[Exemplar]:
        """What waited for more of this stream."""
        waiting = [at for at in self._early.values() if at.stream == stream]
        return [exemplar for at in waiting for exemplar in self._cut(at)]

    def _consider(self, due: Occurrence | None, under_way: Collection[str]) -> list[Exemplar]:
        if due is None or due.pattern in self._early or due.pattern in under_way:
            return []
        return self._cut(due)

    def _cut(self, at: Occurrence) -> list[Exemplar]:
        samples = self._samples(at)
        self._early.pop(at.pattern, None)
        if isinstance(samples, np.ndarray):
            for displaced in self._displaced.values():
                displaced.remove(at.pattern)
            return [Exemplar(at, samples)]
        if samples == "early":
            self._early[at.pattern] = at
            return []
        self.agenda.missed(at)
        if not at.backfilled:
            self._losses.add("too_late", at.stream, at.start_s)
        return []

    def _samples(self, at: Occurrence) -> Samples | Absent:
        return self._rings.cut(*self._place(at))

    def _place(self, at: Occurrence) -> tuple[str, int, int, int]:
        """Where an exemplar lies: stream, first position, the one after the last, padding."""
        start, end = _position(at.start_s), _position(at.end_s)
        end = max(start + 1, min(end, start + self._longest))
        return at.stream, start, end, self._pad

    def _lose(self, at: Occurrence, displaced: Displaced) -> None:
        """An exemplar that gave way cannot be cut any more."""
        displaced.remove(at.pattern)
        self.agenda.missed(at)
        self._losses.add("queue_full", at.stream, at.start_s)
        self._let_go(at.stream)

    def _let_go(self, stream: str) -> None:
        """Forget the audio of a stream that has ended, once nothing is to be cut from it."""
        wanted = any(displaced.wants(stream) for displaced in self._displaced.values())
        if stream in self._over and not wanted:
            self._over.discard(stream)
            self._rings.forget(stream)


_TAKES: dict[type, Callable[[Cutting, Any, Collection[str]], list[Exemplar]]] = {
    Frame: Cutting._heard,
    Occurrence: Cutting._occurred,
    Revision: Cutting._revised,
    Pattern: Cutting._changed,
    StreamEnd: Cutting._ended,
}


def _position(seconds: float) -> int:
    return round(seconds * ANALYSIS_RATE_HZ)
