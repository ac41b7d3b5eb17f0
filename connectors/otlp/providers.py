"""The SDK's providers, processors and exporters, by a plan.

Invariant: nothing here blocks whoever is traced. Spans wait in a queue of 2,048 and are dropped
beyond it; metrics are read by threads of the SDK.
"""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any, TextIO

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from connectors.otlp.plan import Plan, TelemetryError
from operators import tracing
from operators.sampling import ERROR_SPANS_PER_S, LIVE_SPANS_PER_S, Sampling

Shutdown = Callable[[], object]


def set_up(plan: Plan, out: TextIO | None) -> list[Shutdown]:
    """Set providers up, or add to those that are there; what is to be called at the end.

    Raises:
        TelemetryError: the address for Prometheus cannot be had.
    """
    out = out or sys.stderr
    ends: list[Shutdown] = []
    if plan.metrics or plan.prometheus:
        ends += _metrics(plan, out)
    if plan.traces:
        provider = _tracer_provider(plan)
        for exporter in _span_exporters(plan, out):
            processor = BatchSpanProcessor(exporter)
            provider.add_span_processor(processor)
            ends.append(processor.shutdown)
    return ends


def _resource(plan: Plan) -> Resource:
    """What this process is; OTEL_RESOURCE_ATTRIBUTES may say more, but not another name."""
    return Resource.create(
        {
            "service.name": plan.service_name,
            "service.version": version("grym-synth"),
            "service.instance.id": f"{platform.node()}:{os.getpid()}",
            "host.name": platform.node(),
            "process.pid": os.getpid(),
        }
    )


def _tracer_provider(plan: Plan) -> TracerProvider:
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return present
    provider = TracerProvider(
        sampler=ParentBased(ALWAYS_ON), resource=_resource(plan), shutdown_on_exit=False
    )
    trace.set_tracer_provider(provider)
    tracing.sample(
        Sampling(plan.sample_ratio, live_per_s=LIVE_SPANS_PER_S, errors_per_s=ERROR_SPANS_PER_S)
    )
    return provider


def _span_exporters(plan: Plan, out: TextIO) -> Iterator[SpanExporter]:
    if "console" in plan.traces:
        yield ConsoleSpanExporter(out=out, formatter=_line)
    if "otlp" in plan.traces:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        yield OTLPSpanExporter(**_otlp(plan, (plan.endpoints or {}).get("TRACES")))


def _metrics(plan: Plan, out: TextIO) -> list[Shutdown]:
    present = metrics.get_meter_provider()
    if isinstance(present, MeterProvider):
        return []
    readers: list[MetricReader] = [
        PeriodicExportingMetricReader(exporter, export_interval_millis=plan.interval_ms)
        for exporter in _metric_exporters(plan, out)
    ]
    ends: list[Shutdown] = [reader.shutdown for reader in readers]
    if plan.prometheus is not None:
        reader, end = _prometheus(*plan.prometheus)
        readers.append(reader)
        ends.append(end)
    provider = MeterProvider(readers, resource=_resource(plan), shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return ends


def _metric_exporters(plan: Plan, out: TextIO) -> Iterator[MetricExporter]:
    if "console" in plan.metrics:
        yield ConsoleMetricExporter(out=out, formatter=_line)
    if "otlp" in plan.metrics:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
            OTLPMetricExporter,
        )

        yield OTLPMetricExporter(**_otlp(plan, (plan.endpoints or {}).get("METRICS")))


def _otlp(plan: Plan, endpoint: str | None) -> dict[str, Any]:
    from opentelemetry.exporter.otlp.proto.http import Compression  # noqa: PLC0415

    return {"endpoint": endpoint, "compression": Compression.Gzip if plan.compressed else None}


def _prometheus(host: str, port: int) -> tuple[MetricReader, Shutdown]:
    """A page of metrics for whoever fetches it, in the official exporter's words."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415

    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry)
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise TelemetryError(
            f"metrics cannot be served at {host}:{port} ({error.strerror or error}); name another"
            " address with telemetry.prometheus"
        ) from None

    def end() -> None:
        server.shutdown()
        server.server_close()
        reader.shutdown()

    return reader, end


def _line(said: ReadableSpan | MetricsData) -> str:
    return f"{said.to_json(indent=None)}\n"
