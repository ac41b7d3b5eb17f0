"""The last seconds of each stream, in 16 bits.

A replayed frame is cut short, as when the stream is cut into windows; a short gap, and samples
that are no numbers, are silence; after a long gap everything before it is forgotten.

Recordings are read faster than they are understood, so a stream keeps up to four times the time
that is asked for, as long as few streams share the room. Invariant: what ``cut`` gives are the
samples at those positions, and nothing else; all streams together keep no more than each keeping
its time.
"""

from collections import deque
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.records import ANALYSIS_RATE_HZ, Floats, Frame

Samples: TypeAlias = NDArray[np.int16]
Absent: TypeAlias = Literal["early", "gone"]

_FULL_SCALE = 32_768.0
_FILL = round(0.05 * ANALYSIS_RATE_HZ)
_GENEROUS = 4


class Ring:
    """One stream's audio."""

    def __init__(self) -> None:
        self._chunks: deque[Samples] = deque()
        self._begin = self._end = -1
        self._since = 0
        self._whole = False

    def hear(self, frame: Frame, keep: int) -> None:
        """Take in a frame; at least the last ``keep`` samples stay."""
        if self._end < 0:
            self._restart(frame.index)
        start = max(frame.index, self._end)
        gap = start - self._end
        if gap > _FILL:
            self._restart(start)
        elif gap:
            self._append(np.zeros(gap, dtype=np.int16))
        self._append(_quantised(frame.samples[start - frame.index :]))
        self._whole = frame.last
        while self._chunks and self._begin + self._chunks[0].size <= self._end - keep:
            self._begin += self._chunks.popleft().size

    def span(self, start: int, end: int, pad: int) -> tuple[int, int] | Absent:
        """From ``start - pad`` to ``end + pad``, less where the stream begins or ends.

        Returns:
            First position and the one after the last, or why there are none: "early" while the
            end has not come in yet, "gone" where the beginning is no longer kept.
        """
        first, last = max(start - pad, self._since), end + pad
        if self._whole:
            last = min(last, self._end)
        if last > self._end:
            return "early"
        if start < self._since or first < self._begin or last <= start:
            return "gone"
        return first, last

    def cut(self, start: int, end: int, pad: int) -> Samples | Absent:
        """The samples of a span, or why there are none."""
        span = self.span(start, end, pad)
        if isinstance(span, str):
            return span
        (first, last), at = span, self._begin
        pieces = []
        for chunk in self._chunks:
            if at < last and at + chunk.size > first:
                pieces.append(chunk[max(0, first - at) : last - at])
            at += chunk.size
        return np.concatenate(pieces)

    def finish(self) -> None:
        """Nothing more comes, although no frame was said to be the last."""
        self._whole = True

    def _restart(self, at: int) -> None:
        self._chunks.clear()
        self._begin = self._end = self._since = at

    def _append(self, samples: Samples) -> None:
        if samples.size:
            self._chunks.append(samples)
            self._end += samples.size


class Rings:
    """The rings of a bounded number of streams; the one that was silent longest goes."""

    def __init__(self, seconds: float, streams: int) -> None:
        self._least = round(seconds * ANALYSIS_RATE_HZ)
        self._streams = streams
        self._rings: dict[str, Ring] = {}

    def hear(self, frame: Frame) -> str:
        """Take in a frame; says whose audio was let go for it, if anybody's."""
        dropped = ""
        ring = self._rings.pop(frame.stream, None)
        if ring is None:
            ring = Ring()
            if len(self._rings) >= self._streams:
                dropped = next(iter(self._rings))
                del self._rings[dropped]
        self._rings[frame.stream] = ring
        share = self._least * self._streams // len(self._rings)
        ring.hear(frame, min(_GENEROUS * self._least, share))
        return dropped

    def cut(self, stream: str, start: int, end: int, pad: int) -> Samples | Absent:
        """As a ring's; a stream that is not kept has nothing."""
        ring = self._rings.get(stream)
        return "gone" if ring is None else ring.cut(start, end, pad)

    def keeps(self, stream: str, start: int, end: int, pad: int) -> bool:
        """Whether there is something to cut."""
        ring = self._rings.get(stream)
        return ring is not None and not isinstance(ring.span(start, end, pad), str)

    def finish(self, stream: str) -> None:
        """Nothing more is heard of this stream."""
        if (ring := self._rings.get(stream)) is not None:
            ring.finish()

    def forget(self, stream: str) -> None:
        """Nothing more is found on this stream."""
        self._rings.pop(stream, None)


def as_floats(samples: Samples) -> Floats:
    """16 bits as float32 within [-1, 1)."""
    return samples.astype(np.float32) / np.float32(_FULL_SCALE)


def _quantised(samples: Floats) -> Samples:
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    scaled = np.rint(finite * np.float32(_FULL_SCALE))
    quantised: Samples = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1.0).astype(np.int16)
    return quantised
