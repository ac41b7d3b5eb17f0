"""One window, followed from the process that sent it to the store, by what a collector receives."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from operators import tracing
from operators.records import ANALYSIS_RATE_HZ
from tests.flows.conftest import OnDisk
from tests.plugins.collector import Collector, Span, running
from tests.plugins.jaeger import RULES, Rule
from tests.plugins.unmeasured import unmeasured

GRYM = "import sys; from flows.cli import main; main()"
SLOW_S = 0.05
SLOW = (
    "import time; from operators.models.logmel import Logmel as L; L._embed = L.embed; "
    f"L.embed = lambda s, w, rate_hz: (time.sleep({SLOW_S}), s._embed(w, rate_hz))[1]; "
)
BROKEN = (
    "from operators.models.logmel import Logmel as L; L._embed = L.embed; calls = []; "
    "exec('def broken(): raise RuntimeError(\"device is away\")'); "
    "L.embed = lambda s, w, rate_hz: "
    "calls.append(1) or (s._embed(w, rate_hz) if len(calls) == 1 else broken()); "
)
"""A model that is well when it is tried before it listens, and fails from then on."""


def start(
    collector: Collector, *arguments: object, before: str = "", ratio: float = 1.0, **env: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", before + GRYM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **unmeasured(),
            "OMP_NUM_THREADS": "1",
            "GRYM_LISTEN__MODELS": '["logmel"]',
            "GRYM_TELEMETRY__SAMPLE_RATIO": str(ratio),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            **env,
        },
    )


def ended(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, err = process.communicate(timeout=120)
    assert (process.returncode, [line for line in err.splitlines() if "ERROR" in line]) == (0, [])
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, on_disk: OnDisk) -> Path:
    path = tmp_path_factory.mktemp("recording") / "yard.wav"
    samples, rate_hz = soundfile.read(on_disk.wav, frames=40 * ANALYSIS_RATE_HZ)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def followed(
    tmp_path_factory: pytest.TempPathFactory, tansu: str, recording: Path
) -> "Iterable[tuple[Collector, list[dict[str, Any]], Path]]":
    """A stream that one process publishes and another one hears, every window sampled."""
    folder = tmp_path_factory.mktemp("followed")
    with running() as collector:
        topic = f"kafka://{tansu}/traced-{os.getpid()}"
        sent = start(collector, "publish", f"yard={recording}", "--to", topic, "--json")
        ended(sent)
        store = folder / "a.db"
        heard = start(collector, "listen", f"{topic}?from=earliest", "--store", store, "--json")
        events = []
        assert heard.stdout is not None
        for line in heard.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "source" and events[-1]["state"] == "ended":
                break
        heard.send_signal(signal.SIGINT)
        events += ended(heard)
        yield collector, events, store


def by_id(spans: Iterable[Span]) -> dict[tuple[str, str], Span]:
    return {span.id: span for span in spans}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_jaeger_shows_what_is_exported(followed, rule: Rule) -> None:
    collector, _, _ = followed
    assert list(rule(collector.spans)) == []


def test_every_sampled_window_has_one_connected_trace_across_two_processes(followed) -> None:
    collector, events, _ = followed
    spans = by_id(collector.spans)
    windows = collector.named("window")
    assert len(windows) == events[-1]["windows"]
    for window in windows:
        (parent,) = [spans[window.trace_id, window.parent_id]]
        assert parent.name.startswith("send ")
        assert (parent.service, window.service) == ("grym-publish", "grym-flow")
        assert parent.parent_id == ""
    for span in collector.spans:
        if span.parent_id:
            assert (span.trace_id, span.parent_id) in spans, f"{span.name} is an orphan"
        for linked in span.links:
            assert linked in spans, f"a link of {span.name} leads nowhere"


def test_a_window_shows_its_model_its_batch_and_its_way_into_the_store(followed) -> None:
    collector, events, _ = followed
    spans = by_id(collector.spans)
    modelled = collector.named("logmel")
    assert len(modelled) == events[-1]["stored"]
    stored = {(span.trace_id, span.parent_id): span for span in collector.named("store")}
    for model in modelled:
        (batch,) = [spans[linked] for linked in model.links]
        assert batch.name == "batch logmel"
        assert (model.trace_id, model.parent_id) in batch.links  # both ways
        own = stored[model.id]
        (upsert,) = [spans[linked] for linked in own.links]
        assert upsert.name.startswith("upsert windows_logmel")
        assert model.id in upsert.links
        assert model.start_ns <= own.start_ns <= own.end_ns == upsert.end_ns
    patterns = collector.named("pattern")
    assert patterns
    assert all(spans[span.trace_id, span.parent_id].name == "window" for span in patterns)
    assert {linked for span in patterns for linked in span.links} <= {
        window.id for window in collector.named("window")
    }


def test_a_poll_is_linked_to_the_messages_that_it_fetched(followed) -> None:
    collector, _, _ = followed
    spans = by_id(collector.spans)
    polls = collector.named("poll ")
    fetched = Counter(linked for poll in polls for linked in poll.links)
    assert polls
    assert {spans[linked].name.partition(" ")[0] for linked in fetched} == {"send"}
    assert set(fetched.values()) == {1}


def test_the_latency_of_windows_is_what_their_spans_add_up_to(followed) -> None:
    collector, events, _ = followed
    windows = {window.trace_id: {} for window in collector.named("window")}
    for window in collector.named("window"):
        windows[window.trace_id][window.span_id] = window
    summed_s, count = 0.0, 0
    models = by_id(collector.named("logmel"))
    for own in collector.named("store"):
        model = models.get((own.trace_id, own.parent_id))
        if model is not None:
            window = windows[model.trace_id][model.parent_id]
            summed_s += (own.end_ns - window.end_ns) / 1e9
            count += 1
    (point,) = collector.latest("grym.window.latency").histogram.data_points
    assert count == point.count == events[-1]["stored"]
    assert summed_s == pytest.approx(point.sum, rel=1e-6)
    exemplars = {(each.trace_id.hex(), each.span_id.hex()) for each in point.exemplars}
    assert exemplars
    assert exemplars <= models.keys()


def test_metrics_say_what_the_summary_says(followed) -> None:
    collector, events, _ = followed
    summary = events[-1]
    verdicts = {outcome: summary[outcome] for (outcome,) in collector.values("grym.windows")}
    assert collector.values("grym.windows") == {(k,): v for k, v in verdicts.items()}
    revised = collector.values("grym.revisions")
    gone = revised["moved",] + revised["withdrawn",]
    assert collector.values("grym.pattern.matches") == {(): summary["occurrences"] + gone}
    assert collector.values("grym.patterns") == {(): summary["patterns"]}
    assert collector.values("grym.audio.heard")[()] == pytest.approx(summary["audio_s"], abs=1e-3)
    assert collector.values("grym.breaker.state")["logmel", "closed"] == 1
    assert set(collector.encodings) == {"gzip"}
    resource, _ = collector.metrics[-1]
    assert resource["service.name"] == "grym-flow"
    assert {"service.version", "service.instance.id", "host.name"} <= resource.keys()


def test_a_row_leads_to_its_trace(followed, grym) -> None:
    collector, events, store = followed
    found = grym("occurrences", "--store", store, "--json")
    rows = [json.loads(line) for line in found.out.splitlines()]
    traced = {row["trace_id"] for row in rows if "trace_id" in row}
    assert traced
    assert traced <= {span.trace_id for span in collector.named("pattern")}
    told = [event for event in events if event["event"] == "occurrence"]
    assert told
    assert traced <= {event.get("trace_id") for event in told}


def test_a_model_that_takes_a_while_shows_it(collector: Collector, recording, tmp_path) -> None:
    process = start(
        collector, "listen", recording, "--store", tmp_path / "a.db", "--json", before=SLOW
    )
    ended(process)
    batches, modelled = collector.named("batch"), collector.named("logmel")
    assert batches
    assert all(batch.duration_s >= SLOW_S for batch in batches)
    assert all(model.attributes[tracing.COMPUTE_S] >= SLOW_S for model in modelled)
    for model in modelled:
        waited_s = model.attributes[tracing.WAIT_S]
        assert model.duration_s == pytest.approx(
            waited_s + model.attributes[tracing.COMPUTE_S], abs=1e-3
        )
    (point,) = [
        point
        for point in collector.latest("grym.stage.duration").histogram.data_points
        if any(each.value.string_value == "infer" for each in point.attributes)
    ]
    assert point.sum >= SLOW_S * point.count


def test_a_failing_model_is_traced_although_nothing_is_sampled(
    collector: Collector, on_disk: OnDisk, tmp_path: Path
) -> None:
    process = start(
        collector,
        *("listen", on_disk.wav, "--store", tmp_path / "a.db", "--json"),
        before=BROKEN,
        ratio=0.0,
        GRYM_LOG="info",
        GRYM_LOG_FORMAT="json",
        GRYM_BREAKER__WAIT_DURATION_IN_OPEN_S="100000",
        GRYM_BREAKER__WAIT_CAP_S="100000",
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    spans = by_id(collector.spans)
    assert [(rule.__name__, *rule(collector.spans)) for rule in RULES] == [
        (rule.__name__,) for rule in RULES
    ]
    failed = [span for span in collector.named("window") if span.failed]
    assert failed
    assert {span.attributes["error.type"] for span in failed} == {"model", "breaker_open"}
    assert {span.parent_id for span in failed} == {""}
    broken = [span for span in failed if span.attributes["error.type"] == "model"]
    for window in broken:
        (batch,) = [spans[linked] for linked in window.links]
        assert (batch.name, batch.failed) == ("batch logmel", True)
        (model,) = [each for each in collector.named("logmel") if each.parent_id == window.span_id]
        assert model.failed
    opened = [span for span in collector.named("batch") if span.events]
    assert [event["grym.breaker.state"] for span in opened for name, event in span.events] == [
        "open"
    ]
    assert collector.values("grym.breaker.transitions") == {("logmel", "open"): 1}
    assert collector.values("grym.breaker.state")["logmel", "open"] == 1
    summary = json.loads(out.splitlines()[-1])
    rejected = summary["reasons"]["dead: breaker_open"]
    assert collector.values("grym.breaker.rejected") == {(): rejected}
    lines = [json.loads(line) for line in err.splitlines()]
    (said,) = [line for line in lines if line.get("event") == "breaker"]
    assert said["level"] == "warning"
    told = [line for line in lines if line.get("reason") == "model"]
    assert {line["trace_id"] for line in told} <= {span.trace_id for span in opened} | {
        span.trace_id for span in collector.named("batch") if span.failed
    }
