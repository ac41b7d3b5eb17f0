"""Names of spans and attributes, and thin helpers on the OpenTelemetry *API*.

Without an SDK every helper returns at once: no span, an empty ``traceparent``. Times are those of
this machine's clock, whatever time the audio has: a window lasts from the delivery of its first
sample to that of its last, and what follows shows how long it waited and how long it was worked
on. Such spans are written when that is known, with explicit times (epoch nanoseconds).

Invariant: no span begins before its parent. A batch links to the windows in it and is never their
child or parent (OpenTelemetry semantic conventions for messaging: a parent is only for single
messages). What is not sampled (see ``sampling``) costs no span; no exporter is known here.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode

from operators.records import BreakerTransition, Window
from operators.sampling import Sampling
from operators.traceparent import (
    MAX_LINKS,
    context_of,
    is_sampled,
    kept,
    link,
    links,
    trace_id,
    traceparent_of,
    well_formed,
)

__all__ = [
    "INVALID_SPAN",
    "MAX_LINKS",
    "active",
    "context_of",
    "current",
    "is_sampled",
    "kept",
    "link",
    "links",
    "live_span",
    "mark_error",
    "mark_transition",
    "promote",
    "sample",
    "sent_span",
    "span_at",
    "stage",
    "trace_id",
    "traceparent_of",
    "well_formed",
    "window_span",
]

SCOPE: Final = "grym"
WINDOW: Final = "window"
BATCH: Final = "batch"
PATTERN: Final = "pattern"
STORE: Final = "store"
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

Attributes = Mapping[str, str | bool | int | float | tuple[str, ...]]
_NO_PROVIDERS: Final = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
_OFF: AbstractContextManager[Span] = nullcontext(INVALID_SPAN)
_sampling = Sampling()


def sample(sampling: Sampling) -> None:
    """From here on, this decides which spans are made."""
    global _sampling  # noqa: PLW0603 - as global as the provider whose spans it decides on
    _sampling = sampling


def active() -> bool:
    """Whether an SDK was set up in this process (else nothing here costs or does anything)."""
    return type(trace.get_tracer_provider()) not in _NO_PROVIDERS


def stage(
    name: str,
    *,
    traceparents: Iterable[str] = (),
    attributes: Attributes | None = None,
) -> AbstractContextManager[Span]:
    """A live root span around a piece of work; current, so that logs attach to it.

    An exception that passes through is recorded on it, with its class, and goes on.
    """
    return _stage(name, traceparents, attributes) if active() else _OFF


@contextmanager
def _stage(name: str, traceparents: Iterable[str], attributes: Attributes | None) -> Iterator[Span]:
    span = live_span(name, traceparents=traceparents, attributes=attributes)
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
    failed: bool = False,
) -> Span:
    """A root span, linked to what it works on; whoever took it ends it. It starts now if unsaid.

    Without anything sampled to work on, it is made while there is room for such (``failed``: while
    there is room for errors).
    """
    if not active():
        return INVALID_SPAN
    linked = links(traceparents)
    if not linked and not (_sampling.error() if failed else _sampling.live()):
        return INVALID_SPAN
    return trace.get_tracer(SCOPE).start_span(
        name,
        context=Context(),
        kind=kind,
        links=linked,
        attributes=dict(attributes or {}),
        start_time=start_ns,
    )


def sent_span(name: str, attributes: Attributes) -> Span:
    """The root span of a message that is being sent, if it is drawn; whoever took it ends it."""
    if not active() or not _sampling.root():
        return INVALID_SPAN
    return trace.get_tracer(SCOPE).start_span(
        name, context=Context(), kind=SpanKind.PRODUCER, attributes=dict(attributes)
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

    Returns:
        Its header (not flagged as sampled where a sampler dropped it); "" without an SDK.
    """
    if not active():
        return ""
    noted = dict(attributes or {})
    if error_type:
        noted[ERROR_TYPE] = error_type
    span = trace.get_tracer(SCOPE).start_span(
        name,
        context=context_of(parent),
        links=links(linked),
        attributes=noted,
        start_time=start_ns,
    )
    if error_type:
        span.set_status(Status(StatusCode.ERROR))
    span.end(end_ns)
    return traceparent_of(span)


def window_span(window: Window, *, remote: str = "") -> str:
    """Write the span of a closed window, from its first sample's delivery to its last's.

    Args:
        window: that was cut.
        remote: header of what sent its first sample: its parent, which it follows. Without one it
            is a root, and drawn.

    Returns:
        Its header, if it is sampled; else ``remote``.
    """
    if not active() or not (is_sampled(remote) if remote else _sampling.root()):
        return remote
    return _window(window, parent=remote)


def promote(window: Window, error_type: str, batch: str = "") -> str:
    """Write the span of a failed window that was not sampled, so that every error has a trace.

    Args:
        window: that failed.
        error_type: the class of the error, a short stable word.
        batch: header of the batch that it failed in; "" where it was in none.

    Returns:
        The header to carry on with: the new span's, or the window's own where that is kept, or
        where there is no room for more errors.
    """
    header = window.traceparent
    if not active() or is_sampled(header) or not _sampling.error():
        return header
    return _window(window, linked=(batch,), error_type=error_type)


def _window(
    window: Window, *, parent: str = "", linked: Iterable[str] = (), error_type: str = ""
) -> str:
    """The span of a window; as long as its audio where an earlier process heard its beginning."""
    end_ns = window.delivered_ns
    opened_ns = window.opened_ns or end_ns - round(window.duration_s * 1e9)
    return span_at(
        WINDOW,
        min(opened_ns, end_ns),  # a clock may be set back
        end_ns,
        parent=parent,
        linked=linked,
        attributes={
            STREAM: window.stream,
            WINDOW_INDEX: window.index,
            EVENT_TIME_NS: window.start_ns,
            GATE: window.gate,
        },
        error_type=error_type,
    )


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
