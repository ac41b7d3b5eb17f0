"""The step that cuts: credit is taken, windows are counted, and the trace of each begins.

Invariant: what is cut does not depend on whether it is traced.
"""

from collections import deque
from dataclasses import replace
from typing import Any, TypeAlias

from flows.station import Station
from operators import tracing
from operators.records import ANALYSIS_RATE_HZ, HOP_SAMPLES, Frame, Region, Window
from operators.segment import Segmenter

Item: TypeAlias = Any
State: TypeAlias = dict[str, Any]


class Segmenting:
    """A segmenter that takes credit for what it cuts and opens the trace of each window.

    A region carries the traces of the windows that overlap it (telemetry only: not state).
    """

    def __init__(self, segmenter: Segmenter, station: Station) -> None:
        self._segmenter = segmenter
        self._station = station
        self._kept: deque[tuple[int, int, str]] = deque(maxlen=tracing.MAX_LINKS)

    def hear(self, frame: Frame) -> list[Item]:
        """Cut a frame."""
        self._station.ledger.heard(len(frame.samples))
        return [self._noted(item) for item in self._segmenter.hear(frame)]

    def _noted(self, item: Item) -> Item:
        if isinstance(item, Window):
            models = len(self._station.ladders)
            self._station.ledger.cut(models)
            self._station.levels_db[item.stream] = item.rms_db
            if item.gate == "open" and not self._station.is_live(item.stream):
                self._station.credit.take(models)
            return self._traced(item) if tracing.active() else item
        return self._followed(item) if isinstance(item, Region) and tracing.active() else item

    def _traced(self, window: Window) -> Window:
        header = tracing.window_span(window, remote=window.traceparent)
        if tracing.is_sampled(header):
            end = window.index + round(window.duration_s * ANALYSIS_RATE_HZ)
            self._kept.append((window.index, end, header))
        return replace(window, traceparent=header)

    def _followed(self, region: Region) -> Region:
        begin = region.start_frame * HOP_SAMPLES
        end = begin + len(region.patch_db) * HOP_SAMPLES
        *others, last = [
            header for start, stop, header in self._kept if start < end and begin < stop
        ] or [""]
        return replace(region, traceparent=last, linked=tuple(others))

    def snapshot(self) -> State:
        """The segmenter's state."""
        return self._segmenter.snapshot()
