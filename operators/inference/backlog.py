"""Everything that has come in and not yet gone out, in the order of submission.

Results leave in exactly that order, across all streams: what is decided early (a silent window, a
shed one) waits for what came before it. So the end of a stream follows all of its results, and
the order never depends on how batches fell.

Invariant: every open window leaves with exactly one outcome. Windows of live streams wait in a
bounded queue, oldest shed first; those of replayable streams are never shed, because their
sources wait for credit, which bounds them. What is decided keeps no samples, and waits no longer
than one call lasts. Guarded by its owner's lock.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from operators.inference.interface import Item, Result
from operators.records import Outcome, StreamEnd, Verdict, Window

Saved: TypeAlias = tuple[Window | None, tuple[Result, ...], bool]
"""An entry at rest: its window while undecided, else its results; whether it was open."""


@dataclass(slots=True)
class Entry:
    """An item on its way through.

    Attributes:
        number: position in the order of submission.
        window: what waits for the model; None once decided.
        results: what became of it; empty until decided.
        opened: it came in as an open window that holds credit (those of live streams hold none,
            or they would stop the sources that can wait), and gives it back when it goes out.
        live: may be shed.
        since_ns: epoch nanoseconds of its submission.
    """

    number: int
    window: Window | None
    results: tuple[Result, ...]
    opened: bool
    live: bool
    since_ns: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry taken for a call, with the window it held then."""

    entry: Entry
    window: Window


class Backlog:
    """The queue of one model; ``space`` is the vector space its verdicts name."""

    def __init__(self, space: str, capacity: int) -> None:
        self._space = space
        self._capacity = capacity
        self._order: deque[Entry] = deque()
        self._patient: deque[Waiting] = deque()
        self._live: deque[Waiting] = deque()
        self._number = 0
        self._open = 0

    @property
    def waiting(self) -> int:
        """Open windows that no call has taken yet."""
        return len(self._patient) + len(self._live)

    @property
    def open_windows(self) -> int:
        """Open windows of replayable streams that came in and have not gone out."""
        return self._open

    @property
    def windows(self) -> int:
        """Windows, gated ones included, that came in and have not gone out."""
        heads = (entry.results[0] if entry.results else entry.window for entry in self._order)
        return sum(not isinstance(head, StreamEnd) for head in heads)

    @property
    def empty(self) -> bool:
        """Whether everything that came in has gone out."""
        return not self._order

    @property
    def ready(self) -> bool:
        """Whether something can go out now."""
        return bool(self._order) and bool(self._order[0].results)

    def add(self, item: Item, *, live: bool, since_ns: int) -> None:
        """Take in one item; sheds the oldest live window where there is no room for another."""
        if isinstance(item, StreamEnd):
            self._enter(None, (item,), opened=False)
        elif item.gate != "open":
            self._enter(None, (verdict(item, self._space, item.gate),), opened=False)
        else:
            self._enter(item, (), opened=not live, live=live, since_ns=since_ns)
            while len(self._live) > self._capacity:
                oldest = self._live.popleft()
                shed = verdict(oldest.window, self._space, "shed", "queue_full")
                self.decide(oldest.entry, shed)

    def take(self, limit: int) -> list[Waiting]:
        """The oldest waiting windows, at most ``limit``, of one length (batches never mix)."""
        taken: list[Waiting] = []
        while len(taken) < limit and (queue := self._older()) is not None:
            if taken and len(queue[0].window.samples) != len(taken[0].window.samples):
                break
            taken.append(queue.popleft())
        return taken

    def take_all(self) -> Iterator[Waiting]:
        """Every waiting window, oldest first."""
        while (queue := self._older()) is not None:
            yield queue.popleft()

    def put_back(self, taken: Iterable[Waiting]) -> None:
        """Return windows that a call took and could not do, ahead of all that wait."""
        for waiting in sorted(taken, key=lambda each: each.entry.number, reverse=True):
            (self._live if waiting.entry.live else self._patient).appendleft(waiting)

    def decide(self, entry: Entry, *results: Result) -> None:
        """Settle what became of an open window; it goes out in its turn, without its samples."""
        entry.results = results
        entry.window = None

    def release(self) -> tuple[list[Result], int]:
        """What can go out now, in order, and how much credit comes back with it."""
        out: list[Result] = []
        opened = 0
        while self.ready:
            entry = self._order.popleft()
            out.extend(entry.results)
            opened += entry.opened
        self._open -= opened
        return out, opened

    def save(self) -> list[Saved]:
        """Everything that has not gone out, in order; records are shared, nothing is copied."""
        return [(entry.window, entry.results, entry.opened) for entry in self._order]

    def load(
        self, saved: Iterable[Saved], *, is_live: Callable[[str], bool], since_ns: int
    ) -> None:
        """Take in what ``save`` gave; nothing is shed by this."""
        for window, results, opened in saved:
            live = window is not None and is_live(window.stream)
            self._enter(window, results, opened=opened, live=live, since_ns=since_ns)

    def _enter(
        self,
        window: Window | None,
        results: tuple[Result, ...],
        *,
        opened: bool,
        live: bool = False,
        since_ns: int = 0,
    ) -> None:
        self._number += 1
        entry = Entry(self._number, window, results, opened, live, since_ns)
        self._order.append(entry)
        self._open += opened
        if window is not None:
            (self._live if live else self._patient).append(Waiting(entry, window))

    def _older(self) -> deque[Waiting] | None:
        """The queue whose head came first."""
        if not self._patient or not self._live:
            return self._patient or self._live or None
        return min(self._patient, self._live, key=lambda queue: queue[0].entry.number)


def verdict(window: Window, space: str, outcome: Outcome, reason: str = "") -> Verdict:
    """The verdict on a window for the model of this space."""
    return Verdict(window.stream, window.index, window.start_ns, space, outcome, reason)
