"""Metrics as an SDK sees them."""

from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from operators import metering, tracing

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def collected(measured: InMemoryMetricReader) -> dict[str, Any]:
    """Name of each metric that has a value -> what the SDK holds of it."""
    data = measured.get_metrics_data()
    return {
        metric.name: metric
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def points(measured: InMemoryMetricReader, name: str) -> dict[tuple[str, ...], float]:
    found = collected(measured).get(name)
    rows = found.data.data_points if found else ()
    return {tuple((point.attributes or {}).values()): point.value for point in rows}


def test_without_an_sdk_nothing_is_recorded_and_nothing_raised() -> None:
    metering.record(metering.BATCH_SIZE, 3.0, {"model": "aisfx"})
    metering.watch({metering.PATTERNS: lambda: [(3.0, {})]})


def test_what_is_counted_elsewhere_is_asked_whenever_somebody_collects(
    measured: InMemoryMetricReader,
) -> None:
    lags: list[float | None] = [None, 2.5]

    def lag() -> metering.Readings:
        value = lags.pop(0)
        return [] if value is None else [(value, {})]

    metering.watch({metering.SOURCE_LAG: lag})
    assert points(measured, "grym.source.lag") == {}
    assert points(measured, "grym.source.lag") == {(): 2.5}


def test_a_later_run_of_a_process_is_asked_in_place_of_the_one_before(
    measured: InMemoryMetricReader,
) -> None:
    metering.watch({metering.WINDOWS: lambda: [(5, {"outcome": "stored"})]})
    metering.watch(
        {metering.WINDOWS: lambda: [(1, {"outcome": "stored"}), (2, {"outcome": "dead"})]}
    )
    assert points(measured, "grym.windows") == {("stored",): 1, ("dead",): 2}


def test_a_histogram_has_its_unit_its_labels_and_its_buckets(
    measured: InMemoryMetricReader,
) -> None:
    metering.record(metering.BATCH_SIZE, 3.0, {"model": "aisfx"})
    metering.record(metering.BATCH_SIZE, 300.0, {"model": "aisfx"})
    found = collected(measured)["grym.batch.size"]
    (point,) = found.data.data_points
    assert (found.unit, dict(point.attributes)) == ("{window}", {"model": "aisfx"})
    assert tuple(point.explicit_bounds) == metering.BATCH_SIZE.buckets
    assert (point.count, point.sum) == (2, 303.0)


@pytest.mark.parametrize(("header", "kept"), [(SAMPLED, 1), (UNSAMPLED, 0), ("", 0), ("x", 0)])
def test_an_exemplar_points_to_a_trace_that_is_kept(
    measured: InMemoryMetricReader, header: str, kept: int
) -> None:
    metering.record(metering.WINDOW_LATENCY, 0.2, traceparent=header)
    (point,) = collected(measured)["grym.window.latency"].data.data_points
    assert len(point.exemplars) == kept
    for exemplar in point.exemplars:
        assert exemplar.trace_id == 0x0AF7651916CD43DD8448EB211C80319C


def test_without_a_header_the_current_span_is_the_exemplar(
    measured: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
    with tracing.current(tracing.live_span("batch aisfx")) as span:
        metering.record(metering.BATCH_SIZE, 1.0)
    (point,) = collected(measured)["grym.batch.size"].data.data_points
    assert [each.span_id for each in point.exemplars] == [span.get_span_context().span_id]


def test_a_step_is_timed_some_of_the_time(measured: InMemoryMetricReader) -> None:
    ticks = iter([10.0, 10.01, 10.02, 10.21, 10.23])
    timed = metering.Stage("segment", lambda: next(ticks))
    for _ in range(3):  # the one from 10.02 on comes too soon
        with timed:
            pass
    (point,) = collected(measured)["grym.stage.duration"].data.data_points
    assert dict(point.attributes) == {"stage": "segment"}
    assert (point.count, point.sum) == (2, pytest.approx(0.03))


def test_every_metric_says_what_it_is() -> None:
    names = [metric.name for metric in metering.METRICS]
    assert len(set(names)) == len(names)
    for metric in metering.METRICS:
        assert metric.description
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert "stream" not in metric.labels
    assert isinstance(metrics.get_meter_provider().get_meter("x"), metrics.Meter)
