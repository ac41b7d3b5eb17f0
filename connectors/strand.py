"""One stream's chunks -> frames: placed in time, resampled once, cut, and resumable exactly.

A *run* is a stretch of chunks that join: it has a resampler of its own. A chunk that does not join
begins a new run where its event time says, never before what was heard already: what overlaps is
trimmed, and what lies wholly before is dropped and said.

Invariant: the samples delivered depend on the chunks' samples and times alone, not on how they
were cut; resumed from ``snapshot`` with the chunks repeated from the mark on, a strand delivers bit
for bit what it would have delivered.
"""

from collections import deque
from dataclasses import replace
from math import isnan

import numpy as np

from connectors.chunks import Break, Chunk, State
from connectors.cut import Cutter, Over, Passing, ResumePoint
from connectors.resample import Damage, Event, Mark, Resampler, Span
from operators.records import ANALYSIS_RATE_HZ, Failure, Floats, to_ns, to_s

VERSION = 1


class Strand:
    """The audio of one stream.

    Args:
        stream: its id.
        length: samples of a full frame.
        state: what ``snapshot`` returned in an earlier run.

    Raises:
        ValueError: ``state`` was written by another version.
    """

    def __init__(self, stream: str, length: int, state: State | None = None) -> None:
        if state is not None and state.get("version") != VERSION:
            raise ValueError(f"a resume state of version {state.get('version')}, not {VERSION}")
        state = state or {"origin_ns": None, "mark": None, "position": 0, "failures": 0}
        self._stream = stream
        self.origin_ns: int | None = state["origin_ns"]
        self._resume: State | None = state["mark"]
        # Without a mark nothing is repeated, and nothing is to be dropped.
        failures = state["failures"] if state["mark"] else 0
        resume = ResumePoint(state["mark"] or {}, state["position"], failures)
        self.cutter = Cutter(length, resume)
        self._resampler: Resampler | None = None
        self._rate_hz = 0
        self._base = 0
        self._name = ""
        self._fed = 0
        self._end: int = self._resume["end"] if self._resume else state["position"]
        self._late_ns: int | None = None
        self._marks: deque[tuple[int, State]] = deque()
        self.traceparent = ""

    def snapshot(self) -> State:
        """Where to go on: the mark, and what to drop after it."""
        resume = self.cutter.resume
        return {
            "version": VERSION,
            "origin_ns": self.origin_ns,
            "mark": resume.mark or None,
            "position": resume.position,
            "failures": resume.failures,
        }

    @property
    def source_mark(self) -> State | None:
        """The source's own mark to read again from; None where there is none."""
        resume = self.cutter.resume.mark
        return resume["source"] if resume else None

    @property
    def position_ns(self) -> int:
        """Event time up to which the stream was delivered."""
        return to_ns(self.origin_ns or 0, self.cutter.position)

    def take(self, item: Chunk | Break | Failure) -> None:
        """The next item of this stream."""
        if isinstance(item, Chunk):
            self._take_chunk(item)
        elif isinstance(item, Break):
            self._finish()
            if item.over:
                self.cutter.push(Over())
            self._pass(item.mark, opens=item.over)
        else:
            if isnan(item.start_s):  # not known to the source: where the stream is now
                item = replace(item, start_s=to_s(self._heard))
            self.cutter.push(item)

    @property
    def _heard(self) -> int:
        """Position of the end of everything that was taken."""
        if self._resampler is None:
            return max(self._end, self.cutter.position)
        return self._base + self._resampler.end

    def _take_chunk(self, chunk: Chunk) -> None:
        self.traceparent = chunk.traceparent
        if self.origin_ns is None:
            self.origin_ns = chunk.start_ns
        skip = 0
        resume, self._resume = self._resume, None
        if resume is not None and resume["source"] == chunk.mark and resume["run"] is not None:
            skip = self._take_up(chunk, resume["run"])
        elif not self._joins(chunk):
            if resume is not None and resume["chunk"] and resume["source"] != chunk.mark:
                self.cutter.repeats_nothing()  # the source went on elsewhere
            skip = self._begin(chunk)
        if self._resampler is None or skip >= len(chunk.samples):
            return
        self._marks.append((self._fed - skip, chunk.mark))
        samples = mono(chunk.samples)[skip:]
        self._fed += len(samples)
        self._push(self._resampler.feed(samples))

    def _joins(self, chunk: Chunk) -> bool:
        return chunk.joined and self._resampler is not None and chunk.rate_hz == self._rate_hz

    def _take_up(self, chunk: Chunk, run: State) -> int:
        """Go on within the run that an earlier process was in; samples not needed again."""
        mark = Mark(run["input"], run["floor"], run["hold"])
        self._open(chunk, run["base"], mark)
        return int(run["skip"])

    def _begin(self, chunk: Chunk) -> int:
        """A new run; how many samples of its first chunk lie behind what was heard."""
        self._finish()
        late_ns, self._late_ns = self._late_ns, None
        start_ns = late_ns if chunk.joined and late_ns is not None else chunk.start_ns
        behind = self._end - self._position_at(start_ns)
        if behind <= 0:
            self._pass(chunk.mark, opens=True, chunk=True)
            self._open(chunk, self._position_at(start_ns), Mark())
            return 0
        skip = -(-behind * chunk.rate_hz // ANALYSIS_RATE_HZ)
        count = len(chunk.samples)
        if skip >= count:
            self._leave_out(chunk, behind)
            self._late_ns = start_ns + count * 1_000_000_000 // chunk.rate_hz
        else:
            start_ns += skip * 1_000_000_000 // chunk.rate_hz
            self._open(chunk, max(self._position_at(start_ns), self._end), Mark())
        return skip

    def _position_at(self, time_ns: int) -> int:
        return round((time_ns - (self.origin_ns or 0)) * ANALYSIS_RATE_HZ / 1_000_000_000)

    def _open(self, chunk: Chunk, base: int, mark: Mark) -> None:
        self._rate_hz, self._base, self._name = chunk.rate_hz, base, chunk.name
        self._resampler = Resampler(chunk.rate_hz, mark)
        self._fed = mark.input
        self._marks.clear()

    def _leave_out(self, chunk: Chunk, behind: int) -> None:
        if chunk.joined:
            return  # said at the first of them
        detail = f"audio that begins {to_s(behind):.3f} s before the end of what was heard"
        remedy = "left out as heard already; other audio needs a later start or another name"
        self.cutter.push(
            Failure(
                self._stream, "source", "late", f"{self._stream}: {detail}", remedy, to_s(self._end)
            )
        )

    def _finish(self) -> None:
        """The run is over: what the resampler still holds is heard."""
        if self._resampler is not None:
            self._push(self._resampler.finish())
            self._end = self._heard
            self._resampler = None
            self._marks.clear()

    def _pass(self, mark: State, *, opens: bool, chunk: bool = False) -> None:
        if mark:
            at = {"source": mark, "chunk": chunk, "run": None, "end": self._end}
            self.cutter.push(Passing(at, opens))

    def _push(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Span):
                self.cutter.push(Span(self._base + event.index, event.samples))
            elif isinstance(event, Mark):
                self._pass_within(event)
            else:
                self.cutter.push(self._damage(event))

    def _pass_within(self, mark: Mark) -> None:
        """Reading can go on within the run, from the chunk that holds the mark's input sample."""
        while len(self._marks) > 1 and self._marks[1][0] <= mark.input:
            self._marks.popleft()
        first, source = self._marks[0]
        if not source:
            return
        run = {
            "base": self._base,
            "input": mark.input,
            "skip": mark.input - first,
            "floor": mark.floor,
            "hold": mark.hold,
        }
        at = {"source": source, "chunk": True, "run": run, "end": self._end}
        self.cutter.push(Passing(at))

    def _damage(self, event: Damage) -> Failure:
        position = self._base + event.index
        where, at = (self._name, event.index) if self._name else (self._stream, position)
        return Failure(
            self._stream,
            "source",
            "nan",
            f"{where}: from {to_s(at):.3f} s on samples are not numbers",
            "heard as a gap; repair what wrote it",
            to_s(position),
        )


def mono(samples: Floats) -> Floats:
    """Mean of the channels (n, channels), summed in their order: the same on any machine."""
    channels = samples.shape[1]
    if channels == 1:
        return samples[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):
        total = samples[:, 0] + samples[:, 1]
        for channel in range(2, channels):
            total += samples[:, channel]
        return total / np.float32(channels)
