"""What a topic holds and nobody hears: counted, said once, and kept as a dead letter.

Invariant: what an earlier run was past is not buried a second time.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from connectors.chunks import RawItem
from connectors.kafka.deadtopic import DeadLetter, DeadTopic
from connectors.kafka.headers import BadMessage
from connectors.kafka.record import Record, Unreadable
from operators.records import Failure

MOST_REFUSALS: Final = 4_096
"""That are said: each names a stream."""


class Refusals:
    """What one source leaves out.

    Args:
        name: of the source.
        topic: that it reads.
        dead: where dead letters go; None for nowhere.
        fresh: partition -> offset from which on nothing was met before.
        counts: to count in, by reason.
    """

    def __init__(
        self,
        name: str,
        topic: str,
        dead: DeadTopic | None,
        fresh: Mapping[int, int],
        counts: Counter[str],
    ) -> None:
        self._name = name
        self._topic = topic
        self._dead = dead
        self._fresh = fresh
        self._refused: set[tuple[str, str]] = set()
        self.counts = counts

    def refuse(
        self,
        partition: int,
        record: Record,
        reason: str,
        detail: str,
        remedy: str,
        items: list[RawItem],
    ) -> None:
        """A whole stream is left out: said once, each of its messages a dead letter."""
        self.counts[reason] += 1
        place = f"{self._topic}/{partition}"
        self._bury(partition, record, reason, detail)
        if (place, detail) not in self._refused and len(self._refused) < MOST_REFUSALS:
            self._refused.add((place, detail))
            said = f"{place}, offset {record.offset}: {detail}"
            items.append(Failure(self._name, "source", reason, said, remedy, float("nan")))

    def bad(
        self,
        partition: int,
        record: Record,
        bad: BadMessage,
        items: list[RawItem],
        home: str | None,
    ) -> None:
        """A message is no audio; said of its stream ``home``, where it has one."""
        self.counts[bad.reason] += 1
        self._bury(partition, record, bad.reason, bad.detail)
        name = self._name if home is None else home
        said = f"{self._topic}/{partition}, offset {record.offset}: {bad.detail}"
        items.append(Failure(name, "source", bad.reason, said, bad.remedy, float("nan")))

    def unreadable(self, partition: int, entry: Unreadable, items: list[RawItem]) -> None:
        """A stretch of a partition that nobody can read."""
        bad = entry.bad
        if entry.last < self._fresh.get(partition, 0):
            return
        self.counts[bad.reason] += 1
        offsets = f"offset {entry.offset}"
        if entry.last > entry.offset:
            offsets = f"offsets {entry.offset} to {entry.last}"
        said = " ".join(f"{self._topic}/{partition}, {offsets}: {bad.detail}".split())
        items.append(Failure(self._name, "source", bad.reason, said, bad.remedy, float("nan")))
        if bad.reason != "gap":
            buried = Record(entry.offset, entry.timestamp, None, entry.raw, [])
            self._bury(partition, buried, bad.reason, bad.detail)

    def _bury(self, partition: int, record: Record, reason: str, detail: str) -> None:
        if self._dead is None or record.offset < self._fresh.get(partition, 0):
            return
        self._dead.send(
            DeadLetter(
                self._topic,
                partition,
                record.offset,
                reason,
                detail,
                record.key,
                record.value,
                record.headers,
            )
        )
