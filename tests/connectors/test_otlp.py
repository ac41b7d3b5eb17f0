"""Setting up the SDK: what is kept, where it goes, and a shutdown that ends."""

import io
import json
import subprocess
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.util._once import Once

from connectors import otlp
from operators import tracing

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which no provider was set."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_off_sets_nothing_up(fresh: None) -> None:
    handle = otlp.start(exporter="off")
    assert not tracing.active()
    assert handle.close()


def test_console_writes_one_json_object_a_line_with_the_service(fresh: None) -> None:
    out = io.StringIO()
    handle = otlp.start(exporter="console", sample_ratio=1.0, service_name="grym-test", out=out)
    assert tracing.active()
    with tracing.stage("upsert patterns"):
        tracing.span_at("window", 1, 2)
    assert handle.close()
    first, second = lines(out)
    assert (first["name"], second["name"]) == ("window", "upsert patterns")
    assert first["resource"]["attributes"]["service.name"] == "grym-test"  # type: ignore[index]
    assert handle.close()  # again: nothing to do


def test_unsampled_windows_are_not_exported_but_errors_and_batches_are(fresh: None) -> None:
    out = io.StringIO()
    handle = otlp.start(exporter="console", sample_ratio=0.0, out=out)
    assert not tracing.is_sampled(tracing.span_at("window", 1, 2))
    tracing.span_at("window", 3, 4, error_type="model")
    tracing.live_span("batch logmel").end()
    handle.close()
    assert [line["name"] for line in lines(out)] == ["window", "batch logmel"]


def test_a_second_start_adds_its_exporter_to_the_provider_that_is_there(fresh: None) -> None:
    first, second = io.StringIO(), io.StringIO()
    handle = otlp.start(exporter="console", sample_ratio=1.0, out=first)
    provider = trace.get_tracer_provider()
    other = otlp.start(exporter="console", sample_ratio=0.0, out=second)
    assert trace.get_tracer_provider() is provider
    tracing.span_at("window", 1, 2)
    handle.close()
    other.close()
    assert len(lines(first)) == len(lines(second)) == 1


def test_closing_gives_up_on_an_exporter_that_hangs() -> None:
    never = threading.Event()
    handle = otlp.Tracing(lambda: never.wait(20) and None)
    assert handle.close(timeout_s=0.01) is False
    never.set()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"exporter": "carrier-pigeon"}, "exporter = 'carrier-pigeon': expected off or console"),
        ({"sample_ratio": 1.5}, r"sample_ratio = 1.5: expected within \[0, 1\]"),
    ],
)
def test_wrong_arguments_are_refused_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        otlp.start(**wrong)  # type: ignore[arg-type]  # the point of the test


def kept(sampler: otlp.HeadSampler, name: str, trace_id: int = 1, parent: str = "") -> bool:
    context = None
    if parent and (to := tracing.link(parent)):
        context = trace.set_span_in_context(trace.NonRecordingSpan(to.context))
    return sampler.should_sample(context, trace_id, name).decision is Decision.RECORD_AND_SAMPLE


def test_a_share_of_windows_is_kept_by_trace_id_alone() -> None:
    sampler = otlp.HeadSampler(0.25)
    chosen = [kept(sampler, "window", k << 56 | k) for k in range(256)]
    assert chosen == [kept(otlp.HeadSampler(0.25), "window", k << 56 | k) for k in range(256)]
    assert 0 < sum(chosen) < 256
    assert "0.25" in sampler.get_description()


def test_a_child_follows_its_parent_whatever_its_name() -> None:
    sampler = otlp.HeadSampler(0.0)
    assert kept(sampler, "window", parent=SAMPLED)
    assert not kept(otlp.HeadSampler(1.0), "batch m", parent=SAMPLED[:-1] + "0")


def test_live_spans_are_kept_up_to_a_rate() -> None:
    now = [10.0]
    sampler = otlp.HeadSampler(0.0, live_per_s=3, clock=lambda: now[0])
    assert [kept(sampler, "batch m") for _ in range(5)] == [True, True, True, False, False]
    now[0] = 11.0
    assert kept(sampler, "batch m")


def test_a_provider_of_an_embedding_application_keeps_its_sampler(
    fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", theirs)
    out = io.StringIO()
    handle = otlp.start(exporter="console", sample_ratio=0.0, out=out)
    assert trace.get_tracer_provider() is theirs
    tracing.span_at("window", 1, 2)
    handle.close()
    assert len(lines(out)) == 1


def test_a_process_writes_spans_to_stderr_only_and_ends_by_itself() -> None:
    program = (
        "from connectors import otlp; from operators import tracing\n"
        "handle = otlp.start(exporter='console', sample_ratio=1.0)\n"
        "tracing.span_at('window', 1, 2)\n"
        "print(handle.close())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n"
    assert [json.loads(line)["name"] for line in done.stderr.splitlines()] == ["window"]
