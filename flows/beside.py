"""What runs beside the flow: tags of windows, and remarks on patterns that recur.

Invariant: nothing here holds a window up. Tags take their turn on a thread of their own; a source
that can wait is slowed by them, a live one never is. Remarks are made when there is time.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from bytewax.operators import StatefulBatchLogic
from typing_extensions import override

from flows.station import Station
from operators.aside import Aside
from operators.describing import Describing
from operators.records import ANALYSIS_RATE_HZ, Failure, Window, to_s
from operators.recovery import one_line
from operators.remarks import Tag, Voice

_POLL = timedelta(milliseconds=2)
_GLANCE = timedelta(milliseconds=50)
_LIVE_WINDOWS = 64
SPEECH = "speech"

Item: TypeAlias = Any
State: TypeAlias = dict[str, Any]


class _Tagger:
    """A window in, its tag out; nothing is remembered."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    def hear(self, window: Window) -> list[Item]:
        score = float(self._voice.scores(window.samples[None], ANALYSIS_RATE_HZ)[0])
        return [Tag(window.stream, window.index, window.start_ns, window.duration_s, SPEECH, score)]

    def snapshot(self) -> State:
        return {"version": 1}


class Tagging(StatefulBatchLogic[Item, Item, State]):
    """The windows of all streams, tagged in turn."""

    def __init__(self, voice: Voice, station: Station, waiting: Iterable[Window] = ()) -> None:
        self._station = station
        self._aside = Aside(_Tagger(voice), station.tagger, _untagged)
        self._shed: Counter[str] = Counter()
        self._shed_at: dict[str, float] = {}
        for window in waiting:
            self._submit(window)

    @override
    def on_batch(self, values: list[Item]) -> tuple[Iterable[Item], bool]:
        for window in values:
            self._submit(window)
        return self.on_notify()

    @override
    def on_notify(self) -> tuple[Iterable[Item], bool]:
        return self._told(self._aside.poll()), StatefulBatchLogic.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[Item], bool]:
        return self._told(self._aside.drain()), StatefulBatchLogic.RETAIN

    @override
    def notify_at(self) -> datetime | None:
        return datetime.now(UTC) + _POLL if self._aside.busy else None

    @override
    def snapshot(self) -> State:
        return self._aside.snapshot()

    def _submit(self, window: Window) -> None:
        if not self._station.is_live(window.stream):
            self._station.tags.take()
        self._aside.submit(window)
        if len(self._aside.waiting) > _LIVE_WINDOWS:
            oldest = self._aside.drop_oldest(lambda item: self._station.is_live(item.stream))
            if oldest is not None:
                self._shed[oldest.stream] += 1
                self._shed_at.setdefault(oldest.stream, to_s(oldest.index))

    def _told(self, done: list[tuple[Item, list[Item]]]) -> list[Item]:
        waited = sum(not self._station.is_live(window.stream) for window, _ in done)
        self._station.tags.give(waited)
        shed = [
            Failure(
                stream,
                SPEECH,
                "shed",
                f"{stream}: {count} windows were not tagged, there was no time for them",
                "listen to fewer streams in this process, or set listen.speech to off",
                self._shed_at[stream],
            )
            for stream, count in sorted(self._shed.items())
        ]
        self._shed.clear()
        self._shed_at.clear()
        return [*shed, *(result for _, results in done for result in results)]


def _untagged(window: Window, error: Exception) -> list[Item]:
    return [
        Failure(
            window.stream,
            SPEECH,
            "error",
            f"{window.stream}: a window could not be tagged: {one_line(error)}",
            "it is kept without a tag; please report this line",
            to_s(window.index),
        )
    ]


class Remarking(StatefulBatchLogic[Item, Item, State]):
    """Shows the slow lane what is heard and found; passes on what it says, whenever that is."""

    def __init__(self, lane: Describing) -> None:
        self._lane = lane

    @override
    def on_batch(self, values: list[Item]) -> tuple[Iterable[Item], bool]:
        self._lane.submit(values)
        return self.on_notify()

    @override
    def on_notify(self) -> tuple[Iterable[Item], bool]:
        return self._lane.poll(), StatefulBatchLogic.RETAIN

    @override
    def on_eof(self) -> tuple[Iterable[Item], bool]:
        return self.on_notify()  # what is still being said is waited for when all else is done

    @override
    def notify_at(self) -> datetime | None:
        return datetime.now(UTC) + _GLANCE if self._lane.busy else None

    @override
    def snapshot(self) -> State:
        return self._lane.snapshot()
