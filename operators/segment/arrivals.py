"""When the audio of a stream was handed over, and under which trace.

Invariant: telemetry only. It is not part of the state, and no window or region depends on it.
"""

from bisect import bisect_right

from operators.records import Frame

_STALE = 256
"""Entries that may lie before what is asked for, so that letting go of them costs little."""


class Arrivals:
    """The recent frames of one stream, by position."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._noted: list[tuple[int, str]] = []

    def note(self, frame: Frame) -> None:
        """A frame came; positions never go back."""
        if self._starts and frame.index <= self._starts[-1]:
            return  # a duplicate: what was there first counts
        self._starts.append(frame.index)
        self._noted.append((frame.delivered_ns, frame.traceparent))

    def at(self, position: int) -> tuple[int, str]:
        """Delivery (epoch nanoseconds) and header of the frame that holds a sample.

        0 and "" where it came before the first frame that was noted.
        """
        number = bisect_right(self._starts, position) - 1
        return self._noted[number] if number >= 0 else (0, "")

    def trim(self, position: int) -> None:
        """Let go of frames that end before ``position``."""
        stale = bisect_right(self._starts, position) - 1
        if stale >= _STALE:
            del self._starts[:stale], self._noted[:stale]
