"""The most recent audio of one stretch, as the arrays it came in.

Invariant: chunks are never written to, so a snapshot may share them; tiny ones are joined, so that
their number stays below two for every ``JOIN_SAMPLES`` kept. It does not know who still needs
what: ``trim`` is told.
"""

from collections import deque
from typing import Any

import numpy as np

from operators.records import Floats

JOIN_SAMPLES = 1_024


class AudioTail:
    """Audio at the positions ``start`` to ``end`` of a stream."""

    def __init__(self, position: int = 0) -> None:
        self.start = position
        self.end = position
        self._chunks: deque[Floats] = deque()

    def append(self, samples: Floats) -> None:
        """Continue with (n,) samples, which nobody may change any more."""
        self.end += samples.size
        if self._chunks and self._chunks[-1].size + samples.size <= JOIN_SAMPLES:
            samples = np.concatenate((self._chunks.pop(), samples))
        self._chunks.append(samples)

    def read(self, start: int, stop: int) -> Floats:
        """The samples at ``start`` to ``stop`` as one array; both must lie within the tail.

        Raises:
            IndexError: part of it was trimmed or has not come yet.
        """
        if not self.start <= start <= stop <= self.end:
            raise IndexError(f"audio {start}..{stop} is not within {self.start}..{self.end}")
        pieces: deque[Floats] = deque()
        position = self.end
        # From the newest back: that is what is mostly asked for.
        for chunk in reversed(self._chunks):
            if position <= start:
                break
            position -= chunk.size
            if position < stop:
                pieces.appendleft(chunk[max(start - position, 0) : stop - position])
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)

    def trim(self, position: int) -> None:
        """Let go of what lies before ``position``."""
        while self._chunks and self.start + self._chunks[0].size <= position:
            self.start += self._chunks.popleft().size
        if self._chunks and self.start < position:
            self._chunks[0] = self._chunks[0][position - self.start :]
            self.start = position

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data; the arrays are shared."""
        return {"version": 1, "start": self.start, "chunks": list(self._chunks)}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "AudioTail":
        """The tail as it was at ``snapshot``."""
        tail = cls(state["start"])
        tail._chunks.extend(state["chunks"])
        tail.end = tail.start + sum(chunk.size for chunk in tail._chunks)
        return tail
