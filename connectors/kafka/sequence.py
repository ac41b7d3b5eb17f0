"""The messages of one stream back in the order in which they were sent; what is missing is said.

Within an *epoch* (one start of a producer) messages are numbered. A message ahead of its turn is
held until those before it came; when more than ``REORDER`` are held, or one for ``HOLD_NS``, what
is missing is given up as a gap. A number that had its turn is dropped: as *repeated* where it was
heard, as *late* where it was given up. A new epoch begins at once. Numbers that begin anew without
a new epoch, or an earlier epoch that goes on, are believed after ``REORDER`` messages in a row
whose times go on, too; those are held meanwhile. Dropped messages that nobody has heard and that
are not late come from another sender of the same name: *rivals*.

Invariant: released are numbers in ascending order within an epoch, none twice; every number
between the first and the last is released or lies in a gap; at most ``REORDER`` messages are held
of either kind; what is taken is released, held or counted as dropped. It knows numbers and times,
nothing of audio, topics or clocks.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

REORDER = 3
HOLD_NS = 1_000_000_000
MOST_GAPS = 8
"""Gaps that are remembered, so that what comes after all is known to be late."""
T = TypeVar("T")
Form: TypeAlias = tuple[int, int]
"""Rate in Hz and channels; audio of two forms never joins."""


@dataclass(frozen=True, slots=True)
class Sent(Generic[T]):
    """A message as it was sent.

    Attributes:
        epoch: names one start of the producer.
        seq: its number.
        time_ns: event time of its first sample.
        place: offset in the partition; reading from there meets it again.
        form: of its audio; None where it carries none and what follows it joins nothing.
        payload: the message.
    """

    epoch: str
    seq: int
    time_ns: int
    place: int
    form: Form | None
    payload: T


@dataclass(frozen=True, slots=True)
class Released(Generic[T]):
    """A message in its turn.

    Attributes:
        sent: the message.
        joined: it goes on where the one released before ended.
        place: reading from there meets it and everything that is still held.
        after: the same without the message itself.
        before: the epoch before this one, whose messages are late; "" where there was none.
        before_next: number after the last one heard of it; -1 where unknown.
    """

    sent: Sent[T]
    joined: bool
    place: int
    after: int
    before: str
    before_next: int


@dataclass(frozen=True, slots=True)
class Gap:
    """``count`` numbers from ``first`` on never came."""

    first: int
    count: int


class Sequence(Generic[T]):
    """The order of one stream.

    Args:
        epoch: with ``expected``, where an earlier run stood; None to begin with whatever comes.
        expected: number of the message that comes next.
        before: the epoch before.
        before_next: number after the last one heard of that; -1 where unknown.
        time_ns: event time of what was released last; None where unknown.

    Attributes:
        before: the epoch before this one; "" where there was none.
        before_next: number after the last one heard of it; -1 where unknown.
        deadline_ns: steady time at which ``expire`` gives up waiting; None where nothing is held.
        repeated: messages dropped because they were heard already.
        late: messages dropped because they had been given up.
        rivals: new messages dropped because another sender's numbers are followed.
        returns: how often an epoch was taken up again that had been left.
        time_ns: event time of what was released last; None before.
    """

    __slots__ = (
        *("_again", "_epoch", "_form", "_given_up", "_held", "_next", "before"),
        *("before_next", "deadline_ns", "late", "repeated", "returns", "rivals", "time_ns"),
    )

    def __init__(
        self,
        epoch: str | None = None,
        expected: int = 0,
        before: str = "",
        before_next: int = -1,
        time_ns: int | None = None,
    ) -> None:
        self._epoch = epoch
        self._next = expected
        self.before = before
        self.before_next = before_next
        self._form: Form | None = None
        self.time_ns = time_ns
        self._held: dict[int, Sent[T] | int] = {}
        self._again: list[Sent[T]] = []
        self._given_up: deque[range] = deque(maxlen=MOST_GAPS)
        self.deadline_ns: int | None = None
        self.repeated = self.late = self.rivals = self.returns = 0

    @property
    def dropped(self) -> int:
        """Messages that were taken and are not heard."""
        return self.repeated + self.late + self.rivals

    def advance(self, epoch: str, seq: int, time_ns: int, form: Form | None) -> bool | None:
        """The common case: a message in its turn while nothing is held.

        Returns:
            Whether it joins the one before; None where it is another case: ``take`` it.
        """
        if seq != self._next or epoch != self._epoch or self.deadline_ns is not None:
            return None
        joined = form is not None and form == self._form
        self._next = seq + 1
        self._form = form
        self.time_ns = time_ns
        return joined

    def take(self, sent: Sent[T], now_ns: int) -> list[Released[T] | Gap]:
        """What is released by the next message of the partition."""
        out: list[Released[T] | Gap] = []
        if self._epoch is None or sent.epoch not in {self._epoch, self.before}:
            self._begin([sent], out)
        elif sent.epoch != self._epoch or sent.seq < self._next:
            self._doubt(sent, out)
        elif sent.seq in self._held:
            self.repeated += 1
        else:
            self._forget()
            self._hold(sent.seq, sent, out)
        self._wait(now_ns, out)
        return out

    def lose(self, seq: int, place: int, now_ns: int) -> list[Released[T] | Gap]:
        """A message of this number came and could not be read: it is missing for good."""
        out: list[Released[T] | Gap] = []
        # A number that is far off is no more trustworthy than the rest of such a message.
        known = self._epoch is not None and 0 <= seq - self._next <= REORDER
        if known and seq not in self._held:
            self._hold(seq, place, out)
            self._wait(now_ns, out)
        return out

    def expire(self, now_ns: int) -> list[Released[T] | Gap]:
        """What is released because it was held for long enough."""
        out: list[Released[T] | Gap] = []
        if self.deadline_ns is not None and now_ns >= self.deadline_ns:
            out = self.finish()
        return out

    def finish(self) -> list[Released[T] | Gap]:
        """Everything that is held, with its gaps."""
        out: list[Released[T] | Gap] = []
        while self._held:
            self._miss(min(self._held) - self._next, out)
            self._go_on(out)
        self._forget()
        self.deadline_ns = None
        return out

    def _release(self, sent: Sent[T], out: list[Released[T] | Gap]) -> None:
        joined = sent.form is not None and sent.form == self._form
        place, after = sent.place, sent.place + 1
        for held in self._held.values():
            at = held if isinstance(held, int) else held.place
            place, after = min(place, at), min(after, at)
        self._next = sent.seq + 1
        self._form = sent.form
        self.time_ns = sent.time_ns
        out.append(Released(sent, joined, place, after, self.before, self.before_next))

    def _hold(self, seq: int, held: Sent[T] | int, out: list[Released[T] | Gap]) -> None:
        self._held[seq] = held
        self._go_on(out)
        if len(self._held) > REORDER:
            self._miss(min(self._held) - self._next, out)
            self._go_on(out)

    def _go_on(self, out: list[Released[T] | Gap]) -> None:
        """Release what is held and has its turn now."""
        while (held := self._held.pop(self._next, None)) is not None:
            if isinstance(held, int):
                self._miss(1, out)
            else:
                self._release(held, out)

    def _wait(self, now_ns: int, out: list[Released[T] | Gap]) -> None:
        if not self._held and not self._again:
            self.deadline_ns = None
        elif out or self.deadline_ns is None:
            self.deadline_ns = now_ns + HOLD_NS

    def _miss(self, count: int, out: list[Released[T] | Gap]) -> None:
        if not count:
            return
        first = self._next
        self._next = first + count
        self._form = None
        self._given_up.append(range(first, first + count))
        if out and isinstance(last := out[-1], Gap):
            out[-1] = Gap(last.first, last.count + count)
        else:
            out.append(Gap(first, count))

    def _begin(self, run: list[Sent[T]], out: list[Released[T] | Gap]) -> None:
        """Another epoch, or its numbers begin anew: what was held comes first."""
        if run is self._again:
            self._again = []
        out += self.finish()
        if run[0].epoch != self._epoch:
            self.returns += run[0].epoch == self.before and self._epoch is not None
            self.before, self.before_next = self._epoch or "", self._next
        self._epoch = run[0].epoch
        self._form = None
        self._given_up.clear()
        for sent in run:
            self._release(sent, out)

    def _doubt(self, sent: Sent[T], out: list[Released[T] | Gap]) -> None:
        """Its turn is over; unless others follow that show that the numbers began anew."""
        last = self._again[-1] if self._again else None
        before_ns = self.time_ns if last is None else last.time_ns
        if before_ns is not None and sent.time_ns <= before_ns:
            self._drop(sent)
            return
        if last is not None and (last.epoch, last.seq + 1) != (sent.epoch, sent.seq):
            self._forget()
        self._again.append(sent)
        if len(self._again) > REORDER:
            self._begin(self._again, out)

    def _drop(self, sent: Sent[T], *, newer: bool = False) -> None:
        """Count what is not heard; ``newer``: than all that was heard, by its time."""
        if sent.epoch != self._epoch:
            heard = 0 <= sent.seq < self.before_next or (self.before_next < 0 and not newer)
            self.rivals += not heard
            self.repeated += heard
        elif any(sent.seq in gap for gap in self._given_up):
            self.late += 1
        else:
            self.rivals += newer
            self.repeated += not newer

    def _forget(self) -> None:
        for sent in self._again:
            self._drop(sent, newer=True)
        self._again = []
