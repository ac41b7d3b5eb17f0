"""A file, or a folder of files, as one replayable stream.

The files of a folder follow each other in name order with 10 s between them, so that daily
recordings recur together. A defect is said where it lies and the stream goes on: with the next
file, or with its end.

Invariants: no file is ever held whole; the samples do not depend on the frame length or the
speed; a reader resumed from ``snapshot()`` delivers, bit for bit, what an uninterrupted one would
have delivered from there.
"""

from bisect import bisect_right
from operator import attrgetter
from pathlib import Path
from typing import ClassVar

import numpy as np

from connectors.cut import Cutter, Passing, ResumePoint
from connectors.decode import AudioFile, DecodeError, duration_s
from connectors.folder import audio_files
from connectors.pace import Pace
from connectors.reader import Item, ReadOptions, State
from connectors.resample import Damage, Event, Mark, Resampler, Span
from operators.records import ANALYSIS_RATE_HZ, Failure, Frame, to_s

GAP_S = 10
"""Between two files of a folder."""
MOST_FRAMES = 10
"""Frames in a batch: streams interleave, and credit is asked for often enough."""
BUDGET_NS = 3_000_000
"""Time after which a call returns with what it has."""
VERSION = 1


class FileReader:
    """Reader of ``path`` or ``folder/`` (see ``connectors.reader.Reader``)."""

    live: ClassVar[bool] = False

    def __init__(
        self, stream: str, target: str, options: ReadOptions, state: State | None = None
    ) -> None:
        state = state or _state(ResumePoint(_mark("", 0)))
        if state.get("version") != VERSION:
            raise ValueError(f"a resume state of version {state.get('version')}, not {VERSION}")
        self._stream = stream
        self._target = Path(target)
        self._options = options
        mark: State = state["mark"]
        resume = ResumePoint(dict(mark), state["position"], state["failures"])
        length = max(1, round(options.frame_ms * ANALYSIS_RATE_HZ / 1000))
        self._cutter = Cutter(length, resume)
        self._pace = Pace(options.speed, options.clock.steady_ns, resume.position)
        self._resume_at = Mark(**mark["replay"]) if mark["replay"] else None
        self._name: str = mark["file"]
        self._base: int = mark["base"]
        self._files: list[Path] | None = None
        self._file: AudioFile | None = None
        self._resampler = Resampler(ANALYSIS_RATE_HZ)
        self._exhausted = False
        self._total_s: float | None = None

    @property
    def wait_ns(self) -> int:
        """Nanoseconds until the next frame is due; 0 at full speed."""
        return self._pace.wait_ns

    @property
    def position(self) -> int:
        """Position in the stream after the last sample delivered."""
        return self._cutter.position

    @property
    def total_s(self) -> float | None:
        """Length of the stream by the headers of its files, gaps included; None before the start.

        Reads every header when first asked: not for the worker's thread.
        """
        if self._total_s is None and self._files is not None:
            lengths = [duration_s(path) for path in self._files]
            heard = [length for length in lengths if length > 0]
            self._total_s = sum(heard) + GAP_S * max(len(heard) - 1, 0)
        return self._total_s or None

    def next(self) -> list[Item]:
        """Up to ten frames and whatever failed between them; the last frame is ``last=True``."""
        items: list[Item] = []
        steady_ns = self._options.clock.steady_ns
        give_up_ns = steady_ns() + BUDGET_NS
        self._pace.begin()
        while len(items) < MOST_FRAMES:
            ready = self._cutter.ready(flush=self._exhausted)
            if ready is None and self._exhausted:
                items.append(self._frame(Span(self.position, np.empty(0, np.float32)), last=True))
                break
            if ready is None:
                self._step()
            elif isinstance(ready, int) and not self._pace.due(ready):
                break
            else:
                piece = self._cutter.take()
                items.append(piece if isinstance(piece, Failure) else self._frame(piece))
            if steady_ns() > give_up_ns:
                break
        return items

    def snapshot(self) -> State:
        """Where to go on: the file, the resampler's mark in it, and what to drop after it."""
        return _state(self._cutter.resume)

    def close(self) -> None:
        """Close the file being read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _frame(self, span: Span, *, last: bool = False) -> Frame:
        return Frame(
            stream=self._stream,
            index=span.index,
            samples=span.samples,
            origin_ns=self._options.start_ns,
            last=last,
            delivered_ns=self._options.clock.wall_ns(),
        )

    def _step(self) -> None:
        """One piece of work: list the folder, open the next file, or read a block."""
        try:
            if self._files is None:
                self._files = audio_files(self._target)
            elif self._file is None:
                self._open()
            else:
                self._read(self._file)
        except DecodeError as error:
            self._fail(error)

    def _open(self) -> None:
        files = self._files or []
        replay, self._resume_at = self._resume_at, None
        at = bisect_right(files, self._name, key=attrgetter("name"))
        if replay and (not at or files[at - 1].name != self._name):
            raise DecodeError(
                "missing",
                f"{self._target / self._name}: gone since the run was interrupted in it",
                "put it back and resume again, or go on without its rest",
            )
        at -= bool(replay)
        if at == len(files):
            self._exhausted = True
            return
        mark = replay or Mark()
        self._name = files[at].name
        self._cutter.push(Passing(_mark(self._name, self._base, mark)))
        file = AudioFile(files[at], mark.input)
        self._resampler = Resampler(file.rate_hz, mark)
        self._file = file

    def _read(self, file: AudioFile) -> None:
        block = file.read()
        self._push(self._resampler.finish() if block is None else self._resampler.feed(block))
        if block is None:
            self._leave()

    def _fail(self, error: DecodeError) -> None:
        """Say what failed after what could be read, and leave the file; the stream goes on."""
        if self._file is not None:
            self._push(self._resampler.finish())
        at = self._base + (self._resampler.end if self._file is not None else 0)
        self._cutter.push(self._failure(error.reason, error.detail, error.remedy, at, fatal=True))
        if self._files is None:
            self._files = []
        self._leave()

    def _leave(self) -> None:
        length = self._resampler.end if self._file is not None else 0
        # Resumed in a file that shrank or went away, what was delivered is longer.
        end = max(self._base + length, self.position)
        if end > self._base:
            self._base = end + GAP_S * ANALYSIS_RATE_HZ
        self.close()
        self._cutter.push(Passing(_mark(self._name, self._base)))

    def _push(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Span):
                self._cutter.push(Span(self._base + event.index, event.samples))
            elif isinstance(event, Mark):
                self._cutter.push(Passing(_mark(self._name, self._base, event)))
            else:
                self._cutter.push(self._damage(event))

    def _damage(self, event: Damage) -> Failure:
        return self._failure(
            "nan",
            f"{self._name}: from {to_s(event.index):.3f} s on samples are not numbers",
            "heard as a gap; repair what wrote the file",
            self._base + event.index,
        )

    def _failure(
        self, reason: str, detail: str, remedy: str, at: int, *, fatal: bool = False
    ) -> Failure:
        return Failure(self._stream, "source", reason, detail, remedy, to_s(at), fatal_source=fatal)


def _mark(file: str, base: int, replay: Mark | None = None) -> State:
    """Within ``file`` (``replay``), or behind it; ``base``: position of the next file's start."""
    plain = replay and {"input": replay.input, "floor": replay.floor, "hold": replay.hold}
    return {"file": file, "base": base, "replay": plain}


def _state(resume: ResumePoint) -> State:
    return {
        "version": VERSION,
        "mark": resume.mark,
        "position": resume.position,
        "failures": resume.failures,
    }
