"""The step that finds recurring sounds: a detector a stream, run aside; each finding is traced.

Silence leaves no regions: once a minute of the stream, what discovery has decided by then is marked
by a ``Reached`` that waits its turn behind the regions before it.

Invariant: what is found does not depend on whether it is traced, nor on how busy the machine is.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from time import time_ns
from typing import Any, TypeAlias

from bytewax.operators import StatefulBatchLogic
from typing_extensions import override

from flows.logics import POLL, Concluding, left_out
from flows.station import Station
from operators import metering, tracing
from operators.aside import Aside, Hears, unpack
from operators.patterns import Detector
from operators.rates import Reached
from operators.records import (
    FRAME_S,
    Failure,
    Occurrence,
    Pattern,
    Region,
    StreamEnd,
    Window,
    to_s,
)
from operators.revision import Revision

_LIVE_REGIONS = 64
"""Regions of a live stream that may wait for discovery (at most 40 kB each)."""
_TRACED = (Occurrence, Revision, Pattern)

_MARK_S = 60.0

Item: TypeAlias = Any
State: TypeAlias = dict[str, Any]


def discovering(detector: Detector) -> Hears:
    """A detector as a step wraps it.

    What is decided at the end of a stream is traced as found in its last region (telemetry only:
    not state).
    """
    last: Region | None = None

    def timed(decide: Callable[[], Iterable[Item]], region: Region) -> list[Item]:
        began_ns = time_ns()
        found = list(decide())
        took_s = (time_ns() - began_ns) / 1e9
        metering.record(
            metering.STAGE_DURATION, took_s, {"stage": "patterns"}, traceparent=region.traceparent
        )
        return found_in(region, found, began_ns, took_s)

    def hear(region: Region | Reached) -> list[Item]:
        nonlocal last
        if isinstance(region, Reached):
            return [region]
        last = replace(region, delivered_ns=0)  # the end of the stream did not wait since then
        return timed(lambda: detector.hear(region), region)

    def finish(end: StreamEnd) -> list[Item]:
        return timed(lambda: detector.finish(end), last) if last else detector.finish(end)

    return Concluding(hear, finish, detector.snapshot)


def found_in(region: Region, found: list[Item], began_ns: int, took_s: float) -> list[Item]:
    """What was found, with the span of its finding where a window of the region is traced."""
    patterns = dict.fromkeys(
        item.pattern or item.pattern_from if isinstance(item, Revision) else item.pattern
        for item in found
        if isinstance(item, _TRACED)
    )
    if not patterns or not tracing.is_sampled(region.traceparent):
        return found
    since_ns = region.delivered_ns or began_ns
    header = tracing.span_at(
        tracing.PATTERN,
        min(since_ns, began_ns),
        began_ns + round(took_s * 1e9),
        parent=region.traceparent,
        linked=region.linked,
        attributes={
            tracing.STREAM: region.stream,
            tracing.PATTERNS: tuple(patterns),
            tracing.WAIT_S: max(0, began_ns - since_ns) / 1e9,
            tracing.COMPUTE_S: took_s,
        },
    )
    return [
        replace(item, traceparent=header) if isinstance(item, _TRACED) else item for item in found
    ]


class Discovering(StatefulBatchLogic[Item, Item, State]):
    """One stream's detector, run aside: hands over, asks again in 2 ms while it is at work."""

    def __init__(self, station: Station, resume: tuple[Detector, list[Item]] | None) -> None:
        self._station = station
        self._failures: list[Item] = []
        self._marked = -1.0
        self._aside = self._start(resume[0]) if resume else None
        for item in resume[1] if resume else []:
            self._submit(item)

    @override
    def on_batch(self, values: list[Item]) -> tuple[Iterable[Item], bool]:
        for item in values:
            if not isinstance(item, Window):
                self._submit(item)
            elif (minute := to_s(item.index) // _MARK_S) > self._marked:
                self._marked = minute
                self._submit(Reached(item.stream, to_s(item.index)))
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
        return datetime.now(UTC) + POLL if self._aside and self._aside.busy else None

    @override
    def snapshot(self) -> State:
        return self._aside.snapshot() if self._aside else {}

    def _start(self, detector: Detector) -> Aside:
        return Aside(
            discovering(detector),
            self._station.aside,
            lambda item, error: left_out("patterns", item, error),
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
