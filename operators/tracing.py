"""Names of spans and attributes, and thin helpers on the OpenTelemetry *API*.

Without an SDK every helper returns at once: no span, an empty ``traceparent``. Between steps a
span is only a W3C ``traceparent`` string (https://www.w3.org/TR/trace-context/), because records
are pickled and a recording span is not. Their times are those of this machine's clock, whatever
time the audio has: a window lasts from the delivery of its first sample to that of its last, and
what follows shows how long it waited and how long it was worked on. Such spans are written when
that is known, with explicit times (epoch nanoseconds).

Invariant: no span begins before its parent. A batch links to the windows in it and is never their
child or parent (OpenTelemetry semantic conventions for messaging: a parent is only for single
messages). Which spans are kept is the sampler's business; no exporter is known here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from operators.records import BreakerTransition, Window

SCOPE: Final = "grym"
WINDOW: Final = "window"
BATCH: Final = "batch"
PATTERN: Final = "pattern"
STORE: Final = "store"
UPSERT: Final = "upsert"
POLL: Final = "poll"
SEND: Final = "send"

MODEL_NAME: Final = "grym.model.name"
BATCH_SIZE: Final = "grym.batch.size"
BREAKER_STATE: Final = "grym.breaker.state"
STREAM: Final = "grym.stream"
WINDOW_INDEX: Final = "grym.window.index"
EVENT_TIME_NS: Final = "grym.window.event_time_ns"
GATE: Final = "grym.window.gate"
PATTERNS: Final = "grym.pattern.ids"
WAIT_S: Final = "grym.wait.duration"
COMPUTE_S: Final = "grym.compute.duration"
ERROR_TYPE: Final = "error.type"

MAX_LINKS = 64
"""Links of one batch span: 32 cost 0.4 ms."""

Attributes = Mapping[str, str | bool | int | float | tuple[str, ...]]
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_PROVIDERS: Final = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
_OFF: AbstractContextManager[Span] = nullcontext(INVALID_SPAN)


def active() -> bool:
    """Whether an SDK was set up in this process (else nothing here costs or does anything)."""
    return type(trace.get_tracer_provider()) not in _NO_PROVIDERS


def traceparent_of(span: Span) -> str:
    """The W3C header of a span; "" for one that does not exist."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def is_sampled(traceparent: str) -> bool:
    """Whether the span behind a header is kept (its flag; an unreadable header is not)."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return found is not None and bool(int(found[3], 16) & TraceFlags.SAMPLED)


def kept(traceparent: str) -> str:
    """The header where its span is kept, else "": only such a one leads anywhere."""
    return traceparent if is_sampled(traceparent) else ""


def trace_id(traceparent: str) -> str:
    """The id of the trace that a header leads to (32 hex digits); "" where it is not kept."""
    return traceparent[3:35] if is_sampled(traceparent) else ""


def link(traceparent: str) -> Link | None:
    """A link to the span behind a header; None where the header is empty or unreadable."""
    context = _span_context(traceparent)
    return None if context is None else Link(context)


def links(traceparents: Iterable[str], limit: int = MAX_LINKS) -> list[Link]:
    """Links to the sampled spans among the headers, the first ``limit`` of them."""
    found: list[Link] = []
    for traceparent in traceparents:
        if len(found) == limit:
            break
        if is_sampled(traceparent) and (to := link(traceparent)) is not None:
            found.append(to)
    return found


def stage(
    name: str,
    *,
    traceparents: Iterable[str] = (),
    attributes: Attributes | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
) -> AbstractContextManager[Span]:
    """A live root span around a piece of work; current, so that logs attach to it.

    An exception that passes through is recorded on it, with its class, and goes on.
    """
    return _stage(name, traceparents, attributes, kind) if active() else _OFF


@contextmanager
def _stage(
    name: str, traceparents: Iterable[str], attributes: Attributes | None, kind: SpanKind
) -> Iterator[Span]:
    span = live_span(name, traceparents=traceparents, attributes=attributes, kind=kind)
    with trace.use_span(span, end_on_exit=True):
        try:
            yield span
        except Exception as error:
            span.set_attribute(ERROR_TYPE, type(error).__name__)
            raise


def current(span: Span) -> AbstractContextManager[Span]:
    """Make a live span current for a while, so that logs attach to it; it is not ended."""
    if span is INVALID_SPAN:
        return _OFF
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)


def live_span(
    name: str,
    *,
    traceparents: Iterable[str] = (),
    attributes: Attributes | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    start_ns: int | None = None,
) -> Span:
    """A root span, linked to what it works on; whoever took it ends it. It starts now if unsaid."""
    if not active():
        return INVALID_SPAN
    return trace.get_tracer(SCOPE).start_span(
        name,
        context=Context(),
        kind=kind,
        links=links(traceparents),
        attributes=dict(attributes or {}),
        start_time=start_ns,
    )


def span_at(
    name: str,
    start_ns: int,
    end_ns: int,
    *,
    parent: str = "",
    linked: Iterable[str] = (),
    attributes: Attributes | None = None,
    error_type: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
) -> str:
    """Write a span whose times are already known.

    Args:
        name: of the span.
        start_ns: epoch nanoseconds.
        end_ns: epoch nanoseconds.
        parent: header of its parent; "" makes it a root.
        linked: headers of sampled spans to link to.
        attributes: what to note on it.
        error_type: marks it as failed.
        kind: of the span.

    Returns:
        Its header (not flagged as sampled where the sampler dropped it); "" without an SDK.
    """
    if not active():
        return ""
    noted = dict(attributes or {})
    if error_type:
        noted[ERROR_TYPE] = error_type
    span = trace.get_tracer(SCOPE).start_span(
        name,
        context=context_of(parent),
        kind=kind,
        links=links(linked),
        attributes=noted,
        start_time=start_ns,
    )
    if error_type:
        span.set_status(Status(StatusCode.ERROR))
    span.end(end_ns)
    return traceparent_of(span)


def window_span(
    window: Window, *, remote: str = "", linked: Iterable[str] = (), error_type: str = ""
) -> str:
    """Write the span of a closed window, from its first sample's delivery to its last's.

    Where nobody knows when the first was delivered (an earlier process heard it), the span is as
    long as the audio. It is a child of ``remote`` if given: of what sent its first sample.
    """
    if not active():
        return ""
    end_ns = window.delivered_ns
    opened_ns = window.opened_ns or end_ns - round(window.duration_s * 1e9)
    return span_at(
        WINDOW,
        min(opened_ns, end_ns),  # a clock may be set back
        end_ns,
        parent=remote,
        linked=linked,
        attributes={
            STREAM: window.stream,
            WINDOW_INDEX: window.index,
            EVENT_TIME_NS: window.start_ns,
            GATE: window.gate,
        },
        error_type=error_type,
    )


def promote(window: Window, error_type: str, batch: str = "") -> str:
    """Write the span of a failed window that was not sampled, so that every error has a trace.

    Args:
        window: that failed.
        error_type: the class of the error, a short stable word.
        batch: header of the batch that it failed in; "" where it was in none.

    Returns:
        The header to carry on with: the new span's, or the window's own where that is kept.
    """
    if not window.traceparent or is_sampled(window.traceparent):
        return window.traceparent
    return window_span(window, linked=(batch,), error_type=error_type)


def mark_error(span: Span, error_type: str, detail: str) -> None:
    """Note on a live span that its work failed."""
    span.set_attribute(ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR, detail))


def mark_transition(span: Span, transition: BreakerTransition) -> None:
    """Note on a live span that a breaker changed its state during it."""
    if span.is_recording():
        span.add_event(
            "breaker",
            {
                "grym.breaker.name": transition.name,
                "grym.breaker.from": transition.from_state,
                BREAKER_STATE: transition.to_state,
                "grym.breaker.reason": transition.reason,
                **transition.attributes,
            },
        )


def _span_context(traceparent: str) -> SpanContext | None:
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    flags = TraceFlags(int(found[3], 16))
    context = SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=flags)
    return context if context.is_valid else None


def context_of(traceparent: str) -> Context:
    """The context behind a header; an empty one where it is empty or unreadable."""
    context = _span_context(traceparent)
    if context is None:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(context), Context())
