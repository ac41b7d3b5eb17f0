"""When something was heard, as a person wants to read it.

Audio of today is told by the wall clock, a recording by its own position.
"""

from collections.abc import Callable
from datetime import datetime, tzinfo

from connectors.wording import clock

_DAY_NS = 86_400_000_000_000
_STREAMS_KEPT = 4_096


class Moments:
    """Tells moments of streams.

    Args:
        now_ns: wall clock, epoch nanoseconds.
        zone: of the clock on the wall; None for this machine's.
    """

    def __init__(self, now_ns: Callable[[], int], zone: tzinfo | None = None) -> None:
        self._now_ns = now_ns
        self._zone = zone
        self._origin_ns: dict[str, int] = {}

    def learn(self, stream: str, at_s: float, event_ns: int) -> None:
        """A position of a stream and its event time, from which its other moments follow."""
        if stream not in self._origin_ns and len(self._origin_ns) >= _STREAMS_KEPT:
            self._origin_ns.pop(next(iter(self._origin_ns)))
        self._origin_ns[stream] = event_ns - round(at_s * 1e9)

    def of(self, stream: str, at_s: float) -> str:
        """Eight cells: a time of day within a day of now, else the position in the stream."""
        origin_ns = self._origin_ns.get(stream)
        if origin_ns is not None:
            event_ns = origin_ns + round(at_s * 1e9)
            if abs(self._now_ns() - event_ns) < _DAY_NS:
                return self._time(event_ns)
        return f"{clock(at_s):>8}"

    def now(self) -> str:
        """The time of day."""
        return self._time(self._now_ns())

    def _time(self, event_ns: int) -> str:
        return datetime.fromtimestamp(event_ns / 1e9, self._zone).strftime("%H:%M:%S")
