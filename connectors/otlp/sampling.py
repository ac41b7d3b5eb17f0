"""Which spans are kept: a share of the windows, whatever belongs to them, and every error.

Invariant: the decision is made at the start of a span, costs microseconds, and is the same in
every process for one trace. Rates bound what is kept without having been asked for.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from operators.tracing import ERROR_TYPE, WINDOW

LIVE_SPANS_PER_S: Final = 40
ERROR_SPANS_PER_S: Final = 200


class HeadSampler(Sampler):
    """Keeps a share of the windows and of the messages sent, and what belongs to them.

    A child follows its parent. Of the roots, windows and sent messages are kept by trace id, so
    that every process decides alike; one that works on something kept (its links say so) is kept
    with it; other live spans (batches, calls of the store) while there are no more than
    ``live_per_s`` of them in a second; and a span written with ``error.type`` always, up to
    ``errors_per_s``, because a model that is away fails every window.

    Args:
        ratio: share of the windows, within [0, 1].
        live_per_s, errors_per_s: most spans in a second.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        ratio: float,
        *,
        live_per_s: int = LIVE_SPANS_PER_S,
        errors_per_s: int = ERROR_SPANS_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = TraceIdRatioBased(ratio)
        self._live = _Rate(live_per_s, clock)
        self._errors = _Rate(errors_per_s, clock)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide on a span at its start; see the class."""
        parent = trace.get_current_span(parent_context).get_span_context()
        if parent.is_valid:
            keep = parent.trace_flags.sampled
        elif attributes and ERROR_TYPE in attributes:
            keep = self._errors.allows()
        elif name == WINDOW or kind is SpanKind.PRODUCER:
            return self._ratio.should_sample(
                parent_context, trace_id, name, kind, attributes, links, trace_state
            )
        else:
            keep = bool(links) or self._live.allows()
        return SamplingResult(Decision.RECORD_AND_SAMPLE if keep else Decision.DROP, attributes)

    def get_description(self) -> str:
        """One line for logs."""
        return f"HeadSampler{{{self._ratio.get_description()}, {self._live.most}/s}}"


class _Rate:
    """At most so many in a second of the clock."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self._clock = clock
        self._second = 0
        self._count = 0
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether one more is within the rate; it is counted."""
        with self._lock:
            second = int(self._clock())
            if second != self._second:
                self._second, self._count = second, 0
            self._count += 1
            return self._count <= self.most
