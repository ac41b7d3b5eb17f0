"""Metrics as an SDK sees them."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from operators import metering


def points(reader: InMemoryMetricReader) -> list[tuple[str, float]]:
    data = reader.get_metrics_data()
    if data is None:
        return []
    return [
        (metric.name, point.value)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def test_the_lag_of_the_slowest_source_is_a_gauge_where_one_is_known() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    lags: list[float | None] = [None, 2.5]
    metering.source_lag(lambda: lags.pop(0), provider.get_meter("grym"))
    assert points(reader) == []
    assert points(reader) == [("grym.source.lag", 2.5)]
    provider.shutdown()
