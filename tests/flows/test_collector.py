"""A collector that is down, takes everything and says nothing, or refuses: the flow goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.conftest import OnDisk
from tests.plugins.brokers import free_port
from tests.plugins.collector import Collector
from tests.plugins.unmeasured import unmeasured

GRYM = "from flows.cli import main; main()"
LINES_SAID = 6


@pytest.mark.parametrize("how", ["refused", "black-hole", "503"])
def test_a_collector_that_does_not_take_it_costs_no_window_and_holds_nothing_up(
    collector: Collector, on_disk: OnDisk, tmp_path: Path, how: str
) -> None:
    url = collector.url
    if how == "refused":
        url = f"http://127.0.0.1:{free_port()}"
    elif how == "black-hole":
        collector.answering.clear()
    else:
        collector.status = 503
    done = subprocess.run(
        [sys.executable, "-c", GRYM, "listen", on_disk.wav, "--store", tmp_path / "a.db", "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        env={
            **unmeasured(),
            "GRYM_LISTEN__MODELS": '["logmel"]',
            "GRYM_TELEMETRY__SAMPLE_RATIO": "1.0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
        },
    )
    summary = json.loads(done.stdout.splitlines()[-1])
    outcomes = ("stored", "silent", "gated", "shed", "dead")
    assert summary["windows"] == sum(summary[outcome] for outcome in outcomes)
    assert summary["stored"] > 100
    assert (summary["dead"], summary["shed"]) == (0, 0)
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if "opentelemetry" in line]
    assert len(said) <= LINES_SAID * 4  # a handful of each kind, however often it was tried
    if how == "503":
        assert collector.refused
        assert said


def test_an_option_that_cannot_be_meant_is_one_line_before_anything_is_opened(
    on_disk: OnDisk, tmp_path: Path, grym, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    ran = grym("listen", on_disk.wav, "--store", tmp_path / "a.db")
    assert ran.status == 2
    assert ran.err.startswith("grym: OTEL_EXPORTER_OTLP_PROTOCOL=grpc: grym sends OTLP as")
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "a.db").exists()
