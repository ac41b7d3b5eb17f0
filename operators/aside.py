"""Runs one stream's operator on another thread, in order, without anyone waiting for it.

Matching a long region against a hundred templates takes a tenth of a second; on the worker thread
every other stream and every finished window would wait for it. Here items are handed over and
results are asked for. The thread may be shared by many streams, as long as it is one: that keeps
each stream's items in order.

Invariant: the state in a snapshot is that after the last item whose results have gone out, and
every later item is in it too; so nothing is lost or told twice, whatever the thread was doing.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Item: TypeAlias = Any
State: TypeAlias = dict[str, Any]

_VERSION = 1


class Hears(Protocol):
    """What runs aside: items of one stream in, results out, state as versioned plain data.

    A snapshot must not change when the operator goes on: it is kept while that happens.
    """

    def hear(self, item: Item) -> list[Item]:
        """Take one item; return what it gave rise to."""
        ...

    def snapshot(self) -> State:
        """State as versioned plain data."""
        ...


@dataclass(frozen=True, slots=True)
class _Heard:
    results: list[Item]
    state: State | None


class Aside:
    """One stream's operator, run on ``executor``.

    Args:
        hears: the operator; from now on touched by the executor's thread only.
        executor: runs one task at a time.
        failed: makes the results that stand for an item whose hearing raised.
    """

    def __init__(
        self, hears: Hears, executor: Executor, failed: Callable[[Item, Exception], list[Item]]
    ) -> None:
        self._hears = hears
        self._executor = executor
        self._failed = failed
        self._state = hears.snapshot()
        self._waiting: deque[tuple[Item, Future[_Heard]]] = deque()

    @property
    def busy(self) -> bool:
        """Whether something was handed over and has not come out: ask again in about 2 ms."""
        return bool(self._waiting)

    @property
    def waiting(self) -> list[Item]:
        """Items that were handed over and have not come out, in order."""
        return [item for item, _ in self._waiting]

    def submit(self, item: Item) -> None:
        """Hand an item over; returns at once."""
        self._waiting.append((item, self._executor.submit(self._hear, item)))

    def drop_oldest(self, droppable: Callable[[Item], bool]) -> Item | None:
        """Take back the oldest item that is not being heard yet; None where there is none."""
        for at, (item, future) in enumerate(self._waiting):
            if droppable(item) and future.cancel():
                del self._waiting[at]
                return item
        return None

    def poll(self) -> list[tuple[Item, list[Item]]]:
        """Items that are done, in order, each with its results; returns at once."""
        out: list[tuple[Item, list[Item]]] = []
        while self._waiting and self._waiting[0][1].done():
            item, future = self._waiting.popleft()
            heard = future.result()
            self._state = heard.state or self._state
            out.append((item, heard.results))
        return out

    def drain(self) -> list[tuple[Item, list[Item]]]:
        """Wait until everything handed over is done."""
        wait([future for _, future in self._waiting])
        return self.poll()

    def snapshot(self) -> State:
        """State after the last item that came out, and the items after it."""
        return {"version": _VERSION, "state": self._state, "waiting": self.waiting}

    def _hear(self, item: Item) -> _Heard:
        try:
            results = self._hears.hear(item)
        except Exception as error:
            results = self._failed(item, error)
        try:
            return _Heard(results, self._hears.snapshot())
        except Exception as error:
            return _Heard(results + self._failed(item, error), None)


def unpack(state: State) -> tuple[State, list[Item]]:
    """The operator's own state, and the items to hand over again.

    Raises:
        ValueError: written by another version.
    """
    if state.get("version") != _VERSION:
        raise ValueError(f"version {state.get('version')}, expected {_VERSION}")
    return state["state"], state["waiting"]
