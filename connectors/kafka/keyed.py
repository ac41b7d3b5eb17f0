"""The messages of one key -> chunks of its stream, or of one stream a channel.

Invariant: chunks come in the order in which they were sent, and what is missing between two of
them is said as a gap before the second, which does not join. Read again from a chunk's mark, that
chunk and all that follow are repeated, each with the same mark.

A chunk joins while its ``ts`` agrees, to half a second, with the samples counted since the last
one that did not join; a sender whose clock was set or drifts is placed anew, which is said.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from connectors.chunks import Break, Chunk, RawItem, State
from connectors.kafka.options import Channels
from connectors.kafka.sequence import HOLD_NS, Gap, Released, Sent
from connectors.kafka.sequence import Sequence as Order
from connectors.kafka.wire import AudioMessage
from operators.records import Failure

SUB: Final = re.compile(r"(?P<stream>.+)/\d+", re.DOTALL)
Mark: TypeAlias = tuple[int, int]
"""Offset and number from which on a stream is wanted."""
CLOCK_NS: Final = 500_000_000
"""What ``ts`` may differ from the samples counted."""
TOLD_NS: Final = 60_000_000_000
"""Event time after which two senders of one key are said again."""
_NS_PER_S: Final = 1_000_000_000

_log = logging.getLogger(__name__)


class KeyedStream:
    """One key of one partition.

    Args:
        stream: id of the stream.
        partition: that it comes from.
        channels: "mean": channels stay together; "split": a stream each.
        marks: of its streams, from an earlier run.
        names: of the streams that an earlier run made of it.

    Attributes:
        since: offset before which its messages were heard.
        skewed: whether its clock was said to differ from the brokers'.
        order: of its messages, and what was dropped of them.
    """

    def __init__(
        self,
        stream: str,
        partition: int,
        channels: Channels,
        marks: Mapping[str, State],
        names: Sequence[str] = (),
    ) -> None:
        self.stream = stream
        self.partition = partition
        self.since = 0
        self.skewed = False
        self.order: Order[AudioMessage] = Order()
        self._split = channels == "split"
        self._wanted: dict[str, Mark] = {}
        self._length_s = 0.0
        self._channels = _channels(stream, names or list(marks))
        self._form: tuple[int, int] | None = None
        self._anchor_ns = 0
        self._counted = 0
        self._resumed: State | None = None
        self._told_ns: int | None = None
        here = {name: mark for name, mark in marks.items() if mark["partition"] == partition}
        if here:
            first = min(here.values(), key=_mark)
            self.since = first["offset"]
            self.order = Order(
                first["epoch"],
                first["seq"],
                first.get("before", ""),
                first.get("before_next", -1),
                first.get("time"),
            )
            self._resumed = first
            self._told_ns = first.get("told")
            self._wanted = {name: _mark(mark) for name, mark in here.items()}

    @property
    def deadline_ns(self) -> int | None:
        """Steady time at which ``expire`` has something to do."""
        return self.order.deadline_ns

    def take(self, message: AudioMessage, offset: int, now_ns: int, items: list[RawItem]) -> None:
        """Append what the next message of the key releases."""
        samples = message.samples
        form = None if message.end else (message.rate_hz, samples.shape[1])
        order = self.order
        joined = order.advance(message.epoch, message.seq, message.ts_ns, form)
        if joined is not None:
            self._emit(message, offset, offset + 1, joined, order.before, order.before_next, items)
            return
        sent = Sent(message.epoch, message.seq, message.ts_ns, offset, form, message)
        seen = order.rivals + order.returns
        steps = order.take(sent, now_ns)
        if order.rivals + order.returns > seen:  # before the chunk whose mark remembers it
            self._tell_rivals(message.ts_ns, items)
        self._append(steps, items)

    def lose(self, seq: int | None, offset: int, now_ns: int, items: list[RawItem]) -> None:
        """A message of the key could not be read."""
        if seq is not None:
            self._append(self.order.lose(seq, offset, now_ns), items)

    def expire(self, now_ns: int, items: list[RawItem]) -> None:
        """Append what was held for long enough."""
        self._append(self.order.expire(now_ns), items)

    def wait_on(self, now_ns: int) -> None:
        """What is held was not there to come: its time begins now."""
        self.order.deadline_ns = now_ns + HOLD_NS

    def move(self, partition: int, items: list[RawItem]) -> None:
        """Its messages come from another partition from now on, and none from the one before."""
        self._append(self.order.finish(), items)
        self.partition, self.since = partition, 0
        self._wanted = {}

    @property
    def home(self) -> str:
        """The stream that what befalls the key is said of."""
        return self._names(self._channels)[0]

    def _append(self, steps: Sequence[Released[AudioMessage] | Gap], items: list[RawItem]) -> None:
        for step in steps:
            if isinstance(step, Gap):
                self._miss(step, items)
            else:
                message, before = step.sent.payload, (step.before, step.before_next)
                self._emit(message, step.place, step.after, step.joined, *before, items)

    def _emit(
        self,
        message: AudioMessage,
        place: int,
        after: int,
        joined: bool,
        before: str,
        before_next: int,
        items: list[RawItem],
    ) -> None:
        mark: State = {
            "partition": self.partition,
            "offset": place,
            "epoch": message.epoch,
            "seq": message.seq,
            "time": message.ts_ns,
        }
        if before:
            mark["before"], mark["before_next"] = before, before_next
        if self._told_ns is not None:
            mark["told"] = self._told_ns
        if message.end:
            mark["offset"], mark["seq"] = after, message.seq + 1
            names = self._names(self._channels)
            items += [Break(name, mark, over=True) for name in self._due(names, mark)]
            self._form = None
            return
        samples = message.samples
        count, channels = samples.shape
        if joined:
            joined = self._keeps_time(message, mark, items)
        if not joined:
            self._begin(message, mark, channels)
        mark["anchor"], mark["counted"] = self._anchor_ns, self._counted
        self._counted += count
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

    def _begin(self, message: AudioMessage, mark: State, channels: int) -> None:
        """Samples are counted from here on, or go on being counted as in an earlier run."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and _mark(resumed) == _mark(mark) and "anchor" in resumed:
            self._anchor_ns, self._counted = resumed["anchor"], resumed["counted"]
        else:
            self._anchor_ns, self._counted = message.ts_ns, 0
        self._note(message.rate_hz, channels, message.epoch)

    def _keeps_time(self, message: AudioMessage, mark: State, items: list[RawItem]) -> bool:
        """Whether its time agrees with the samples counted; it is said where not."""
        begin_ns = self._anchor_ns + self._counted * _NS_PER_S // message.rate_hz
        off_ns = message.ts_ns - begin_ns
        if -CLOCK_NS <= off_ns <= CLOCK_NS:
            return True
        way = "after" if off_ns > 0 else "before"
        said = f"its times go on {abs(off_ns) / 1e9:.3f} s {way} the end of its samples"
        for name in self._names(self._channels):
            wanted = self._wanted.get(name)
            if wanted is None or _mark(mark) > wanted:
                detail = f"{name}: {said} (seq {message.seq})"
                items.append(
                    Failure(name, "source", "clock", detail, _CLOCK[way], start_s=float("nan"))
                )
        return False

    def _tell_rivals(self, time_ns: int, items: list[RawItem]) -> None:
        """Two send under one key: said at once, then once a minute of their time."""
        home, told_ns = self.home, self._told_ns
        if home in self._wanted or (told_ns is not None and abs(time_ns - told_ns) < TOLD_NS):
            return
        self._told_ns = time_ns
        detail = f"{home}: two senders use this key at a time; only one of them is heard"
        items.append(
            Failure(home, "source", "two_senders", detail, _ONE_SENDER, start_s=float("nan"))
        )

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


def _channels(stream: str, names: Sequence[str]) -> int:
    """How many channels a key had in an earlier run, as the names of its streams tell."""
    if stream in names:
        return 1
    return max((int(name.rpartition("/")[2]) for name in names), default=1)


_CLOCK: Final = {
    "after": "heard as a gap; see to the sender's clock, or count its samples for `ts`",
    "before": "what lies before audio heard already is left out; see to the sender's clock",
}
_ONE_SENDER: Final = "give each sender a key of its own, or stop one of them"
