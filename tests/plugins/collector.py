"""A real OTLP/HTTP receiver over a socket: what arrives is decoded and kept, as it was sent.

It takes gzip, keeps the resource of everything, and can answer 503, or nothing at all.
"""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
WAIT_S = 60.0


@dataclass(frozen=True)
class Span:
    """A span as it arrived; ids in hexadecimal, "" for no parent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    events: tuple[tuple[str, dict[str, Any]], ...]
    failed: bool
    resource: dict[str, Any]

    @property
    def id(self) -> tuple[str, str]:
        return self.trace_id, self.span_id

    @property
    def service(self) -> str:
        return str(self.resource["service.name"])

    @property
    def duration_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


@dataclass
class Collector:
    """What was received so far.

    Attributes:
        status: what it answers with.
        answering: cleared, it takes requests and says nothing.
        encodings: of the bodies, as they were sent.
    """

    url: str = ""
    status: int = 200
    answering: threading.Event = field(default_factory=threading.Event)
    spans: list[Span] = field(default_factory=list)
    metrics: list[tuple[dict[str, Any], Metric]] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    refused: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, path: str, encoding: str, body: bytes) -> None:
        with self.changed:
            self.encodings.append(encoding)
            if self.status != 200:
                self.refused += 1
            elif path.endswith("/v1/traces"):
                self.spans += _spans(body)
            elif path.endswith("/v1/metrics"):
                self.metrics += _metrics(body)
            self.changed.notify_all()

    def wait_for(self, wanted: Callable[[], object]) -> None:
        """Wait until something is true of what was received."""
        with self.changed:
            assert self.changed.wait_for(wanted, WAIT_S)

    def named(self, name: str) -> list[Span]:
        """Spans whose name begins so."""
        return [span for span in self.spans if span.name.startswith(name)]

    def latest(self, name: str) -> Metric:
        """A metric as it was last sent."""
        return next(metric for _, metric in reversed(self.metrics) if metric.name == name)

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Values of a counter or gauge as last sent, by the values of its labels."""
        sent = self.latest(name)
        points = sent.sum.data_points or sent.gauge.data_points
        return {
            tuple(str(value) for value in _plain(point.attributes).values()): (
                point.as_double or point.as_int
            )
            for point in points
        }


def _spans(body: bytes) -> Iterator[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    for group in request.resource_spans:
        resource = _plain(group.resource.attributes)
        for scope in group.scope_spans:
            yield from (_span(span, resource) for span in scope.spans)


def _span(span: SentSpan, resource: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=KINDS[span.kind],
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        events=tuple((event.name, _plain(event.attributes)) for event in span.events),
        failed=span.status.code == 2,
        resource=resource,
    )


def _metrics(body: bytes) -> Iterator[tuple[dict[str, Any], Metric]]:
    request = ExportMetricsServiceRequest.FromString(body)
    for group in request.resource_metrics:
        resource = _plain(group.resource.attributes)
        for scope in group.scope_metrics:
            yield from ((resource, metric) for metric in scope.metrics)


def _plain(attributes: Any) -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, collector: Collector) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.collector = collector


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        collector = self.server.collector
        body = self.rfile.read(int(self.headers["Content-Length"]))
        encoding = self.headers.get("Content-Encoding", "")
        if encoding == "gzip":
            body = gzip.decompress(body)
        if not collector.answering.wait(WAIT_S):
            return
        status = collector.status
        collector.take(self.path, encoding, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_said: object) -> None:
        """Nothing is said of requests."""


@contextmanager
def running() -> Iterator[Collector]:
    """A receiver, for as long as it is used."""
    made = Collector()
    made.answering.set()
    server = _Server(made)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.answering.set()
        server.shutdown()
        server.server_close()
        thread.join(WAIT_S)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A receiver that runs as long as the test."""
    with running() as made:
        yield made
