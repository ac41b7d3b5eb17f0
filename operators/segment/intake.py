"""What a frame adds to a stream: duplicates dropped, gaps and unusable samples told apart.

A replayed frame overlaps what was heard and is cut short. A missing stretch (an index beyond the
expected one, or samples that are NaN or infinite) of at most ``fill_s`` is filled with zeros; a
longer one ends the stretch of audio, and the next sample begins a new one.

Invariant: what comes out depends on the samples and their positions, not on how they were cut into
frames. A contiguous run of unusable samples is one ``Failure``, however many frames it spans. It
does not know what is done with the audio.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from operators.records import ANALYSIS_RATE_HZ, Failure, Floats, Frame, to_s


@dataclass(frozen=True, slots=True)
class Begin:
    """A stretch of unbroken audio begins at ``position``."""

    position: int


@dataclass(frozen=True, slots=True)
class Sound:
    """The stretch goes on; ``filled``: with zeros in the place of missing samples."""

    samples: Floats
    filled: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """The stretch has ended: too much is missing."""


Piece: TypeAlias = Begin | Sound | End | Failure


class Intake:
    """Turns the frames of one stream into pieces.

    Args:
        stream: id of the stream, for failures.
        fill_s: longest gap that is filled.
        report_s: unusable samples are reported at their end, or once they have lasted this long.
    """

    def __init__(self, stream: str, fill_s: float, report_s: float) -> None:
        self.stream = stream
        self.heard = 0
        self._fill = round(fill_s * ANALYSIS_RATE_HZ)
        self._report = round(report_s * ANALYSIS_RATE_HZ)
        self._end = 0
        self._open = False
        self._bad_from: int | None = None
        self._reported = False

    def accept(self, frame: Frame) -> Iterator[Piece]:
        """The pieces of one frame, in order."""
        samples = np.asarray(frame.samples, dtype=np.float32)
        start = max(frame.index, self.heard)
        samples = samples[start - frame.index :]
        if start > self.heard:
            yield from self._good_again()
            yield from self._miss(start - self.heard)
        for usable, run in _runs(samples):
            if usable:
                yield from self._good_again()
                yield from self._take(run)
            else:
                yield from self._reject(run.size)
        if frame.last:
            yield from self._good_again()

    def _take(self, samples: Floats) -> Iterator[Piece]:
        if not self._open:
            self._open = True
            yield Begin(self.heard)
        elif self.heard > self._end:
            yield Sound(np.zeros(self.heard - self._end, dtype=np.float32), filled=True)
        self.heard += samples.size
        self._end = self.heard
        yield Sound(samples)

    def _miss(self, count: int) -> Iterator[Piece]:
        self.heard += count
        if self._open and self.heard - self._end > self._fill:
            self._open = False
            yield End()

    def _reject(self, count: int) -> Iterator[Piece]:
        if self._bad_from is None:
            self._bad_from, self._reported = self.heard, False
        yield from self._miss(count)
        if not self._reported and self.heard - self._bad_from > self._report:
            self._reported = True
            yield self._failure(f"more than {to_s(self._report):g} s")

    def _good_again(self) -> Iterator[Piece]:
        if self._bad_from is not None and not self._reported:
            yield self._failure(f"{to_s(self.heard - self._bad_from):.4f} s")
        self._bad_from = None

    def _failure(self, length: str) -> Failure:
        start_s = to_s(self._bad_from or 0)
        return Failure(
            stream=self.stream,
            stage="segment",
            reason="nan",
            detail=f"{self.stream}: {length} of samples from {start_s:.3f} s are NaN or infinite",
            remedy="they are left out as a gap; check what recorded or converted this audio",
            start_s=start_s,
        )

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data."""
        return {
            "version": 1,
            "heard": self.heard,
            "end": self._end,
            "open": self._open,
            "bad_from": self._bad_from,
            "reported": self._reported,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what ``snapshot`` returned."""
        self.heard = state["heard"]
        self._end = state["end"]
        self._open = state["open"]
        self._bad_from = state["bad_from"]
        self._reported = state["reported"]


def _runs(samples: Floats) -> Iterator[tuple[bool, Floats]]:
    """Maximal runs of finite and of other samples, in order."""
    finite = np.isfinite(samples)
    if finite.all():
        if samples.size:
            yield True, samples
        return
    borders = [0, *(np.flatnonzero(finite[1:] != finite[:-1]) + 1).tolist(), samples.size]
    for start, stop in pairwise(borders):
        yield bool(finite[start]), samples[start:stop]
