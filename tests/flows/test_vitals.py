"""How a run is doing: one source of figures for the live view and for metrics."""

import threading
from pathlib import Path

import pytest

from connectors.events import Event
from flows.run import Request, run
from flows.settings import load
from operators import metering
from operators.vitals import Vitals
from tests.flows.conftest import OnDisk


class Nobody:
    def __call__(self, item: object) -> None:
        """Nobody looks."""

    def event(self, event: Event) -> None:
        """Nobody looks."""


@pytest.fixture
def watched(on_disk: OnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run to its end: what its figures were then, what metrics would be told, and its summary."""
    asked = []
    readings = {}
    monkeypatch.setattr(metering, "watch", readings.update)
    settings = load(
        flags={"store": {"uri": str(tmp_path / "a.db")}, "listen": {"models": ["logmel"]}}
    )
    request = Request([f"yard={on_disk.wav}"], watch=asked.append)
    outcome = run(settings, request, Nobody(), lambda _line: None, threading.Event())
    return asked[0](), {metric.name: list(read()) for metric, read in readings.items()}, outcome


def test_figures_and_metrics_say_what_the_summary_says(watched) -> None:
    vitals, told, outcome = watched
    summary = outcome.summary
    assert isinstance(vitals, Vitals)
    (source,) = vitals.sources
    assert (source.name, source.streams, source.done) == ("yard", 1, True)
    assert source.position_s == pytest.approx(summary["audio_s"], abs=1e-3)
    assert source.level_db is not None
    assert -100.0 < source.level_db < 0.0
    (lane,) = vitals.lanes
    assert (lane.name, lane.serving) == ("logmel", "logmel")
    assert [rung.breaker for rung in lane.rungs] == ["closed"]
    outcomes = {name: summary[name] for name in ("stored", "silent", "gated", "shed", "dead")}
    assert dict(vitals.outcomes) == outcomes
    assert (vitals.windows, vitals.occurrences) == (summary["windows"], summary["occurrences"])
    assert (vitals.patterns, vitals.relations) == (summary["patterns"], summary["relations"])
    assert (vitals.pending, vitals.waiting_regions) == (0, 0)
    assert vitals.latency_p95_ms == summary["latency_ms"]["p95"]
    assert vitals.rss_mb > 50
    assert told["grym.windows"] == [(outcomes[name], {"outcome": name}) for name in outcomes]
    gone = sum(n for n, labels in told["grym.revisions"] if labels["kind"] != "added")
    assert [labels["kind"] for _, labels in told["grym.revisions"]] == [
        *("added", "moved", "withdrawn")
    ]
    assert told["grym.pattern.matches"] == [(vitals.occurrences + gone, {})]
    assert told["grym.audio.heard"] == [(vitals.audio_s, {})]
    assert told["grym.breaker.state"] == [
        (int(state == "closed"), {"model": "logmel", "state": state})
        for state in ("closed", "open", "half_open")
    ]
    assert {labels["queue"] for _, labels in told["grym.queue.depth"]} == {
        *("logmel", "patterns", "spool")
    }
    assert told["grym.sources"] == [(1, {"state": "ended"})]
    assert told["grym.source.lag"] == []


def test_every_counter_and_gauge_is_read_off_the_run_with_the_labels_it_has(watched) -> None:
    _, told, _ = watched
    observed = {metric.name for metric in metering.METRICS if metric.kind != "histogram"}
    assert set(told) == observed
    for metric in metering.METRICS:
        for value, labels in told.get(metric.name, ()):
            assert set(labels) == set(metric.labels)
            assert type(value) in (int, float)  # a truth value cannot be exported
