"""The translation of names, on examples of what its source does."""

import pytest

from operators.metering import METRICS, Metric
from tests.deploy.promnames import SERIES, label_of, name_of, series_of


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (Metric("grym.windows", "counter", "{window}", ""), "grym_windows_total"),
        (Metric("grym.audio.heard", "counter", "s", ""), "grym_audio_heard_seconds_total"),
        (Metric("grym.breaker.state", "gauge", "", ""), "grym_breaker_state"),
        (Metric("a.share", "gauge", "1", ""), "a_share_ratio"),
        (Metric("grym.queue.depth", "gauge", "{item}", ""), "grym_queue_depth"),
        (Metric("process.memory.usage", "gauge", "By", ""), "process_memory_usage_bytes"),
        (Metric("a.seconds.b", "histogram", "s", ""), "a_seconds_b"),
        (Metric("a.total", "counter", "1", ""), "a_total"),
        (Metric("a..b_c", "gauge", "", ""), "a_b_c"),
    ],
)
def test_a_name_is_translated_as_prometheus_does(metric: Metric, name: str) -> None:
    assert name_of(metric) == name


def test_a_histogram_has_three_series_and_le_on_one() -> None:
    series = series_of(Metric("a.b", "histogram", "s", "", ("db.system.name",)))
    assert list(series) == ["a_b_seconds_bucket", "a_b_seconds_sum", "a_b_seconds_count"]
    assert [name for name, labels in series.items() if "le" in labels] == ["a_b_seconds_bucket"]
    assert all("db_system_name" in labels for labels in series.values())


def test_a_unit_that_is_not_known_here_is_no_guess() -> None:
    with pytest.raises(KeyError, match="furlong"):
        name_of(Metric("a", "gauge", "furlong", ""))


def test_no_two_metrics_of_grym_become_one() -> None:
    assert len(SERIES) == sum(len(series_of(metric)) for metric in METRICS)
    for metric in METRICS:
        assert len({label_of(name) for name in metric.labels}) == len(metric.labels)
