"""When the audio of a stream was handed over, and under which trace.

Invariant: telemetry only. It is not part of the state, no window or region depends on it, and it is
bounded whatever comes.
"""

from bisect import bisect_right

from operators.records import Frame

MOST_FRAMES = 1_024
"""Remembered: what is asked for is recent, and letting go of half of them at once costs little."""


class Arrivals:
    """The recent frames of one stream, by position."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._noted: list[tuple[int, str]] = []

    def note(self, frame: Frame) -> None:
        """A frame came; positions never go back."""
        if not len(frame.samples) or (self._starts and frame.index <= self._starts[-1]):
            return  # the end of a stream holds nothing; of duplicates what was there first counts
        self._starts.append(frame.index)
        self._noted.append((frame.delivered_ns, frame.traceparent))
        if len(self._starts) > MOST_FRAMES:
            del self._starts[: MOST_FRAMES // 2], self._noted[: MOST_FRAMES // 2]

    def at(self, position: int) -> tuple[int, str]:
        """Delivery (epoch nanoseconds) and header of the frame that holds a sample.

        0 and "" where it came before the first frame that is remembered.
        """
        number = bisect_right(self._starts, position) - 1
        return self._noted[number] if number >= 0 else (0, "")
