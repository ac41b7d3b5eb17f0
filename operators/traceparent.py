"""The W3C header of a span (https://www.w3.org/TR/trace-context/), as which it travels.

Records are pickled and sent, and a recording span can be neither. Invariant: a header that came
from outside is checked once, where it comes in (``well_formed``); after that its flag is trusted.
"""

import re
from collections.abc import Iterable
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, TraceFlags

MAX_LINKS: Final = 64
"""Links of one span: 32 cost 0.4 ms."""

_FORM: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LENGTH: Final = 55
_ODD: Final = frozenset("13579bdf")


def traceparent_of(span: Span) -> str:
    """The header of a span; "" for one that does not exist."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def well_formed(traceparent: str) -> str:
    """A header from outside, if it is one; else ""."""
    return traceparent if _span_context(traceparent) is not None else ""


def is_sampled(traceparent: str) -> bool:
    """Whether the span behind a header is kept (its flag)."""
    return len(traceparent) == _LENGTH and traceparent[-1] in _ODD


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


def context_of(traceparent: str) -> Context:
    """The context behind a header; an empty one where it is empty or unreadable."""
    context = _span_context(traceparent)
    if context is None:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


def _span_context(traceparent: str) -> SpanContext | None:
    found = _FORM.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    flags = TraceFlags(int(found[3], 16))
    context = SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=flags)
    return context if context.is_valid else None
