"""Calls of the store, timed once: as a span, as a metric, and as the latency of what was stored.

A call is a root span linked to what its rows were made of, because it serves many; in the trace of
each of those stands a span ``store``, from when the row began to wait to when it was taken.

Invariant: the span, the metric and ``ended_ns`` of a call speak of the same two moments. Terms are
those of OpenTelemetry's semantic conventions for database clients.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import Span, SpanKind

from connectors.milvus.rows import Write
from operators import metering, tracing

_SYSTEM: Final = {"db.system.name": "milvus"}


@dataclass(slots=True)
class Call:
    """One call; ``ended_ns`` (epoch nanoseconds) once it was answered."""

    ended_ns: int = 0


@contextmanager
def timed(operation: str, rows: Sequence[Write]) -> Iterator[Call]:
    """Time a call that is about rows of one collection; what it raises is noted and goes on."""
    collection = rows[0].collection
    labels = {
        **_SYSTEM,
        "db.operation.name": operation,
        "db.collection.name": collection,
    }
    call, began_ns = Call(), time.time_ns()
    span = tracing.live_span(
        f"{operation} {collection}",
        traceparents=dict.fromkeys(row.traceparent for row in rows),
        attributes={**labels, "db.operation.batch.size": len(rows)},
        kind=SpanKind.CLIENT,
        start_ns=began_ns,
    )
    try:
        with tracing.current(span):
            yield call
    except Exception as error:
        labels[tracing.ERROR_TYPE] = type(error).__name__
        tracing.mark_error(span, type(error).__name__, " ".join(str(error).split()))
        raise
    finally:
        call.ended_ns = max(time.time_ns(), began_ns)
        span.end(call.ended_ns)
        metering.record(
            metering.DB_DURATION,
            (call.ended_ns - began_ns) / 1e9,
            labels,
            traceparent=tracing.traceparent_of(span),
        )
    _follow(rows, call.ended_ns, span)


def _follow(rows: Sequence[Write], ended_ns: int, span: Span) -> None:
    """In the trace of each row that has one: how long it waited, and the call that took it."""
    batch = tracing.traceparent_of(span)
    for row in rows:
        if row.traceparent:
            tracing.span_at(
                tracing.STORE,
                min(row.since_ns or ended_ns, ended_ns),
                ended_ns,
                parent=row.traceparent,
                linked=(batch,),
                attributes={"db.collection.name": row.collection},
            )
