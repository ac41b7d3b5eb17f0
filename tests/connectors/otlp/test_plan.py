"""What was asked for, by settings and by OpenTelemetry's variables."""

from typing import Any

import pytest

from connectors.otlp.plan import DEFAULT_RATIO, Plan, TelemetryError, plan_of

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def plan(environ: dict[str, str] | None = None, **asked: Any) -> Plan:
    return plan_of(**asked, environ=environ or {})


def test_nothing_asked_for_is_off() -> None:
    assert plan().off
    assert plan(exporter="off", endpoint="http://collector:4318").off
    assert plan({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}).off
    assert plan({"OTEL_EXPORTER_OTLP_ENDPOINT": "  "}).off


def test_an_endpoint_is_enough() -> None:
    by_variable, by_setting = plan(ENDPOINT), plan(endpoint="http://collector:4318/")
    assert by_variable.traces == by_variable.metrics == {"otlp"}
    assert by_variable.endpoints is None  # the SDK reads it, with all that belongs to it
    assert by_setting.traces == by_setting.metrics == {"otlp"}
    assert by_setting.endpoints == {
        "TRACES": "http://collector:4318/v1/traces",
        "METRICS": "http://collector:4318/v1/metrics",
    }


def test_the_endpoint_of_one_signal_asks_for_that_one_only() -> None:
    one = plan({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://jaeger:4318/v1/traces"})
    assert (one.traces, one.metrics) == ({"otlp"}, frozenset())


def test_variables_say_where_each_signal_goes() -> None:
    both = plan({"OTEL_TRACES_EXPORTER": "otlp, console", "OTEL_METRICS_EXPORTER": "none"})
    assert (both.traces, both.metrics) == ({"otlp", "console"}, frozenset())
    fetched = plan({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "99"})
    assert (fetched.traces, fetched.metrics, fetched.prometheus) == (
        frozenset(),
        frozenset(),
        ("localhost", 99),
    )
    assert not fetched.off


def test_settings_go_before_variables() -> None:
    said = {**ENDPOINT, "OTEL_TRACES_SAMPLER_ARG": "0.5", "OTEL_METRICS_EXPORTER": "none"}
    own = plan(said, exporter="console", sample_ratio=0.25, prometheus="127.0.0.1:9000")
    assert own.traces == own.metrics == {"console"}
    assert (own.sample_ratio, own.prometheus) == (0.25, ("127.0.0.1", 9000))


@pytest.mark.parametrize(
    ("said", "ratio"),
    [
        ({}, DEFAULT_RATIO),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "always_off", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, 0.0),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.2"}, 0.2),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.2"}, 0.2),
    ],
)
def test_the_share_of_windows_may_come_from_the_standard_sampler(
    said: dict[str, str], ratio: float
) -> None:
    assert plan({**ENDPOINT, **said}).sample_ratio == ratio


def test_the_service_may_have_another_name() -> None:
    assert plan(service_name="grym-publish").service_name == "grym-publish"
    named = {**ENDPOINT, "OTEL_RESOURCE_ATTRIBUTES": "a=b, service.name = barn ,c=d"}
    assert plan(named).service_name == "barn"
    assert plan({**named, "OTEL_SERVICE_NAME": "yard"}).service_name == "yard"


def test_it_is_compressed_unless_variables_decide() -> None:
    assert plan(ENDPOINT).compressed
    assert not plan({**ENDPOINT, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}).compressed
    assert plan({**ENDPOINT, "OTEL_METRIC_EXPORT_INTERVAL": "2000"}).interval_ms == 2_000


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin: expected otlp, console"),
        ({"OTEL_TRACES_EXPORTER": "prometheus"}, "OTEL_TRACES_EXPORTER=prometheus: expected otlp"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "PROTOCOL=grpc: grym sends OTLP as"),
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json: grym sends",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"},
            "ENDPOINT=localhost:4317: expected",
        ),
        ({**ENDPOINT, "OTEL_TRACES_SAMPLER": "jaeger_remote"}, "expected one of traceidratio"),
        ({**ENDPOINT, "OTEL_TRACES_SAMPLER_ARG": "5 %"}, "SAMPLER_ARG=5 %: expected a number"),
        ({**ENDPOINT, "OTEL_TRACES_SAMPLER_ARG": "1.5"}, "a number from 0 to 1"),
        ({**ENDPOINT, "OTEL_METRIC_EXPORT_INTERVAL": "0"}, "expected a number from 100"),
        (
            {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "x"},
            "expected host:port",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_expected(
    said: dict[str, str], line: str
) -> None:
    with pytest.raises(TelemetryError, match=line) as refused:
        plan(said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (
            {"endpoint": "collector:4318"},
            "endpoint = 'collector:4318': expected the address",
        ),
        ({"endpoint": "http://c:4318", "prometheus": "9464"}, "telemetry.prometheus = '9464'"),
        ({"prometheus": "localhost:\u00b2"}, "expected host:port"),
        ({"prometheus": "localhost:70000"}, "expected host:port, such as 127.0.0.1:9464"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(asked: dict[str, str], line: str) -> None:
    with pytest.raises(TelemetryError, match=line):
        plan(**asked)
