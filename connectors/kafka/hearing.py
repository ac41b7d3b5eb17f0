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
from connectors.kafka.deadtopic import DeadTopic
from connectors.kafka.headers import BadMessage, stream_of
from connectors.kafka.keyed import KeyedStream
from connectors.kafka.lane import Lane
from connectors.kafka.options import KafkaOptions
from connectors.kafka.outbox import Destination
from connectors.kafka.places import PLACES, Place
from connectors.kafka.record import Entry, Record
from connectors.kafka.refusing import Refusals
from connectors.kafka.resuming import Resuming
from connectors.kafka.wire import AudioMessage, decode
from operators.records import SourceState

MOST_STREAMS: Final = 4_096
SKEW_NS: Final = 5_000_000_000
RECORDING_NS: Final = 86_400_000_000_000
"""Audio that differs by more from the time at which it was sent is no live audio."""
CLOSE_S: Final = 1.0
REPORT_NS: Final = 60_000_000_000
QUIET_NS: Final = 30_000_000_000
"""Without a record for so long nothing is awaited, whatever the brokers say is there: the end of
a transaction counts as a record, and never comes."""

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
        counts: what was left out or noticed, by reason, as of the last ``count``.
        moves: of keys from one partition to another.
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
        self._waiting: set[KeyedStream] = set()
        self._idle: dict[int, tuple[int, int]] = {}
        self._report_ns: int | None = None
        self._reported = 0
        self.moves = resuming.moves
        self.counts: Counter[str] = Counter()
        self._left = Refusals(name, address.topic, self._dead, resuming.fresh, self.counts)
        for stream, partition in resuming.places.items():
            PLACES.claim(stream, Place(self._id, self._topic, partition))

    def hear(self, partition: int, entry: Entry, now_ns: int, items: list[RawItem]) -> None:
        """Append what one entry of a partition gives."""
        if not isinstance(entry, Record):
            self._left.unreadable(partition, entry, items)
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
            self._left.bad(partition, entry, bad, items, stream.home)
            stream.lose(bad.seq, entry.offset, now_ns, items)
        else:
            stream.take(message, entry.offset, now_ns, items)
            skew_ns = entry.timestamp * 1_000_000 - message.ts_ns
            if not -SKEW_NS < skew_ns < SKEW_NS:
                self._skewed(stream, message, skew_ns, items)
        if stream.deadline_ns is not None:
            self._waiting.add(stream)

    def expire(self, now_ns: int, lanes: Mapping[int, Lane], items: list[RawItem]) -> None:
        """Append what was held for long enough, while there was nothing left to take up."""
        if not self._waiting:
            return
        for stream in list(self._waiting):
            deadline_ns = stream.deadline_ns
            if deadline_ns is not None and now_ns >= deadline_ns:
                lane = lanes.get(stream.partition)
                if lane is not None and not self._is_drained(lane, now_ns):
                    stream.wait_on(now_ns)
                    continue
                stream.expire(now_ns, items)
                deadline_ns = stream.deadline_ns
            if deadline_ns is None:
                self._waiting.discard(stream)

    def waits(self, partition: int, entry: Entry, lanes: Mapping[int, Lane], now_ns: int) -> bool:
        """Whether the key of a record is still to be heard out in the partition it came from."""
        if not isinstance(entry, Record):
            return False
        known = self._streams.get(entry.key)
        old = known.partition if known is not None else self._place_of(entry.key)
        if old is None or old == partition or not self.moves.allowed(old, partition):
            return False
        lane = lanes.get(old)
        return lane is not None and not self._is_drained(lane, now_ns)

    def _place_of(self, key: bytes | None) -> int | None:
        """The partition in which an earlier run left a key."""
        if key is None or key not in self._resuming.keys:
            return None
        return self._resuming.places.get(self._prefix + key.decode(errors="replace"))

    def _is_drained(self, lane: Lane, now_ns: int) -> bool:
        """Nothing that was sent before now is still to be taken from a partition."""
        at, since_ns = self._idle.get(lane.partition, (-1, 0))
        if at != lane.next:
            since_ns = now_ns
            self._idle[lane.partition] = (lane.next, since_ns)
        if not lane.dry or lane.paused:
            return False
        return lane.behind == 0 or now_ns - since_ns >= QUIET_NS

    def count(self) -> Counter[str]:
        """What was left out or noticed so far, by reason."""
        orders = [stream.order for stream in self._streams.values()]
        self.counts["repeated"] = sum(order.repeated for order in orders)
        self.counts["late"] = sum(order.late for order in orders)
        self.counts["rivals"] = sum(order.rivals for order in orders)
        return self.counts

    def report(self, now_ns: int) -> str:
        """What was left out since the last report, once a minute; "" where nothing was."""
        if self._report_ns is None:
            self._report_ns = now_ns + REPORT_NS
        if now_ns < self._report_ns:
            return ""
        self._report_ns = now_ns + REPORT_NS
        return self._left_out()

    def _left_out(self) -> str:
        """Messages that nobody has heard; what was merely repeated needs no word."""
        counts = self.count()
        lost = counts["late"] + counts["rivals"]
        if lost == self._reported:
            return ""
        self._reported = lost
        late, rivals = counts["late"], counts["rivals"]
        return (
            f"{self._name}: left out so far: {late} messages that came after their gap was given"
            f" up, {rivals} of second senders with the key of another"
        )

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
        if said := self._left_out():
            _log.warning("%s", said)
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
            self._left.bad(partition, record, bad, items, None)
            return None
        place = Place(self._id, self._topic, partition)
        owner = PLACES.claim(stream, place)
        moves = owner != place
        if moves and not self._may_move(owner, partition):
            if fresh:
                other = f"'{stream}' comes from {owner.topic}/{owner.partition} already"
                self._left.refuse(partition, record, "two_places", other, _ONE_PLACE, items)
            return None
        met = self._streams.get(record.key)
        if met is None:
            met = self._begin(stream, owner.partition, record, items, fresh=fresh)
        if met is not None and moves:
            met.move(partition, items)
            PLACES.move(stream, place)
            self.moves.note(stream, owner.partition, partition, record.offset)
        return met

    def _may_move(self, owner: Place, partition: int) -> bool:
        ours = (owner.source, owner.topic) == (self._id, self._topic)
        return ours and self.moves.allowed(owner.partition, partition)

    def _begin(
        self, stream: str, partition: int, record: Record, items: list[RawItem], *, fresh: bool
    ) -> KeyedStream | None:
        """A key that comes from a partition; None where there are too many, or it is not due."""
        if len(self._streams) >= MOST_STREAMS:
            detail = f"'{stream}': there are {MOST_STREAMS} streams already"
            self._left.refuse(partition, record, "too_many_streams", detail, _FEWER, items)
            return None
        resuming = self._resuming
        marks = resuming.marks_of(stream)
        if not fresh and not marks:
            return None
        for name, count in resuming.stale(stream):
            detail = f"{name} begins afresh: what it ended with lies {count} messages back"
            items.append(SourceState(self._name, "live", f"{detail}, too far to be read again"))
        met = self._streams[record.key] = KeyedStream(
            stream, partition, self._options.channels, marks, resuming.names_of(stream)
        )
        return met

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
