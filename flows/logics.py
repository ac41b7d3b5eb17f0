"""What runs inside the steps: Bytewax logics around the operators, one a stream or one a model.

Invariants: no callback raises (an error becomes a ``Failure`` on the stream, because an exception
would end the flow and come back on resume); none blocks but the drain at the end of all input;
states are what the operators' own ``snapshot`` returns.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from bytewax.operators import StatefulBatchLogic
from typing_extensions import override

from flows.errors import GrymError
from flows.station import Station
from operators import tracing
from operators.aside import Aside, Hears, unpack
from operators.inference import Inference
from operators.patterns import Detector
from operators.records import FRAME_S, Failure, Frame, Region, StreamEnd, Window
from operators.relations import RelationTracker
from operators.segment import Segmenter

_log = logging.getLogger(__name__)
_POLL = timedelta(milliseconds=2)
_LIVE_REGIONS = 64
"""Regions of a live stream that may wait for discovery (at most 40 kB each)."""

Item: TypeAlias = Any
State: TypeAlias = dict[str, Any]
R = TypeVar("R")


class OneStream(StatefulBatchLogic[Item, Item, State]):
    """Runs one operator a stream; made at the first item, which names the stream."""

    def __init__(self, stage: str, make: Callable[[str], Hears], hears: Hears | None) -> None:
        self._stage = stage
        self._make = make
        self._hears = hears

    @override
    def on_batch(self, values: list[Item]) -> tuple[Iterable[Item], bool]:
        out: list[Item] = []
        with tracing.stage(self._stage):
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
            return _left_out(self._stage, item, error)

    @override
    def snapshot(self) -> State:
        return self._hears.snapshot() if self._hears is not None else {}


def _left_out(stage: str, item: Item, error: Exception) -> list[Item]:
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


class Segmenting:
    """A segmenter that takes credit for what it cuts and opens the trace of each window.

    A region carries the trace of the last window before it (telemetry only: not state).
    """

    def __init__(self, segmenter: Segmenter, station: Station) -> None:
        self._segmenter = segmenter
        self._station = station
        self._traceparent = ""

    def hear(self, frame: Frame) -> list[Item]:
        """Cut a frame."""
        self._station.ledger.heard(len(frame.samples))
        return [self._noted(item) for item in self._segmenter.hear(frame)]

    def _noted(self, item: Item) -> Item:
        if isinstance(item, Window):
            models = len(self._station.ladders)
            self._station.ledger.cut(models)
            if item.gate == "open" and not self._station.is_live(item.stream):
                self._station.credit.take(models)
            if tracing.active():
                self._traceparent = tracing.window_span(item, remote=item.traceparent)
                return replace(item, traceparent=self._traceparent)
        elif isinstance(item, Region) and self._traceparent:
            return replace(item, traceparent=self._traceparent)
        return item

    def snapshot(self) -> State:
        """The segmenter's state."""
        return self._segmenter.snapshot()


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


def discovering(detector: Detector) -> Hears:
    """A detector as a step wraps it; its span is linked to the window before the region."""

    def hear(region: Region) -> list[Item]:
        with tracing.stage("patterns", traceparents=(region.traceparent,)):
            return list(detector.hear(region))

    return Concluding(hear, detector.finish, detector.snapshot)


def relating(tracker: RelationTracker) -> Hears:
    """A tracker of relations as a step wraps it."""
    return Concluding(tracker.observe, tracker.finish, tracker.snapshot)


class Discovering(StatefulBatchLogic[Item, Item, State]):
    """One stream's detector, run aside: hands over, asks again in 2 ms while it is at work."""

    def __init__(self, station: Station, resume: tuple[Detector, list[Item]] | None) -> None:
        self._station = station
        self._failures: list[Item] = []
        self._aside = self._start(resume[0]) if resume else None
        for item in resume[1] if resume else []:
            self._submit(item)

    @override
    def on_batch(self, values: list[Item]) -> tuple[Iterable[Item], bool]:
        for item in values:
            self._submit(item)
        return self.on_notify()

    @override
    def on_notify(self) -> tuple[Iterable[Item], bool]:
        done = self._aside.poll() if self._aside else []
        return self._told(done), StatefulBatchLogic.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[Item], bool]:
        done = self._aside.drain() if self._aside else []
        return self._told(done), StatefulBatchLogic.RETAIN

    @override
    def notify_at(self) -> datetime | None:
        return datetime.now(UTC) + _POLL if self._aside and self._aside.busy else None

    @override
    def snapshot(self) -> State:
        return self._aside.snapshot() if self._aside else {}

    def _start(self, detector: Detector) -> Aside:
        return Aside(
            discovering(detector),
            self._station.aside,
            lambda item, error: _left_out("patterns", item, error),
        )

    def _submit(self, item: Item) -> None:
        self._aside = self._aside or self._start(Detector(item.stream))
        self._station.regions.take()
        self._aside.submit(item)
        if len(self._aside.waiting) > _LIVE_REGIONS and self._station.is_live(item.stream):
            self._shed(self._aside)

    def _shed(self, aside: Aside) -> None:
        """Leave out the oldest region of a stream that cannot wait."""
        oldest = aside.drop_oldest(lambda item: isinstance(item, Region))
        if oldest is None:
            return
        self._station.regions.give()
        at_s = oldest.start_frame * FRAME_S
        self._failures.append(
            Failure(
                oldest.stream,
                "patterns",
                "shed",
                f"{oldest.stream}: discovery cannot keep up, what began at {at_s:.3f} s was left"
                " out",
                "listen to fewer streams in this process, or on a faster machine",
                at_s,
            )
        )

    def _told(self, done: list[tuple[Item, list[Item]]]) -> list[Item]:
        self._station.regions.give(len(done))
        failures, self._failures = self._failures, []
        return [*failures, *(result for _, results in done for result in results)]


def detector_of(state: State) -> tuple[Detector, list[Item]]:
    """A detector from a snapshot, and the regions that it still has to hear."""
    own, waiting = unpack(state)
    return Detector.restore(own), waiting


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
        return datetime.now(UTC) + _POLL if under_way else None

    @override
    def snapshot(self) -> State:
        return self._lane.snapshot()


def _hanging(model: str) -> GrymError:
    return GrymError(
        f"model {model} hangs: too many of its calls never returned and their threads cannot be "
        "stopped; start grym again (with --recovery it goes on where it was)"
    )
