"""Calls of the store, timed once."""

from dataclasses import replace

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from connectors.milvus.rows import write_of
from connectors.milvus.timing import timed

MADE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def point(reader: InMemoryMetricReader):
    (resource,) = reader.get_metrics_data().resource_metrics  # type: ignore[union-attr]
    (metric,) = [each for each in resource.scope_metrics[0].metrics if each.data.data_points]
    assert metric.name == "db.client.operation.duration"
    return metric.data.data_points[0]


def test_a_call_is_a_span_a_metric_and_a_child_of_each_row_that_is_traced(
    exported: InMemorySpanExporter, measured: InMemoryMetricReader, make
) -> None:
    traced = write_of(replace(make.occurrence("p1", 1), traceparent=MADE), since_ns=5)
    plain = write_of(make.occurrence("p1", 2))
    with timed("upsert", [traced, plain]) as call:
        assert call.ended_ns == 0
    upsert, store = exported.get_finished_spans()
    assert (upsert.name, upsert.kind) == ("upsert occurrences", trace.SpanKind.CLIENT)
    assert upsert.parent is None
    assert [f"{link.context.span_id:016x}" for link in upsert.links] == [MADE[36:52]]
    attributes = dict(upsert.attributes or {})
    assert attributes == {
        "db.system.name": "milvus",
        "db.operation.name": "upsert",
        "db.collection.name": "occurrences",
        "db.operation.batch.size": 2,
    }
    assert store.name == "store"
    assert store.parent is not None
    assert f"{store.parent.span_id:016x}" == MADE[36:52]
    assert [link.context.span_id for link in store.links] == [upsert.context.span_id]
    assert (store.start_time, store.end_time) == (5, upsert.end_time)
    assert call.ended_ns == upsert.end_time
    took = point(measured)
    assert took.sum == pytest.approx((upsert.end_time - upsert.start_time) / 1e9)
    assert [each.span_id for each in took.exemplars] == [upsert.context.span_id]


def test_a_call_that_raises_is_marked_and_no_row_is_said_to_be_stored(
    exported: InMemorySpanExporter, measured: InMemoryMetricReader, make
) -> None:
    row = write_of(replace(make.occurrence("p1", 1), traceparent=MADE), since_ns=5)

    def fail() -> None:
        with timed("upsert", [row]):
            raise LookupError("nobody\nthere")

    with pytest.raises(LookupError):
        fail()
    (upsert,) = exported.get_finished_spans()
    assert upsert.status.status_code is trace.StatusCode.ERROR
    assert upsert.status.description == "nobody there"
    assert (upsert.attributes or {})["error.type"] == "LookupError"
    assert point(measured).attributes["error.type"] == "LookupError"
