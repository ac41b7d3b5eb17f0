"""Sets up the OpenTelemetry SDK: which spans are kept, where they go, and a shutdown that ends.

Exporters in this version: "off" and "console" (one JSON object a line on stderr, where it cannot
mix with results on stdout). Importing this module loads the SDK (about 50 ms): a process that
traces nothing need not import it.

Invariant: nothing here blocks the caller. Spans wait in a bounded queue and are dropped beyond
it; ``Tracing.close`` returns within its limit whatever the exporter does, which is why the SDK's
own exit hook (30 s by default) is switched off.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TextIO

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from operators.tracing import ERROR_TYPE, WINDOW

EXPORTERS: Final = ("off", "console")
SHUTDOWN_S: Final = 3.0
QUEUE_SPANS: Final = 2_048
LIVE_SPANS_PER_S: Final = 40


class HeadSampler(Sampler):
    """Keeps a share of the windows, every error, and batches up to a rate.

    A child follows its parent. Of the roots, windows are kept by trace id (so every process
    decides alike), a span written with ``error.type`` always, and live spans (batches, stages)
    while there are no more than ``live_per_s`` of them in a second.
    """

    def __init__(
        self,
        ratio: float,
        *,
        live_per_s: int = LIVE_SPANS_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = TraceIdRatioBased(ratio)
        self._live_per_s = live_per_s
        self._clock = clock
        self._second = 0
        self._live = 0
        self._lock = threading.Lock()

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
            keep = True
        elif name == WINDOW:
            return self._ratio.should_sample(
                parent_context, trace_id, name, kind, attributes, links, trace_state
            )
        else:
            keep = self._within_rate()
        return SamplingResult(Decision.RECORD_AND_SAMPLE if keep else Decision.DROP, attributes)

    def get_description(self) -> str:
        """One line for logs."""
        return f"HeadSampler{{{self._ratio.get_description()}, {self._live_per_s}/s}}"

    def _within_rate(self) -> bool:
        with self._lock:
            second = int(self._clock())
            if second != self._second:
                self._second, self._live = second, 0
            self._live += 1
            return self._live <= self._live_per_s


class Tracing:
    """What ``start`` set up, to be closed once at the end of the process."""

    def __init__(self, shutdown: Callable[[], None] | None = None) -> None:
        self._shutdown = shutdown

    def close(self, timeout_s: float = SHUTDOWN_S) -> bool:
        """Export what is queued and stop; give up after ``timeout_s``. A second call does nothing.

        Returns:
            False when the exporter did not finish in time (what it still held is lost).
        """
        shutdown, self._shutdown = self._shutdown, None
        if shutdown is None:
            return True
        # A daemon thread: an exporter that hangs must not keep the process alive either.
        thread = threading.Thread(target=shutdown, name="grym-tracing-shutdown", daemon=True)
        thread.start()
        thread.join(timeout_s)
        return not thread.is_alive()


def start(
    *,
    exporter: str = "off",
    sample_ratio: float = 0.05,
    service_name: str = "grym-flow",
    out: TextIO | None = None,
) -> Tracing:
    """Set up tracing for this process.

    Where the process already has an SDK provider (an application that embeds grym, or an
    earlier start), spans go to this exporter as well, and that provider's sampler stays in force.

    Args:
        exporter: "off" or "console".
        sample_ratio: share of the windows that are traced.
        service_name: the resource's ``service.name``.
        out: where "console" writes (default: stderr).

    Returns:
        A handle; close it before the process ends.

    Raises:
        ValueError: names the argument, its value and what is expected.
    """
    if exporter not in EXPORTERS:
        expected = " or ".join(EXPORTERS)
        raise ValueError(f"telemetry exporter = {exporter!r}: expected {expected}")
    if not 0.0 <= sample_ratio <= 1.0:
        raise ValueError(f"telemetry sample_ratio = {sample_ratio}: expected within [0, 1]")
    if exporter == "off":
        return Tracing()
    processor = _console(out or sys.stderr)
    _provider(sample_ratio, service_name).add_span_processor(processor)
    return Tracing(processor.shutdown)


def _provider(sample_ratio: float, service_name: str) -> TracerProvider:
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return present
    resource = {"service.name": service_name, "service.instance.id": str(os.getpid())}
    provider = TracerProvider(
        sampler=HeadSampler(sample_ratio),
        resource=Resource.create(resource),
        shutdown_on_exit=False,
    )
    trace.set_tracer_provider(provider)
    return provider


def _console(out: TextIO) -> SpanProcessor:
    exporter = ConsoleSpanExporter(out=out, formatter=_line)
    return BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS)


def _line(span: ReadableSpan) -> str:
    return f"{span.to_json(indent=None)}\n"
