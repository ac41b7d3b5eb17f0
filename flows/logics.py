"""What runs inside the steps: Bytewax logics around the operators, one a stream or one a model.

Invariants: no callback raises (an error becomes a ``Failure`` on the stream, because an exception
would end the flow and come back on resume); none blocks but the drain at the end of all input;
states are what the operators' own ``snapshot`` returns.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from bytewax.operators import StatefulBatchLogic
from typing_extensions import override

from flows.errors import GrymError
from flows.station import Station
from operators.aside import Hears
from operators.inference import Inference
from operators.metering import Stage
from operators.rates import RateTracker
from operators.records import Failure, Frame, StreamEnd
from operators.relations import RelationTracker

_log = logging.getLogger(__name__)
POLL = timedelta(milliseconds=2)

Item: TypeAlias = Any
State: TypeAlias = dict[str, Any]
R = TypeVar("R")


class OneStream(StatefulBatchLogic[Item, Item, State]):
    """Runs one operator a stream; made at the first item, which names the stream."""

    def __init__(self, timed: Stage, make: Callable[[str], Hears], hears: Hears | None) -> None:
        self._stage = timed.name
        self._timed = timed
        self._make = make
        self._hears = hears

    @override
    def on_batch(self, values: list[Item]) -> tuple[Iterable[Item], bool]:
        out: list[Item] = []
        with self._timed:
            for item in values:
                out += self._take(item)
        return out, StatefulBatchLogic.RETAIN

    def _take(self, item: Item) -> list[Item]:
        try:
            if self._hears is None:
                self._hears = self._make(item.stream)
            return self._hears.hear(item)
        except Exception as error:
            _log.debug("%s failed on %s", self._stage, item.stream, exc_info=True)
            return left_out(self._stage, item, error)

    @override
    def snapshot(self) -> State:
        return self._hears.snapshot() if self._hears is not None else {}


def left_out(stage: str, item: Item, error: Exception) -> list[Item]:
    """What stands for an item that raised; the end of a stream is passed on all the same."""
    failure = Failure(
        stream=item.stream,
        stage=stage,
        reason="error",
        detail=f"{stage} left out an item of {item.stream}: {type(error).__name__}: {error}",
        remedy="the stream goes on without it; please report this line",
        start_s=0.0,
    )
    if isinstance(item, Frame) and item.last:
        return [failure, StreamEnd(item.stream, item.index + len(item.samples), item.origin_ns)]
    return [failure, item] if isinstance(item, StreamEnd) else [failure]


def restored(
    stage: str, station: Station, restore: Callable[[State], R], resume: State | None
) -> R | None:
    """What a snapshot holds.

    One that cannot be read ends the run before anything is made durable: an empty state written
    over a good one would be worse than no answer.
    """
    if not resume:
        return None
    try:
        return restore(resume)
    except Exception as error:
        station.fail(
            GrymError(
                f"the recovery state of {stage} cannot be used ({type(error).__name__}: {error}): "
                "listen with a new recovery folder"
            )
        )


class Concluding:
    """An operator with a ``finish``, which passes the end of its stream on."""

    def __init__(
        self,
        hear: Callable[[Item], list[Item]],
        finish: Callable[[StreamEnd], list[Item]],
        snapshot: Callable[[], State],
    ) -> None:
        self._hear = hear
        self._finish = finish
        self.snapshot = snapshot

    def hear(self, item: Item) -> list[Item]:
        """Take an item, or conclude."""
        return [*self._finish(item), item] if isinstance(item, StreamEnd) else self._hear(item)


def relating(tracker: RelationTracker) -> Hears:
    """A tracker of relations as a step wraps it."""
    return Concluding(tracker.observe, tracker.finish, tracker.snapshot)


def rating(tracker: RateTracker) -> Hears:
    """A tracker of rates as a step wraps it."""
    return Concluding(tracker.observe, tracker.finish, tracker.snapshot)


class Inferring(StatefulBatchLogic[Item, Item, State]):
    """One model for all streams: hands over, asks again in 2 ms while something is under way."""

    def __init__(self, lane: Inference, station: Station) -> None:
        self._lane = lane
        self._station = station

    @override
    def on_batch(self, values: list[Item]) -> tuple[Iterable[Item], bool]:
        self._lane.submit(values)
        return self.on_notify()

    @override
    def on_notify(self) -> tuple[Iterable[Item], bool]:
        return self._heard(self._lane.poll()), StatefulBatchLogic.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[Item], bool]:
        out: list[Item] = []
        while self._lane.busy:  # every call ends, at the latest at its deadline
            out += self._heard(self._lane.drain(self._lane.config.deadline_s))
        return out, StatefulBatchLogic.RETAIN

    def _heard(self, out: list[Item]) -> list[Item]:
        """What came out; too many calls that hang end the run."""
        if self._lane.needs_restart:
            self._station.end(_hanging(self._lane.hanging))
        return out

    @override
    def notify_at(self) -> datetime | None:
        under_way = self._lane.busy or self._lane.probing
        return datetime.now(UTC) + POLL if under_way else None

    @override
    def snapshot(self) -> State:
        return self._lane.snapshot()


def _hanging(model: str) -> GrymError:
    return GrymError(
        f"model {model} hangs: too many of its calls never returned and their threads cannot be "
        "stopped; start grym again (with --recovery it goes on where it was)"
    )
