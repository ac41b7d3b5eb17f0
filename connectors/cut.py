"""What a stream holds, in order -> frames of the wanted length, and where to resume.

What is decoded but not yet delivered waits here; only delivering moves the resume point. A mark
is taken over when everything before it was delivered: until then a resume goes back to the
mark before it and drops what had been delivered since, counted in samples and failures.

Invariant: the samples delivered do not depend on the frame length; a frame never spans a gap.
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from connectors.chunks import State
from connectors.resample import Span
from operators.records import Failure, Floats


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Reading again from ``mark`` repeats what follows; the rest says how much of it to drop."""

    mark: State
    position: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Passing:
    """Everything before was pushed: reading again from ``mark`` repeats what is pushed next.

    ``opens``: a stream which has no mark yet may be resumed here.
    """

    mark: State
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Over:
    """Everything before was pushed, and nothing follows for the time being."""


Piece: TypeAlias = Span | Failure | Passing | Over
Said: TypeAlias = Failure | Over
"""Pieces that are counted, so that a resumed run leaves out those that were delivered."""


class Cutter:
    """A queue of pieces that gives out frames.

    Args:
        length: samples of a full frame.
        resume: where an earlier run stood; the pieces pushed are those read from its mark.
    """

    def __init__(self, length: int, resume: ResumePoint) -> None:
        self._length = length
        self._mark = resume.mark
        self._position = resume.position
        self._failures = resume.failures
        self._drop_failures = resume.failures
        self._drop_before = resume.position
        self._queue: deque[Piece] = deque()

    @property
    def position(self) -> int:
        """Position after the last sample delivered."""
        return self._position

    @property
    def resume(self) -> ResumePoint:
        """Where to go on after what was delivered so far.

        Without a mark nothing would be read again: then it is the first one that opens, even if
        what was said before it was not delivered.
        """
        if not self._mark:
            ahead = (piece for piece in self._queue if not isinstance(piece, Said))
            first = next(ahead, None)
            if isinstance(first, Passing) and first.opens:
                return ResumePoint(first.mark, self._position)
        return ResumePoint(self._mark, self._position, self._failures)

    def push(self, piece: Piece) -> None:
        """Append what was read next; what an earlier run delivered is dropped here."""
        if isinstance(piece, Said) and self._drop_failures:
            self._drop_failures -= 1
            return
        if isinstance(piece, Span) and piece.index < self._drop_before:
            skip = self._drop_before - piece.index
            piece = Span(piece.index + skip, piece.samples[skip:])
            if not len(piece.samples):
                return
        self._queue.append(piece)

    def repeats_nothing(self) -> None:
        """What was said before is not said again: from here on nothing of it is left out."""
        self._drop_failures = 0

    def ready(self, *, flush: bool) -> int | Said | None:
        """What can be delivered next: the position at which a frame ends, or what is said.

        Args:
            flush: nothing will be pushed any more, so that a short frame is complete.
        """
        self._pass_marks()
        if not self._queue:
            return None
        head = self._queue[0]
        if isinstance(head, Said):
            return head
        end, wanted, complete = self._run()
        return end if complete or flush or not wanted else None

    def take(self) -> Span | Said:
        """What ``ready`` announced; the samples of a span are contiguous and read-only."""
        if isinstance(said := self._queue[0], Said):
            self._queue.popleft()
            self._failures += 1
            return said
        parts: list[Floats] = []
        wanted, index = self._length, -1
        while wanted and self._queue:
            piece = self._queue[0]
            if isinstance(piece, Passing):
                self._pass_marks()
                continue
            if isinstance(piece, Said) or (parts and piece.index != self._position):
                break
            self._queue.popleft()
            index = piece.index if index < 0 else index
            part = piece.samples[:wanted]
            if len(part) < len(piece.samples):
                self._queue.appendleft(Span(piece.index + wanted, piece.samples[wanted:]))
            parts.append(part)
            wanted -= len(part)
            self._position = piece.index + len(part)
        samples = np.concatenate(parts)
        samples.flags.writeable = False
        return Span(index, samples)

    def _run(self) -> tuple[int, int, bool]:
        """End of the next frame, samples it still lacks, and whether a break completes it."""
        end, wanted = -1, self._length
        for piece in self._queue:
            if isinstance(piece, Passing):
                continue
            if isinstance(piece, Said) or (end >= 0 and piece.index != end):
                return end, wanted, True
            got = min(len(piece.samples), wanted)
            end, wanted = piece.index + got, wanted - got
            if not wanted:
                break
        return end, wanted, False

    def _pass_marks(self) -> None:
        while self._queue and isinstance(passing := self._queue[0], Passing):
            self._queue.popleft()
            self._mark, self._failures = passing.mark, 0
