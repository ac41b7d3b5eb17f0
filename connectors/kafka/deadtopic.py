"""Dead letters: what a topic held and could not be heard, kept with the reason in ``TOPIC.dead``.

A letter is the record as it was (its value up to a limit), with ASCII headers ``reason``,
``detail``, ``topic``, ``partition``, ``offset``, and the record's own headers under
``orig-NAME``. ``truncated`` holds the number of bytes there were, ``null`` says that there was no
value at all (which a dead-letter topic that is compacted would take for a deletion).

Invariant: a listener never waits for it. A letter is acknowledged, or counted with a reason; until
then ``oldest_unacked`` lets the listener's snapshot stay behind it, for at most ``GIVE_UP_S``.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.kafka.outbox import Destination, Outbox
from connectors.kafka.pending import Bounds, Outgoing
from operators.records import SourceState

SUFFIX: Final = ".dead"
LIMIT_BYTES: Final = 1 << 20
MOST_HEADERS: Final = 64
HEADER_BYTES: Final = 4 << 10
MOST_LETTERS: Final = 10_000
MOST_BYTES: Final = 16 << 20
GIVE_UP_S: Final = 30.0
CLOSE_S: Final = 3.0
_WORDS: Final = {
    "shed": "more came than could wait",
    "refused": "refused by the brokers",
    "given_up": f"not acknowledged within {GIVE_UP_S:.0f} s",
    "closed": "not acknowledged when the run ended",
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be heard.

    Attributes:
        topic, partition, offset: where it lies.
        reason: a short stable word.
        detail: one line: the thing and the value.
        key, value, headers: the record as it was; what a letter cannot hold is left out.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = field(default=(), repr=False)


class DeadTopic:
    """Writes the dead letters of one topic. Nothing is opened before the first of them.

    Args:
        destination: the topic that is listened to; letters go to the one named after it.
        state: told when the brokers answer, stop answering, or answer again.
        limit_bytes: of a value; the rest is left out and its length told.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        state: Callable[[SourceState], None] = lambda _: None,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self._to = replace(destination, topic=destination.topic + SUFFIX, partitions=1)
        self._state = state
        self._limit_bytes = limit_bytes
        self._turn = threading.Lock()
        self._outbox: Outbox | None = None
        self._closed = False
        self._open: defaultdict[tuple[str, int], dict[int, int]] = defaultdict(dict)
        self._counts: Counter[str] = Counter()

    @property
    def acknowledged(self) -> int:
        """Letters that the brokers hold."""
        return self._counts[""]

    def send(self, letter: DeadLetter) -> None:
        """Take a letter; never waits, and never raises."""
        record = outgoing(letter, self._limit_bytes)
        place = (letter.topic, letter.partition)
        with self._turn:
            offsets = self._open[place]
            offsets[letter.offset] = offsets.get(letter.offset, 0) + 1
            if self._outbox is None and not self._closed:
                bounds = Bounds(
                    most_bytes=MOST_BYTES,
                    most_records=MOST_LETTERS,
                    shed=True,
                    give_up_s=GIVE_UP_S,
                )
                self._outbox = Outbox(self._to, bounds, self._settled, self._state)
            outbox = self._outbox
        if outbox is None or not outbox.offer(record):
            self._settled(record, "refused" if outbox and outbox.trouble else "closed", "")

    def oldest_unacked(self, topic: str, partition: int) -> int | None:
        """Offset of the oldest record whose letter is still under way; None where there is none."""
        with self._turn:
            return min(self._open[topic, partition], default=None)

    def close(self, timeout_s: float = CLOSE_S) -> tuple[str, ...]:
        """Send what waits, for at most so long; lines about what was lost."""
        with self._turn:
            self._closed = True
            outbox = self._outbox
        if outbox is not None:
            outbox.close(timeout_s)
        return self.notes

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines about letters that did not get there, with the reason."""
        why = f" ({self._outbox.trouble})" if self._outbox and self._outbox.trouble else ""
        return tuple(
            f"{count} dead letters did not reach {self._to.shown}: {_WORDS[reason]}{why}"
            for reason, count in sorted(self._counts.items())
            if reason
        )

    def _settled(self, record: Outgoing, reason: str, _detail: str) -> None:
        topic, partition, offset = record.tag
        with self._turn:
            self._counts[reason] += 1
            offsets = self._open[topic, partition]
            left = offsets.pop(offset, 1) - 1
            if left:
                offsets[offset] = left


def outgoing(letter: DeadLetter, limit_bytes: int = LIMIT_BYTES) -> Outgoing:
    """A letter as a record."""
    value = letter.value or b""
    headers = [
        ("reason", letter.reason.encode()),
        ("detail", letter.detail.encode(errors="replace")),
        ("topic", letter.topic.encode()),
        ("partition", b"%d" % letter.partition),
        ("offset", b"%d" % letter.offset),
    ]
    if letter.value is None:
        headers.append(("null", b"1"))
    if len(value) > limit_bytes:
        headers.append(("truncated", b"%d" % len(value)))
    headers += [
        (f"orig-{name[:HEADER_BYTES]}", (content or b"")[:HEADER_BYTES])
        for name, content in letter.headers[:MOST_HEADERS]
    ]
    key = letter.key[:HEADER_BYTES] if letter.key is not None else None
    tag = (letter.topic, letter.partition, letter.offset)
    return Outgoing(key, value[:limit_bytes], headers, tag)
