"""Events onto a topic: what ``--json`` prints, one record an event, for ``--events-to``.

Key = stream id (events of a stream stay in order), value = the JSON object.

Invariant: whoever announces never waits. While the brokers are away events wait up to a bound;
beyond it the oldest make room and are counted, and the closing notes tell.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from connectors.events import Event, as_event
from connectors.kafka.outbox import Destination, Outbox
from connectors.kafka.pending import Bounds, Outgoing
from connectors.terminal import Announcements
from operators.records import SourceState

MOST_EVENTS: Final = 50_000
MOST_BYTES: Final = 32 << 20
CLOSE_S: Final = 5.0
_WORDS: Final = {
    "shed": "more came than could wait",
    "refused": "refused by the brokers",
    "closed": "not acknowledged when the run ended",
}


class EventTopic:
    """Publishes the records of a run as events (a ``flows.run.View``).

    Args:
        destination: the topic; created where it is missing.
        windows: tell the verdict on every window, too.
        state: told when the brokers answer, stop answering, or answer again.
        most_events: that may wait.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        windows: bool = False,
        state: Callable[[SourceState], None] = lambda _: None,
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._to = destination
        self._announcements = Announcements(windows=windows)
        self._turn = threading.Lock()
        self._counts: Counter[str] = Counter()
        bounds = Bounds(most_bytes=MOST_BYTES, most_records=most_events, shed=True)
        self._outbox = Outbox(destination, bounds, self._settled, state)

    @property
    def acknowledged(self) -> int:
        """Events that the brokers hold."""
        return self._counts[""]

    def __call__(self, item: object) -> None:
        """Publish a record, if it is announced."""
        if self._announcements.wanted(item) and (event := as_event(item)) is not None:
            self.event(event)

    def event(self, event: Event) -> None:
        """Publish an event."""
        stream = event.get("stream")
        key = stream.encode(errors="replace") if isinstance(stream, str) and stream else None
        value = json.dumps(event, allow_nan=False).encode()
        record = Outgoing(key, value, [])
        if not self._outbox.offer(record):
            self._settled(record, "refused" if self._outbox.trouble else "closed", "")

    def close(self, timeout_s: float = CLOSE_S) -> tuple[str, ...]:
        """Send what waits, for at most so long; lines about what was lost."""
        self._outbox.close(timeout_s)
        why = f" ({self._outbox.trouble})" if self._outbox.trouble else ""
        return tuple(
            f"{count} events did not reach {self._to.shown}: {_WORDS[reason]}{why}"
            for reason, count in sorted(self._counts.items())
            if reason
        )

    def _settled(self, _record: Outgoing, reason: str, _detail: str) -> None:
        with self._turn:
            self._counts[reason] += 1
