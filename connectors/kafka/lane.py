"""What was fetched of one partition and waits to be heard: bounded, between two threads.

The reader appends and asks whether there is room; the worker takes. Each side writes its own
numbers only, so that no lock is needed.

Invariant: the reader appends nothing once told that it is full (beyond the poll it is in);
``next`` is the offset after the last record taken.
"""

from collections import deque

from connectors.kafka.record import Entry, Record


class Lane:
    """The queue of one partition.

    Args:
        partition: its number.
        start: offset of the first record to come.
        messages: that may wait.
        size: bytes that may wait.

    Attributes:
        next: offset after the last record taken.
        read: offset after the last record appended; where the reader goes on.
        end: offset after the newest record there is; -1 while unknown.
        taken_ms: broker's time of the last record taken; -1 before.
    """

    __slots__ = (
        *("_appended", "_entries", "_first", "_messages", "_size", "_taken", "end", "next"),
        *("partition", "paused", "read", "taken_ms"),
    )

    def __init__(self, partition: int, start: int, messages: int, size: int) -> None:
        self.partition = partition
        self.next = start
        self.read = start
        self.end = -1
        self.taken_ms = -1
        self.paused = False
        self._first: tuple[int, int] | None = None
        self._entries: deque[Entry] = deque()
        self._messages = messages
        self._size = size
        self._appended = 0
        self._taken = 0

    def append(self, entries: list[Entry]) -> None:
        """What one poll brought; by the reader."""
        self._entries.extend(entries)
        self._appended += sum(entry.size for entry in entries)
        last = entries[-1]
        self.read = (last.offset if isinstance(last, Record) else last.last) + 1

    def ends(self, offset: int | None) -> None:
        """What is known of the newest record there is; by the reader."""
        if offset is not None:
            self.end = max(self.end, self.read, offset)

    @property
    def dry(self) -> bool:
        """Nothing waits."""
        return not self._entries

    def peek(self) -> Entry | None:
        """The entry that is next, or None; by the worker."""
        return self._entries[0] if self._entries else None

    @property
    def full(self) -> bool:
        """Nothing more may be fetched; by the reader."""
        return len(self._entries) >= self._messages or self._appended - self._taken >= self._size

    @property
    def roomy(self) -> bool:
        """Fetching is worth its while again; by the reader."""
        return (
            len(self._entries) <= self._messages // 4
            and self._appended - self._taken <= self._size // 4
        )

    def take(self) -> Entry | None:
        """The next entry, or None; by the worker."""
        try:
            entry = self._entries.popleft()
        except IndexError:
            return None
        self._taken += entry.size
        if isinstance(entry, Record):
            self.next = entry.offset + 1
            self.taken_ms = entry.timestamp
            if self._first is None:
                self._first = (entry.offset, entry.timestamp)
        else:
            self.next = entry.last + 1
        return entry

    @property
    def behind(self) -> int | None:
        """Records between what was taken last and the newest there is; None while unknown."""
        return max(0, self.end - self.next) if self.end >= 0 else None

    @property
    def behind_s(self) -> float | None:
        """The same in seconds, at the pace at which the records so far were written."""
        first, behind = self._first, self.behind
        if not behind:
            return None if behind is None else 0.0
        if first is None or self.next - 1 <= first[0]:
            return None
        pace_ms = (self.taken_ms - first[1]) / (self.next - 1 - first[0])
        return max(0.0, behind * pace_ms / 1_000)
