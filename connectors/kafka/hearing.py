"""What a topic holds, record by record -> what is heard of it, and what becomes of the rest.

Invariant: every record becomes chunks of its stream, is held for its turn, or is counted: by a
failure and a dead letter where it cannot be read, silently where it was heard before or is not
asked for. Nothing is raised, whatever the bytes.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final

from connectors.chunks import RawItem, State
from connectors.kafka.address import Address
from connectors.kafka.deadtopic import DeadLetter, DeadTopic
from connectors.kafka.headers import BadMessage, stream_of
from connectors.kafka.keyed import KeyedStream
from connectors.kafka.options import KafkaOptions
from connectors.kafka.outbox import Destination
from connectors.kafka.places import PLACES, Place
from connectors.kafka.record import Entry, Record, Unreadable
from connectors.kafka.resuming import Resuming
from connectors.kafka.wire import AudioMessage, decode
from operators.records import Failure, SourceState

MOST_STREAMS: Final = 4_096
SKEW_NS: Final = 5_000_000_000
RECORDING_NS: Final = 86_400_000_000_000
"""Audio that differs by more from the time at which it was sent is no live audio."""
CLOSE_S: Final = 1.0

_numbers = itertools.count(1)
_log = logging.getLogger(__name__)


class Hearing:
    """The streams of one source.

    Args:
        name: of the source.
        prefix: of its streams' ids.
        address: of the topic.
        options: limits, channels, dead letters.
        resuming: where an earlier run stood.

    Attributes:
        counts: what was left out or noticed, by reason.
    """

    def __init__(
        self, name: str, prefix: str, address: Address, options: KafkaOptions, resuming: Resuming
    ) -> None:
        self._name = name
        self._prefix = prefix
        self._topic = address.topic
        self._only = address.stream.encode() if address.stream else None
        self._options = options
        self._resuming = resuming
        self._dead = (
            DeadTopic(Destination(address.servers, address.topic, options=options))
            if options.dead_letters
            else None
        )
        self._id = next(_numbers)
        self._streams: dict[bytes | None, KeyedStream] = {}
        self._refused: set[tuple[str, str]] = set()
        self._waiting: set[KeyedStream] = set()
        self.counts: Counter[str] = Counter()
        for stream, partition in resuming.places.items():
            PLACES.claim(stream, Place(self._id, self._topic, partition))

    def hear(self, partition: int, entry: Entry, now_ns: int, items: list[RawItem]) -> None:
        """Append what one entry of a partition gives."""
        if not isinstance(entry, Record):
            self._unreadable(partition, entry, items)
            return
        key = entry.key
        if self._only is not None and key != self._only:
            return
        stream = self._streams.get(key)
        if stream is None or stream.partition != partition:
            stream = self._meet(partition, entry, items)
            if stream is None:
                return
        if entry.offset < stream.since:
            return
        try:
            message = decode(
                key, entry.value, entry.headers, limit_bytes=self._options.max_message_bytes
            )
        except BadMessage as bad:
            self._bad(partition, entry, bad, items, stream)
            stream.lose(bad.seq, entry.offset, now_ns, items)
        else:
            stream.take(message, entry.offset, now_ns, items)
            skew_ns = entry.timestamp * 1_000_000 - message.ts_ns
            if not -SKEW_NS < skew_ns < SKEW_NS:
                self._skewed(stream, message, skew_ns, items)
        if stream.deadline_ns is not None:
            self._waiting.add(stream)

    def expire(self, now_ns: int, items: list[RawItem]) -> None:
        """Append what was held for long enough."""
        if not self._waiting:
            return
        for stream in list(self._waiting):
            stream.expire(now_ns, items)
            if stream.deadline_ns is None:
                self._waiting.discard(stream)

    def snapshot(self, offsets: Mapping[int, int]) -> State:
        """Where to go on after ``offsets``, not before every dead letter was acknowledged."""
        dead = self._dead
        if dead is not None:
            unacked = {p: dead.oldest_unacked(self._topic, p) for p in offsets}
            offsets = {
                p: at if (oldest := unacked[p]) is None else min(at, oldest)
                for p, at in offsets.items()
            }
        return self._resuming.snapshot(offsets)

    def close(self) -> None:
        """Let the streams go; dead letters have a second to be sent."""
        PLACES.release(self._id)
        self.counts["late"] = sum(stream.late for stream in self._streams.values())
        if self._dead is not None:
            for note in self._dead.close(CLOSE_S):
                _log.warning("%s: %s", self._name, note)

    def _meet(self, partition: int, record: Record, items: list[RawItem]) -> KeyedStream | None:
        """The stream of a key that was not met yet here; None where it is not to be heard."""
        fresh = record.offset >= self._resuming.fresh.get(partition, 0)
        if not fresh and record.key not in self._resuming.keys:
            return None
        try:
            stream = self._prefix + stream_of(record.key)
        except BadMessage as bad:
            self._bad(partition, record, bad, items, None)
            return None
        owner = PLACES.claim(stream, Place(self._id, self._topic, partition))
        if owner != Place(self._id, self._topic, partition):
            other = f"'{stream}' comes from {owner.topic}/{owner.partition} already"
            self._refuse(partition, record, "two_places", other, _ONE_PLACE, items)
            return None
        if len(self._streams) >= MOST_STREAMS:
            detail = f"'{stream}': there are {MOST_STREAMS} streams already"
            self._refuse(partition, record, "too_many_streams", detail, _FEWER, items)
            return None
        marks = self._resuming.marks_of(stream)
        if not fresh and not marks:
            return None
        for name, count in self._resuming.stale(stream):
            detail = f"{name}: {count} messages that were read are not read again: too many"
            items.append(Failure(name, "source", "gap", detail, _STALE, float("nan")))
        met = self._streams[record.key] = KeyedStream(
            stream, partition, self._options.channels, marks
        )
        return met

    def _refuse(
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
        if (place, detail) not in self._refused and len(self._refused) < MOST_STREAMS:
            self._refused.add((place, detail))
            said = f"{place}, offset {record.offset}: {detail}"
            items.append(Failure(self._name, "source", reason, said, remedy, float("nan")))

    def _bad(
        self,
        partition: int,
        record: Record,
        bad: BadMessage,
        items: list[RawItem],
        stream: KeyedStream | None,
    ) -> None:
        self.counts[bad.reason] += 1
        self._bury(partition, record, bad.reason, bad.detail)
        name = stream.home if stream is not None else self._name
        said = f"{self._topic}/{partition}, offset {record.offset}: {bad.detail}"
        items.append(Failure(name, "source", bad.reason, said, bad.remedy, float("nan")))

    def _unreadable(self, partition: int, entry: Unreadable, items: list[RawItem]) -> None:
        bad = entry.bad
        if entry.last < self._resuming.fresh.get(partition, 0):
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
        if self._dead is None or record.offset < self._resuming.fresh.get(partition, 0):
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

    def _skewed(
        self, stream: KeyedStream, message: AudioMessage, skew_ns: int, items: list[RawItem]
    ) -> None:
        if abs(skew_ns) > RECORDING_NS or message.end:
            return
        self.counts["skewed"] += 1
        if stream.skewed:
            return
        stream.skewed = True
        way = "behind" if skew_ns > 0 else "ahead of"
        detail = (
            f"{stream.stream}: its times are {abs(skew_ns) / 1e9:.1f} s {way} the brokers';"
            " they are kept as they are"
        )
        items.append(SourceState(self._name, "live", detail))


_ONE_PLACE: Final = "left out; give the other source a name of its own, or each sender its own key"
_FEWER: Final = "left out; name one by ?stream=, or share the topic among processes (--of)"
_STALE: Final = "it starts afresh; stop and start at shorter intervals to have everything"
