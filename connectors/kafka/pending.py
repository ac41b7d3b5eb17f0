"""What waits for a topic: a bounded queue of what was not handed over, and of what was.

Invariant: every record that was taken is settled exactly once, and the bytes counted are those of
what is not settled. It is thread-safe and never waits, but in what is named after waiting.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.trace import INVALID_SPAN, Span

RECORD_BYTES: Final = 300
"""What a record costs beside its content."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record, and what its owner knows it by: ``tag``, and a span that ends with it."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    tag: Any = None
    span: Span = INVALID_SPAN

    @property
    def size(self) -> int:
        """Bytes it takes up while it waits."""
        return len(self.value) + RECORD_BYTES


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait.

    Attributes:
        most_bytes: of all that is not acknowledged yet.
        most_records: likewise.
        under_way_bytes: of that, what may be in the hands of the driver.
        shed: when full, the oldest makes room; otherwise the newest is turned down.
        give_up_s: a record that is not acknowledged by then is let go; None: never.
    """

    most_bytes: int = 16 << 20
    most_records: int = 20_000
    under_way_bytes: int = 4 << 20
    shed: bool = False
    give_up_s: float | None = None


@dataclass(slots=True)
class Entry:
    """A record in the queue: its number, when it was taken, how often it failed by itself."""

    number: int
    record: Outgoing
    taken_s: float
    attempts: int = 0


Settled = Callable[[Outgoing, str, str], None]
"""Told of every record: the record, the reason ("" = acknowledged), and a line of detail.

It is called before anybody who waits for it is woken; it must be quick and not call back.
"""


class Pending:
    """The queue of one outbox.

    Args:
        bounds: what may wait.
        settled: called once for each record.
        steady_s: injected clock.
    """

    def __init__(self, bounds: Bounds, settled: Settled, steady_s: Callable[[], float]) -> None:
        self._bounds = bounds
        self._settled = settled
        self._steady_s = steady_s
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._waiting: deque[Entry] = deque()
        self._sent: dict[int, Entry] = {}
        self._sent_bytes = 0
        self._bytes = 0
        self._taken = 0
        self._progress_s = 0.0
        self._closed = False
        self._woken = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    def offer(self, record: Outgoing) -> bool:
        """Take a record; False where there is no room (never with ``shed``) or it is closed."""
        with self._lock:
            if self._closed:
                return False
            while self._is_full(record.size):
                if not self._bounds.shed:
                    return False
                # what the driver has in hand cannot be taken back: then it is this one that goes
                oldest = self._waiting.popleft().record if self._waiting else None
                self._bytes -= oldest.size if oldest else 0
                self._settled(oldest or record, "shed", "more was waiting than there is room for")
                if oldest is None:
                    return True
            self._taken += 1
            self._waiting.append(Entry(self._taken, record, self._steady_s()))
            self._bytes += record.size
            self._work.notify()
            return True

    def next(self) -> Entry | None:
        """Hand the oldest record over; None where there is none, or enough is under way."""
        with self._lock:
            if not self._waiting or self._sent_bytes >= self._bounds.under_way_bytes:
                return None
            entry = self._waiting.popleft()
            if not self._sent:
                self._progress_s = self._steady_s()
            self._sent[entry.number] = entry
            self._sent_bytes += entry.record.size
            return entry

    def acknowledge(self, number: int) -> bool:
        """The brokers hold a record; False where it was settled before."""
        return self._settle(number, "", "")

    def refuse(self, number: int, detail: str) -> None:
        """The brokers will never hold it."""
        self._settle(number, "refused", detail)

    def failed(self, number: int) -> int:
        """A record failed by itself; how often that has happened."""
        with self._lock:
            entry = self._sent.get(number)
            if entry is None:
                return 0
            entry.attempts += 1
            return entry.attempts

    def take_back(self) -> None:
        """What was handed over and not settled is to be handed over again, in order."""
        with self._lock:
            self._waiting.extendleft(reversed(self._sent.values()))
            self._sent = {}
            self._sent_bytes = 0

    def let_go(self) -> None:
        """Give up what has waited for too long."""
        if self._bounds.give_up_s is None:
            return
        before_s = self._steady_s() - self._bounds.give_up_s
        with self._lock:
            old = [each for each in self._sent.values() if each.taken_s <= before_s]
            for entry in old:
                del self._sent[entry.number]
                self._sent_bytes -= entry.record.size
            while self._waiting and self._waiting[0].taken_s <= before_s:
                old.append(self._waiting.popleft())
            for entry in old:
                self._bytes -= entry.record.size
                self._settled(
                    entry.record,
                    "given_up",
                    f"not acknowledged within {self._bounds.give_up_s:.0f} s",
                )
            self._room.notify_all()

    def close(self, reason: str, detail: str) -> int:
        """Settle everything with a reason and take nothing more; how many there were."""
        with self._lock:
            self._closed = True
            left = [*self._sent.values(), *self._waiting]
            self._sent = {}
            self._waiting.clear()
            self._sent_bytes = self._bytes = 0
            for entry in left:
                self._settled(entry.record, reason, detail)
            self._wake()
            self._room.notify_all()
        return len(left)

    def stop_taking(self) -> None:
        """Take nothing more; what is there still goes out."""
        with self._lock:
            self._closed = True
            self._wake()

    def silent_s(self) -> float:
        """For how long nothing was acknowledged although something is under way."""
        with self._lock:
            return self._steady_s() - self._progress_s if self._sent else 0.0

    def wake(self) -> None:
        """End the wait for work, or the next one."""
        with self._lock:
            self._wake()

    def wait_for_work(self, timeout_s: float | None) -> None:
        """Wait until there is a record to hand over, ``wake`` is called, or time is up."""
        with self._lock:
            self._work.wait_for(
                lambda: (
                    self._woken
                    or (self._waiting and self._sent_bytes < self._bounds.under_way_bytes)
                ),
                timeout_s,
            )
            self._woken = False

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until a record may be taken again; whether it may."""
        with self._lock:
            return self._room.wait_for(lambda: self._closed or self._is_half_empty(), timeout_s)

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until everything is settled; whether it is."""
        with self._lock:
            return self._room.wait_for(lambda: not len(self), timeout_s)

    def _settle(self, number: int, reason: str, detail: str) -> bool:
        with self._lock:
            entry = self._sent.pop(number, None)
            if entry is None:
                return False
            was_full = self._sent_bytes >= self._bounds.under_way_bytes
            self._sent_bytes -= entry.record.size
            self._bytes -= entry.record.size
            self._progress_s = self._steady_s()
            self._settled(entry.record, reason, detail)
            if was_full or not len(self):
                self._wake()
            if self._is_half_empty():
                self._room.notify_all()
            return True

    def _wake(self) -> None:
        self._woken = True
        self._work.notify_all()

    def _is_half_empty(self) -> bool:
        # half, so that who waits for room is not woken for every record
        return (
            self._bytes <= self._bounds.most_bytes // 2
            and len(self) <= self._bounds.most_records // 2
        )

    def _is_full(self, size: int) -> bool:
        # one record larger than the bound is taken when nothing else waits
        return len(self) >= self._bounds.most_records or (
            bool(self._bytes) and self._bytes + size > self._bounds.most_bytes
        )
