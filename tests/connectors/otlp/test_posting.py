"""Where telemetry is posted."""

from typing import Any

import pytest

from connectors.otlp import plan_of, posts

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
BOTH = ["http://collector:4318/v1/traces", "http://collector:4318/v1/metrics"]


def urls(said: dict[str, str], **asked: Any) -> list[str]:
    return [post.url for post in posts(plan_of(**asked, environ=said), said)]


@pytest.mark.parametrize(
    ("said", "asked", "where"),
    [
        ({}, {}, []),
        (ENDPOINT, {}, BOTH),
        (
            ENDPOINT,
            {"endpoint": "http://own:1/"},
            ["http://own:1/v1/traces", "http://own:1/v1/metrics"],
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://j/x"}, {}, ["http://j/x"]),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, {}, BOTH[1:]),
        (
            {},
            {"exporter": "otlp"},
            [f"http://localhost:4318/v1/{one}" for one in ("traces", "metrics")],
        ),
        (ENDPOINT, {"exporter": "console"}, []),
    ],
)
def test_each_signal_has_an_address(
    said: dict[str, str], asked: dict[str, str], where: list[str]
) -> None:
    assert urls(said, **asked) == where


def test_what_is_sent_with_it_comes_from_the_variables_and_is_not_shown() -> None:
    said = {
        **ENDPOINT,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20hunter2",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "x=y",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
    }
    traces, metrics = posts(plan_of(environ=said), said)
    assert traces.headers == (("authorization", "Bearer hunter2"),)
    assert metrics.headers == (("x", "y"),)
    assert (traces.ca_file, traces.cert_file) == ("ca.pem", None)
    assert "hunter2" not in repr(traces)
