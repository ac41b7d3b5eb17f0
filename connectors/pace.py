"""When a frame may be delivered: at once, or when its audio would have ended on a clock.

Invariant: pacing delays frames and never changes them.
"""

from collections.abc import Callable

from connectors.chunks import Speed
from operators.records import ANALYSIS_RATE_HZ


class Pace:
    """Positions of a stream against a steady clock, which starts when the stream does.

    Args:
        speed: "max" or "realtime".
        steady_ns: injected clock.
        position: stream position of the start (not 0 when a run is resumed).
    """

    def __init__(self, speed: Speed, steady_ns: Callable[[], int], position: int) -> None:
        self._realtime = speed == "realtime"
        self._steady_ns = steady_ns
        self._position = position
        self._start_ns: int | None = None
        self.wait_ns = 0

    def begin(self) -> None:
        """A new round of questions; the first one starts the clock."""
        self.wait_ns = 0
        if self._start_ns is None:
            self._start_ns = self._steady_ns()

    def due(self, end: int) -> bool:
        """Whether audio up to position ``end`` may be delivered; if not, ``wait_ns`` says when."""
        if not self._realtime or self._start_ns is None:
            return True
        offset_ns = (end - self._position) * 1_000_000_000 // ANALYSIS_RATE_HZ
        self.wait_ns = max(self._start_ns + offset_ns - self._steady_ns(), 0)
        return not self.wait_ns
