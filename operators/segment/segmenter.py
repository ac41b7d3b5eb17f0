"""Cuts the audio of one stream into windows for the models and regions for discovery.

Everything is decided by sample position: the same samples give the same windows and regions bit
for bit, however they were cut into frames, and items come in the order of the positions at which
they became decidable. A window is gated by the frames whose levels are known when its last sample
is there, so it leaves with that sample (once the background is known: after the first 2 s).

A stretch of audio that ends early (a gap, the end of the stream) concludes: its open region
closes, onset windows with enough of a beginning are filled up with zeros, and a stretch shorter
than any window has one, so that a folder of single sounds is heard like one long recording.

Invariant: every stretch of audio between two gaps is analysed on the same absolute grid, and the
state is bounded by the longer of a window and half a second, plus the open region. It does not
know models, patterns or time of day.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from operators.activity import ActivityConfig, ActivityTracker
from operators.patch import Patch, Step
from operators.records import (
    ANALYSIS_RATE_HZ,
    HOP_SAMPLES,
    Failure,
    Floats,
    Frame,
    Gate,
    Region,
    StreamEnd,
    Window,
    to_ns,
)
from operators.segment.arrivals import Arrivals
from operators.segment.audio import AudioTail
from operators.segment.bands import LOOK_AHEAD, BandStream
from operators.segment.grid import Cut, WindowGrid
from operators.segment.intake import Begin, End, Intake, Sound
from operators.spectrum import Doubles

Item: TypeAlias = Window | Region | StreamEnd | Failure
EMPTY = np.zeros(0, dtype=np.float32)
EMPTY.flags.writeable = False
UNDECIDED_SAMPLES = 24 * HOP_SAMPLES
"""An onset is known at the latest this long after it: the audio is kept at least that long."""


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """How a stream is cut.

    Attributes:
        silent_db: windows below this level (dBFS) are silent, whatever the background.
        fill_s: longest gap that is filled with zeros; a longer one ends the stretch of audio.
        onset_min_s: what an onset window must hold of its sound when the stretch ends early.
        hop_min_s: what a stretch shorter than a window must hold to have one.
        report_s: unusable samples are reported after this long at the latest.
        activity: of discovery and of the gate.
    """

    silent_db: float = -70.0
    fill_s: float = 0.05
    onset_min_s: float = 0.25
    hop_min_s: float = 0.1
    report_s: float = 5.0
    activity: ActivityConfig = field(default_factory=ActivityConfig)


class Segmenter:
    """The audio of one stream, cut; call ``hear`` with its frames in order.

    Args:
        stream: id of the stream.
        window_s, hop_s: length of a window and distance of two on the grid.
        config: see ``SegmentConfig``.

    Raises:
        ValueError: ``window_s`` is below 0.25 s (an onset must be known before its window is
            complete), or ``hop_s`` is not within 10 ms and ``window_s``.
    """

    def __init__(
        self,
        stream: str,
        *,
        window_s: float = 1.0,
        hop_s: float = 0.5,
        config: SegmentConfig = SegmentConfig(),
    ) -> None:
        if not 0.25 <= window_s <= 60.0:
            raise ValueError(f"segment: window_s {window_s:g} is not within 0.25 and 60; change it")
        if not 0.01 <= hop_s <= window_s:
            raise ValueError(
                f"segment: hop_s {hop_s:g} is not within 0.01 and window_s {window_s:g}; change it"
            )
        self.stream = stream
        self.config = config
        self._window_s, self._hop_s = window_s, hop_s
        self._window = round(window_s * ANALYSIS_RATE_HZ)
        self._origin_ns: int | None = None
        self._intake = Intake(stream, config.fill_s, config.report_s)
        self._arrivals = Arrivals()
        self._tail = AudioTail()
        self._bands = BandStream()
        self._activity = ActivityTracker(config.activity)
        self._grid = WindowGrid(stream, self._window, round(hop_s * ANALYSIS_RATE_HZ))

    def hear(self, frame: Frame) -> list[Item]:
        """Take the next frame.

        Args:
            frame: of this stream. Samples at positions already heard are dropped; a frame with
                ``last`` concludes the stream for the time being: what follows it begins anew.

        Returns:
            What became decidable, in the order of stream positions; after ``last`` a ``StreamEnd``
            comes last. Unusable samples give a ``Failure``; nothing is raised.
        """
        out: list[Item] = []
        if self._origin_ns is None:
            self._origin_ns = frame.origin_ns
        self._arrivals.note(frame)
        for piece in self._intake.accept(frame):
            if isinstance(piece, Sound):
                self._grow(piece, frame, out)
            elif isinstance(piece, Begin):
                self._begin(piece.position)
            elif isinstance(piece, End):
                self._conclude(frame, out)
            else:
                out.append(piece)
        if frame.last:
            self._conclude(frame, out)
            out.append(StreamEnd(self.stream, self._intake.heard, self._origin_ns))
        return out

    def _begin(self, position: int) -> None:
        self._tail = AudioTail(position)
        self._bands = BandStream(position)
        self._grid.begin(position)

    def _grow(self, sound: Sound, frame: Frame, out: list[Item]) -> None:
        """The stretch goes on: judge the frames and cut the windows that this completes."""
        tail = self._tail
        tail.append(sound.samples)
        if sound.filled:
            self._bands.fill(tail.end - sound.samples.size, tail.end)
        for first, levels in self._bands.push(tail):
            self._judge(self._activity.feed(first, levels), frame, out)
        if self._activity.warming:
            return
        self._cut(self._grid.due(tail.end), frame, out)
        recent = tail.end - max(self._window, UNDECIDED_SAMPLES)
        tail.trim(min(recent, self._bands.needs, self._grid.needs))

    def _judge(self, steps: Iterable[Step], frame: Frame, out: list[Item]) -> None:
        """Apply judged frames; each finds the windows cut that were complete before it."""
        for step in steps:
            known_at = step.frame * HOP_SAMPLES + LOOK_AHEAD
            self._cut(self._grid.due(min(known_at - 1, self._tail.end)), frame, out)
            self._grid.note(step.frame, step.active, step.onsets)
            if step.patch is not None:
                out.append(self._region(step.patch, frame))

    def _conclude(self, frame: Frame, out: list[Item]) -> None:
        """The stretch ends with the audio so far."""
        tail = self._tail
        for first, levels in self._bands.flush(tail):
            self._judge(self._activity.feed(first, levels), frame, out)
        self._judge(self._activity.flush(), frame, out)
        self._cut(self._grid.due(tail.end), frame, out)
        onset_min = round(self.config.onset_min_s * ANALYSIS_RATE_HZ)
        hop_min = round(self.config.hop_min_s * ANALYSIS_RATE_HZ)
        self._cut(self._grid.remainder(tail.end, onset_min, hop_min), frame, out)
        self._begin(tail.end)

    def _cut(self, cuts: list[Cut], frame: Frame, out: list[Item]) -> None:
        out.extend(self._window_at(cut, frame) for cut in cuts)

    def _window_at(self, cut: Cut, frame: Frame) -> Window:
        samples = self._tail.read(cut.start, min(cut.start + self._window, self._tail.end))
        if samples.size < self._window:
            samples = np.pad(samples, (0, self._window - samples.size))
        rms_db = _rms_db(samples)
        gate: Gate = "open"
        if rms_db < self.config.silent_db:
            gate = "silent"
        elif not (cut.onset or self._grid.heard(cut.start)):
            gate = "gated"
        samples.flags.writeable = False
        opened_ns, traceparent = self._arrivals.at(cut.start)
        return Window(
            stream=self.stream,
            index=cut.start,
            start_ns=to_ns(self._origin_ns or 0, cut.start),
            samples=samples if gate == "open" else EMPTY,
            duration_s=self._window / ANALYSIS_RATE_HZ,
            onset=cut.onset,
            rms_db=rms_db,
            gate=gate,
            delivered_ns=frame.delivered_ns,
            traceparent=traceparent,
            opened_ns=opened_ns,
        )

    def _region(self, patch: Patch, frame: Frame) -> Region:
        return Region(
            stream=self.stream,
            start_frame=patch.start,
            patch_db=_single(patch.levels),
            floor_db=_single(patch.floor),
            deviation_db=_single(patch.deviation),
            onsets=patch.onsets,
            origin_ns=self._origin_ns or 0,
            cut=patch.cut,
            traceparent=frame.traceparent,
            delivered_ns=frame.delivered_ns,
        )

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data: numbers, strings, lists and arrays (audio is shared)."""
        return {
            "version": 1,
            "stream": self.stream,
            "window_s": self._window_s,
            "hop_s": self._hop_s,
            "origin_ns": self._origin_ns,
            "intake": self._intake.snapshot(),
            "tail": self._tail.snapshot(),
            "bands": self._bands.snapshot(),
            "activity": self._activity.snapshot(),
            "grid": self._grid.snapshot(),
        }

    @classmethod
    def restore(cls, state: dict[str, Any], config: SegmentConfig = SegmentConfig()) -> "Segmenter":
        """The segmenter as it was at ``snapshot``; what it returns from then on is the same.

        Raises:
            ValueError: the state was written by an unknown version.
        """
        if state.get("version") != 1:
            raise ValueError(
                f"segment: state of version {state.get('version')!r} cannot be read (this is 1); "
                "start with an empty recovery folder"
            )
        segmenter = cls(
            state["stream"], window_s=state["window_s"], hop_s=state["hop_s"], config=config
        )
        segmenter._origin_ns = state["origin_ns"]
        segmenter._intake.resume(state["intake"])
        segmenter._tail = AudioTail.restore(state["tail"])
        segmenter._bands = BandStream.restore(state["bands"])
        segmenter._activity = ActivityTracker.restore(state["activity"], config.activity)
        segmenter._grid.resume(state["grid"])
        return segmenter


def _rms_db(samples: Floats) -> float:
    """Level in dBFS (a full-scale sine is -3); -200 for digital silence."""
    energy = float(np.add.reduce(np.square(samples, dtype=np.float64)))
    return 10.0 * math.log10(energy / samples.size + 1e-20)


def _single(values: Doubles) -> Floats:
    """As read-only float32."""
    single = values.astype(np.float32)
    single.flags.writeable = False
    return single
