"""Setting up the SDK: where spans and metrics go, and a shutdown that ends."""

import io
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from typing import Any

import numpy as np
import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from connectors import otlp
from connectors.otlp import Plan, Running, TelemetryError, plan_of
from operators import metering, tracing
from operators.records import Window

WINDOW = Window("mic", 0, 5, np.zeros(0, np.float32), 1.0, False, -20.0, "open", 9_000_000_000)


def console(out: io.StringIO, ratio: float = 1.0, **more: Any) -> Running:
    plan = plan_of(exporter="console", sample_ratio=ratio, environ={}, **more)
    return otlp.start(plan, out)


def spans(out: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line for line in lines if "name" in line]


def test_off_sets_nothing_up_and_loads_no_sdk(fresh: None) -> None:
    handle = otlp.start(Plan())
    assert not tracing.active()
    assert handle.close()
    program = (
        "import sys; from connectors import otlp; otlp.start(otlp.plan_of(environ={}));"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_console_writes_one_json_object_a_line_with_the_service(fresh: None) -> None:
    out = io.StringIO()
    handle = console(out, service_name="grym-test")
    assert tracing.active()
    metering.watch({metering.PATTERNS: lambda: [(7, {})]})
    with tracing.stage("upsert patterns"):
        tracing.span_at("window", 1, 2)
    assert handle.close()
    first, second = spans(out)
    assert (first["name"], second["name"]) == ("window", "upsert patterns")
    resource = first["resource"]["attributes"]
    assert resource["service.name"] == "grym-test"
    assert {"service.version", "service.instance.id", "process.pid"} <= resource.keys()
    (collected,) = [line for line in out.getvalue().splitlines() if "resource_metrics" in line]
    assert '"grym.patterns"' in collected
    assert handle.close()  # again: nothing to do


def test_unsampled_windows_are_not_exported_but_errors_and_batches_are(fresh: None) -> None:
    out = io.StringIO()
    handle = console(out, 0.0)
    assert tracing.window_span(WINDOW) == ""
    assert tracing.is_sampled(tracing.promote(WINDOW, "model"))
    tracing.live_span("batch logmel").end()
    handle.close()
    assert [span["name"] for span in spans(out)] == ["window", "batch logmel"]


def test_a_second_start_adds_its_exporter_to_the_provider_that_is_there(fresh: None) -> None:
    first, second = io.StringIO(), io.StringIO()
    handle = console(first)
    provider = trace.get_tracer_provider()
    other = console(second, 0.0)
    assert trace.get_tracer_provider() is provider
    tracing.span_at("window", 1, 2)
    handle.close()
    other.close()
    assert len(spans(first)) == len(spans(second)) == 1


def test_providers_of_an_embedding_application_stay_in_force(
    fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = TracerProvider(shutdown_on_exit=False)
    meters = MeterProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", theirs)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", meters)
    out = io.StringIO()
    handle = console(out, 0.0)
    assert trace.get_tracer_provider() is theirs
    assert metrics.get_meter_provider() is meters
    tracing.span_at("window", 1, 2)
    handle.close()
    assert len(spans(out)) == 1


def test_prometheus_fetches_every_metric_under_its_name(fresh: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    handle = otlp.start(plan_of(prometheus=f"127.0.0.1:{port}", environ={}))
    metering.watch({metering.WINDOWS: lambda: [(3, {"outcome": "stored"})]})
    metering.record(metering.WINDOW_LATENCY, 0.2)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as page:
        text = page.read().decode()
    assert re.search(r'^grym_windows_total\{.*outcome="stored".*\} 3\.0$', text, re.MULTILINE)
    assert "grym_window_latency_seconds_bucket" in text
    assert 'service_name="grym-flow"' in text
    assert handle.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=20)


def test_an_address_that_is_taken_is_one_line_with_the_remedy(fresh: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TelemetryError, match=f"metrics cannot be served at {address} .*in use"):
            otlp.start(plan_of(prometheus=address, environ={}))


def test_what_only_the_sdk_refuses_is_one_line_too(
    fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096")
    plan = plan_of(exporter="console", environ={})
    with pytest.raises(TelemetryError, match="look at the OTEL_") as refused:
        otlp.start(plan, io.StringIO())
    assert "\n" not in str(refused.value)


def test_closing_gives_up_on_an_exporter_that_hangs_and_ends_the_others() -> None:
    never, ended = threading.Event(), threading.Event()
    handle = Running([lambda: never.wait(20), ended.set])
    assert handle.close(timeout_s=0.01) is False
    assert ended.wait(20)
    never.set()


def test_a_process_writes_spans_to_stderr_only_and_ends_by_itself() -> None:
    program = (
        "from connectors import otlp; from operators import tracing\n"
        "plan = otlp.Plan(traces=frozenset(['console']), sample_ratio=1.0)\n"
        "handle = otlp.start(plan)\n"
        "tracing.span_at('window', 1, 2)\n"
        "print(handle.close())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n"
    assert [json.loads(line)["name"] for line in done.stderr.splitlines()] == ["window"]
