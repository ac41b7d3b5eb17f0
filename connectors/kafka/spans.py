"""The spans of a topic: one for each message that is sent, one for each fetch of traced messages.

Names, kinds and attributes are those of OpenTelemetry's semantic conventions for messaging
(https://opentelemetry.io/docs/specs/semconv/messaging/kafka/): a message is sent by a producer,
whose span lasts until the brokers hold it; a poll is a client's, linked to what it fetched.

Invariant: without an SDK nothing is looked at. Whoever is given a span ends it.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind

from connectors.kafka.headers import traceparent_of
from connectors.kafka.record import Entry, Record
from operators import tracing

_SYSTEM = {"messaging.system": "kafka"}


class Place(Protocol):
    """A partition, as the driver names it."""

    @property
    def topic(self) -> str:
        """Its topic."""


def sending(topic: str, stream: str) -> Span:
    """The span of one message, if it is drawn; its header goes into the message's."""
    return tracing.sent_span(
        f"{tracing.SEND} {topic}",
        {
            **_SYSTEM,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
            "messaging.kafka.message.key": stream,
            tracing.STREAM: stream,
        },
    )


def sent(span: Span, reason: str, detail: str) -> None:
    """The message of a span was acknowledged, or never will be, for a reason."""
    if span is INVALID_SPAN:
        return
    if reason:
        tracing.mark_error(span, reason, detail)
    span.end()


def polled(found: Mapping[Place, Iterable[Entry]], began_ns: int) -> None:
    """Write the span of a poll that ends now, for each topic with a traced message in it.

    Args:
        found: partition -> what was fetched of it.
        began_ns: epoch nanoseconds.
    """
    if not found or not tracing.active():
        return
    ended_ns = time.time_ns()
    by_topic: dict[str, list[Entry]] = {}
    for place, entries in found.items():
        by_topic.setdefault(place.topic, []).extend(entries)
    for topic, fetched in by_topic.items():
        traced = [header for header in _headers(fetched) if tracing.is_sampled(header)]
        if traced:
            _poll(topic, len(fetched), traced, began_ns).end(ended_ns)


def _poll(topic: str, count: int, traced: Iterable[str], began_ns: int) -> Span:
    return tracing.live_span(
        f"{tracing.POLL} {topic}",
        kind=SpanKind.CLIENT,
        traceparents=traced,
        start_ns=began_ns,
        attributes={
            **_SYSTEM,
            "messaging.operation.name": "poll",
            "messaging.operation.type": "receive",
            "messaging.destination.name": topic,
            "messaging.batch.message_count": count,
        },
    )


def _headers(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, Record):
            for name, value in entry.headers:
                if name == "traceparent":
                    yield traceparent_of(value)
