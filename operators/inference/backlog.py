"""Everything that has come in and not yet gone out, in the order of submission.

Results leave in exactly that order, across all streams: what is decided early (a silent window, a
shed one) waits for what came before it. So the end of a stream follows all of its results, and
the order never depends on how batches fell, nor on which model of a ladder answered first.

Invariant: every open window leaves with exactly one outcome. Windows of live streams wait in a
bounded queue, oldest shed first; those of replayable streams are never shed, because their
sources wait for credit, which bounds them. What is decided keeps no samples, and waits no longer
than one call lasts. Guarded by its owner's lock.
"""

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from operators.inference.interface import Item, Result
from operators.records import Failure, Outcome, StreamEnd, Verdict, Window

Saved: TypeAlias = tuple[Window | None, tuple[Result, ...], bool, int]
"""An entry at rest: its window while undecided, its results, whether it was open, its rung."""


@dataclass(slots=True)
class Entry:
    """An item on its way through.

    Attributes:
        number: position in the order of submission.
        window: what waits for a model; None once decided.
        results: what became of it; while it is undecided, what was said of calls that failed.
        opened: it came in as an open window that holds credit (those of live streams hold none,
            or they would stop the sources that can wait), and gives it back when it goes out.
        live: may be shed.
        since_ns: epoch nanoseconds of its submission.
        rung: the first rung of the ladder that may still be asked; those above have failed on it.
    """

    number: int
    window: Window | None
    results: tuple[Result, ...]
    opened: bool
    live: bool
    since_ns: int
    rung: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry taken for a call, with the window it held then."""

    entry: Entry
    window: Window

    def __lt__(self, other: "Waiting") -> bool:
        return self.entry.number < other.entry.number


class Backlog:
    """The queue of one lane; ``space`` is the vector space its verdicts name.

    Windows wait by rung: at first for any, after a failure only for those further down.
    """

    def __init__(self, space: str, capacity: int, rungs: int = 1) -> None:
        self._space = space
        self._capacity = capacity
        self._order: deque[Entry] = deque()
        self._patient: list[list[Waiting]] = [[] for _ in range(rungs)]
        self._live: list[list[Waiting]] = [[] for _ in range(rungs)]
        self._number = 0
        self._open = 0

    @property
    def waiting(self) -> int:
        """Open windows that no call has taken yet."""
        return sum(len(heap) for heap in (*self._patient, *self._live))

    @property
    def open_windows(self) -> int:
        """Open windows of replayable streams that came in and have not gone out."""
        return self._open

    @property
    def windows(self) -> int:
        """Windows, gated ones included, that came in and have not gone out."""
        return sum(
            entry.window is not None or not isinstance(entry.results[-1], StreamEnd)
            for entry in self._order
        )

    @property
    def empty(self) -> bool:
        """Whether everything that came in has gone out."""
        return not self._order

    @property
    def ready(self) -> bool:
        """Whether something can go out now."""
        return bool(self._order) and self._order[0].window is None

    def waits(self, rung: int) -> int:
        """How many windows wait that may be asked of this rung and of none above it."""
        return len(self._patient[rung]) + len(self._live[rung])

    def add(self, item: Item, *, live: bool, since_ns: int) -> list[Waiting]:
        """Take in one item; sheds, and gives, the oldest live windows where there is no room."""
        shed: list[Waiting] = []
        if isinstance(item, StreamEnd):
            self._enter(None, (item,), opened=False)
        elif item.gate != "open":
            self._enter(None, (verdict(item, self._space, item.gate),), opened=False)
        else:
            self._enter(item, (), opened=not live, live=live, since_ns=since_ns)
            while sum(len(heap) for heap in self._live) > self._capacity:
                shed.append(heapq.heappop(_oldest(self._live)))
                self.bury(shed[-1], "queue_full", outcome="shed")
        return shed

    def take(self, limit: int, rungs: Collection[int] | None = None) -> list[Waiting]:
        """The oldest windows, at most ``limit``, of one length (batches never mix).

        Args:
            limit: of the batch.
            rungs: where they wait; None means anywhere.
        """
        taken: list[Waiting] = []
        heaps = [
            heap
            for kind in (self._patient, self._live)
            for rung, heap in enumerate(kind)
            if rungs is None or rung in rungs
        ]
        while len(taken) < limit and (oldest := _oldest(heaps)):
            if taken and len(oldest[0].window.samples) != len(taken[0].window.samples):
                break
            taken.append(heapq.heappop(oldest))
        return taken

    def take_all(self, rungs: Collection[int] | None = None) -> Iterator[Waiting]:
        """Every window that waits, oldest first."""
        while taken := self.take(1, rungs):
            yield taken[0]

    def put_back(self, taken: Iterable[Waiting]) -> None:
        """Return windows that a call took and could not do, in front of all that came later."""
        for waiting in taken:
            kind = self._live if waiting.entry.live else self._patient
            heapq.heappush(kind[waiting.entry.rung], waiting)

    def lower(self, waiting: Waiting, rung: int, said: Iterable[Failure]) -> None:
        """A call failed on a window that goes on to the rungs from ``rung`` down."""
        waiting.entry.results = (*waiting.entry.results, *said)
        waiting.entry.rung = rung
        self.put_back((waiting,))

    def decide(self, entry: Entry, *results: Result) -> None:
        """Settle what became of an open window; it goes out in its turn, without its samples."""
        entry.results = (*entry.results, *results)
        entry.window = None

    def bury(
        self, waiting: Waiting, reason: str, *said: Failure, outcome: Outcome = "dead"
    ) -> None:
        """A window gets no vector, for this reason."""
        lost = verdict(waiting.window, self._space, outcome, reason)
        self.decide(waiting.entry, *said, lost)

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
        return [(entry.window, entry.results, entry.opened, entry.rung) for entry in self._order]

    def load(
        self, saved: Iterable[Saved], *, is_live: Callable[[str], bool], since_ns: int
    ) -> None:
        """Take in what ``save`` gave; nothing is shed by this."""
        for window, results, opened, rung in saved:
            live = window is not None and is_live(window.stream)
            self._enter(window, results, opened=opened, live=live, since_ns=since_ns, rung=rung)

    def _enter(
        self,
        window: Window | None,
        results: tuple[Result, ...],
        *,
        opened: bool,
        live: bool = False,
        since_ns: int = 0,
        rung: int = 0,
    ) -> None:
        self._number += 1
        entry = Entry(self._number, window, results, opened, live, since_ns, rung)
        self._order.append(entry)
        self._open += opened
        if window is not None:
            self.put_back((Waiting(entry, window),))


def _oldest(heaps: Iterable[list[Waiting]]) -> list[Waiting]:
    """The heap whose head came first; an empty list where nothing waits."""
    return min((heap for heap in heaps if heap), key=lambda heap: heap[0], default=[])


def verdict(window: Window, space: str, outcome: Outcome, reason: str = "") -> Verdict:
    """The verdict on a window for the lane of this space."""
    return Verdict(window.stream, window.index, window.start_ns, space, outcome, reason)
