"""The messages of one key -> chunks of its stream, or of one stream a channel.

Invariant: chunks come in the order in which they were sent, and what is missing between two of
them is said as a gap before the second, which does not join. Read again from a chunk's mark, that
chunk and all that follow are repeated, each with the same mark.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from connectors.chunks import Break, Chunk, RawItem, State
from connectors.kafka.options import Channels
from connectors.kafka.sequence import Gap, Released, Sent
from connectors.kafka.sequence import Sequence as Order
from connectors.kafka.wire import AudioMessage
from operators.records import Failure

SUB: Final = re.compile(r"(?P<stream>.+)/\d+", re.DOTALL)
Mark: TypeAlias = tuple[int, int]
"""Offset and number from which on a stream is wanted."""

_log = logging.getLogger(__name__)


class KeyedStream:
    """One key of one partition.

    Args:
        stream: id of the stream.
        partition: that it comes from.
        channels: "mean": channels stay together; "split": a stream each.
        marks: of its streams, from an earlier run.

    Attributes:
        since: offset before which its messages were heard.
        skewed: whether its clock was said to differ from the brokers'.
    """

    def __init__(
        self,
        stream: str,
        partition: int,
        channels: Channels,
        marks: Mapping[str, State],
    ) -> None:
        self.stream = stream
        self.partition = partition
        self.since = 0
        self.skewed = False
        self._split = channels == "split"
        self._order: Order[AudioMessage] = Order()
        self._wanted: dict[str, Mark] = {}
        self._length_s = 0.0
        self._channels = 1
        self._form: tuple[int, int] | None = None
        if marks:
            first = min(marks.values(), key=_mark)
            self.since = first["offset"]
            self._order = Order(first["epoch"], first["seq"], first.get("before", ""))
            self._wanted = {name: _mark(mark) for name, mark in marks.items()}

    @property
    def deadline_ns(self) -> int | None:
        """Steady time at which ``expire`` has something to do."""
        return self._order.deadline_ns

    @property
    def late(self) -> int:
        """Messages dropped as repeated or late."""
        return self._order.late

    def take(self, message: AudioMessage, offset: int, now_ns: int, items: list[RawItem]) -> None:
        """Append what the next message of the key releases."""
        samples = message.samples
        form = None if message.end else (message.rate_hz, samples.shape[1])
        order = self._order
        joined = order.advance(message.epoch, message.seq, message.ts_ns, form)
        if joined is not None:
            self._emit(message, offset, offset + 1, joined, order.before, items)
            return
        sent = Sent(message.epoch, message.seq, message.ts_ns, offset, form, message)
        self._append(order.take(sent, now_ns), items)

    def lose(self, seq: int | None, offset: int, now_ns: int, items: list[RawItem]) -> None:
        """A message of the key could not be read."""
        if seq is not None:
            self._append(self._order.lose(seq, offset, now_ns), items)

    def expire(self, now_ns: int, items: list[RawItem]) -> None:
        """Append what was held for long enough."""
        self._append(self._order.expire(now_ns), items)

    @property
    def home(self) -> str:
        """The stream that what befalls the key is said of."""
        return self._names(self._channels)[0]

    def _append(self, steps: Sequence[Released[AudioMessage] | Gap], items: list[RawItem]) -> None:
        for step in steps:
            if isinstance(step, Gap):
                self._miss(step, items)
            else:
                message = step.sent.payload
                self._emit(message, step.place, step.after, step.joined, step.before, items)

    def _emit(
        self,
        message: AudioMessage,
        place: int,
        after: int,
        joined: bool,
        before: str,
        items: list[RawItem],
    ) -> None:
        mark: State = {
            "partition": self.partition,
            "offset": place,
            "epoch": message.epoch,
            "seq": message.seq,
        }
        if before:
            mark["before"] = before
        if message.end:
            mark["offset"], mark["seq"] = after, message.seq + 1
            names = self._names(self._channels)
            items += [Break(name, mark, over=True) for name in self._due(names, mark)]
            self._form = None
            return
        samples = message.samples
        count, channels = samples.shape
        if not joined:
            self._note(message.rate_hz, channels, message.epoch)
        self._channels = channels
        self._length_s = count / message.rate_hz
        rate_hz, ts_ns, parent = message.rate_hz, message.ts_ns, message.traceparent
        if not self._split or channels == 1:
            if not self._wanted or self._due((self.stream,), mark):
                items.append(Chunk(self.stream, rate_hz, samples, ts_ns, joined, mark, "", parent))
            return
        for name in self._due(self._names(channels), mark):
            column = int(name.rpartition("/")[2]) - 1
            part = samples[:, column : column + 1]
            items.append(Chunk(name, rate_hz, part, ts_ns, joined, mark, "", parent))

    def _due(self, names: Sequence[str], mark: State) -> list[str]:
        """Those of the streams whose own mark was reached."""
        if not self._wanted:
            return list(names)
        due = []
        for name in names:
            wanted = self._wanted.get(name)
            if wanted is None or _mark(mark) >= wanted:
                self._wanted.pop(name, None)
                due.append(name)
        return due

    def _miss(self, gap: Gap, items: list[RawItem]) -> None:
        last = gap.first + gap.count - 1
        lasted = f", about {gap.count * self._length_s:.3g} s" if self._length_s else ""
        for name in self._names(self._channels):
            wanted = self._wanted.get(name)
            if wanted is None or gap.first >= wanted[1]:
                detail = f"{name}: {gap.count} messages missing (seq {gap.first} to {last}{lasted})"
                remedy = "heard as a gap; see whether the producer or the network lost them"
                items.append(Failure(name, "source", "gap", detail, remedy, start_s=float("nan")))

    def _names(self, channels: int) -> tuple[str, ...]:
        if not self._split or channels == 1:
            return (self.stream,)
        return tuple(f"{self.stream}/{channel}" for channel in range(1, channels + 1))

    def _note(self, rate_hz: int, channels: int, epoch: str) -> None:
        form = (rate_hz, channels)
        if form != self._form:
            _log.debug("%s: format: %d Hz, %d channels, epoch '%s'", self.stream, *form, epoch)
        self._form = form


def streams_of(marks: Iterable[str], channels: Channels) -> dict[str, list[str]]:
    """Stream of a key -> the streams that were made of it, as far as their names can tell."""
    made: dict[str, list[str]] = {}
    for name in marks:
        made.setdefault(name, []).append(name)
        if channels == "split" and (match := SUB.fullmatch(name)):
            made.setdefault(match["stream"], []).append(name)
    return made


def _mark(mark: State) -> Mark:
    return mark["offset"], mark["seq"]
