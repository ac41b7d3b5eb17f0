"""Audio onto a topic: messages of any number of streams, each stream in its order.

Delivery: at least once, in order for each stream (its key decides the partition, as every Kafka
client decides it: murmur2); a listener drops by its number what it hears twice. Nothing is lost
silently: a message is acknowledged, or counted and said.

Invariant: ``send`` never waits; what it has taken is acknowledged, or told to ``lost``.
"""

import threading
from collections import Counter
from collections.abc import Callable

from connectors.kafka import spans
from connectors.kafka.outbox import Destination, Outbox
from connectors.kafka.pending import Bounds, Outgoing
from connectors.kafka.wire import AudioMessage, Codec, encode
from operators import tracing
from operators.records import SourceState

MOST_BYTES = 16 << 20


class Publisher:
    """Sends audio to one topic.

    Args:
        destination: the topic; created where it is missing.
        codec: of every message.
        lost: told of a message that will never be acknowledged: its stream and one line why.
        state: told when the brokers answer, stop answering, or answer again.
        most_bytes: of messages that are not acknowledged yet.
    """

    def __init__(
        self,
        destination: Destination,
        codec: Codec = "pcm_s16le",
        *,
        lost: Callable[[str, str], None],
        state: Callable[[SourceState], None],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._topic = destination.topic
        self._codec = codec
        self._lost = lost
        self._turn = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._held: dict[str, tuple[AudioMessage, Outgoing]] = {}
        bounds = Bounds(most_bytes=most_bytes)
        self._outbox = Outbox(destination, bounds, self._settled, state)

    @property
    def trouble(self) -> str:
        """Why nothing more will be sent: one line with the remedy; "" while there is hope."""
        return self._outbox.trouble

    @property
    def unacknowledged(self) -> int:
        """Messages that were taken and are under way."""
        return self._outbox.unacknowledged

    def acknowledged(self, stream: str | None = None) -> int:
        """Messages that the brokers hold, of one stream or of all."""
        with self._turn:
            return self._counts.total() if stream is None else self._counts[stream]

    def send(self, message: AudioMessage) -> bool:
        """Take a message; False where it has to wait (ask again with the same message).

        Raises:
            ValueError: it cannot be written in the codec.
        """
        held, record = self._held.get(message.stream, (None, None))
        if record is None or held is not message:
            record = self._written(message)
        if self._outbox.offer(record):
            self._held.pop(message.stream, None)
            return True
        self._held[message.stream] = (message, record)  # encoded once, however often it is asked
        return False

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until a message would be taken, or nothing ever will be."""
        return self._outbox.wait_for_room(timeout_s)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything taken is acknowledged or lost; whether it is."""
        return self._outbox.flush(timeout_s)

    def close(self, timeout_s: float) -> int:
        """Flush for at most so long and end; how many messages were not acknowledged."""
        return self._outbox.close(timeout_s)

    def _written(self, message: AudioMessage) -> Outgoing:
        """A message as it is sent; its trace begins here, unless it began elsewhere."""
        if message.traceparent or message.end or not tracing.active():
            return Outgoing(*encode(message, self._codec), message.stream)
        span = spans.sending(self._topic, message.stream)
        header = tracing.traceparent_of(span)
        if header:
            message = message._replace(traceparent=header)
        return Outgoing(*encode(message, self._codec), message.stream, span)

    def _settled(self, record: Outgoing, reason: str, detail: str) -> None:
        spans.sent(record.span, reason, detail)
        if not reason:
            with self._turn:
                self._counts[record.tag] += 1
        elif reason == "refused":
            self._lost(record.tag, detail)
