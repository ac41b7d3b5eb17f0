"""Spans by the names of the telemetry design, on the API; nothing without an SDK."""

import pickle

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from operators import tracing
from operators.inference import Inference
from operators.records import BreakerTransition, Window

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203332-00"


def window(traceparent: str = "", index: int = 0, opened_ns: int = 7_900_000_000) -> Window:
    samples = np.full(8, index, np.float32)
    return Window(
        stream="mic",
        index=index,
        start_ns=5,
        samples=samples,
        duration_s=1.0,
        onset=True,
        rms_db=-20.0,
        gate="open",
        delivered_ns=9_000_000_000,
        traceparent=traceparent,
        opened_ns=opened_ns,
    )


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)


def test_without_an_sdk_nothing_is_written_and_headers_stay_empty(off: None) -> None:
    assert not tracing.active()
    assert tracing.window_span(window()) == ""
    assert tracing.span_at("x", 1, 2) == ""
    assert tracing.live_span("x") is trace.INVALID_SPAN
    assert tracing.promote(window(), "model") == ""
    with tracing.stage("upsert a", traceparents=[SAMPLED]) as span:
        assert tracing.traceparent_of(span) == ""
    with tracing.current(tracing.live_span("x")) as span:
        tracing.mark_error(span, "model", "boom")
        tracing.mark_transition(span, BreakerTransition("m", "closed", "open", 0.0))


def test_a_provider_that_does_nothing_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    assert not tracing.active()


@pytest.mark.parametrize(
    ("opened_ns", "began_ns"),
    [(7_900_000_000, 7_900_000_000), (0, 8_000_000_000), (9_500_000_000, 9_000_000_000)],
    ids=["known", "heard-by-another-process", "clock-set-back"],
)
def test_a_window_lasts_from_the_delivery_of_its_first_sample_to_that_of_its_last(
    exported: InMemorySpanExporter, opened_ns: int, began_ns: int
) -> None:
    tracing.window_span(window(opened_ns=opened_ns))
    (span,) = exported.get_finished_spans()
    assert (span.start_time, span.end_time) == (began_ns, 9_000_000_000)


def test_the_span_of_a_window_says_where_its_audio_is(exported: InMemorySpanExporter) -> None:
    header = tracing.window_span(window())
    (span,) = exported.get_finished_spans()
    assert span.name == "window"
    assert span.parent is None
    assert dict(span.attributes or {}) == {
        "grym.stream": "mic",
        "grym.window.index": 0,
        "grym.window.event_time_ns": 5,
        "grym.window.gate": "open",
    }
    assert header == tracing.traceparent_of(trace.NonRecordingSpan(span.context))
    assert tracing.is_sampled(header)
    assert pickle.loads(pickle.dumps(header)) == header  # noqa: S301 - our own bytes


def test_a_remote_context_is_the_parent_of_a_window(exported: InMemorySpanExporter) -> None:
    tracing.window_span(window(), remote=SAMPLED)
    (span,) = exported.get_finished_spans()
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == SAMPLED[3:35]
    assert f"{span.parent.span_id:016x}" == SAMPLED[36:52]
    assert span.parent.is_remote


def test_a_batch_links_to_its_sampled_windows_and_is_a_root_even_inside_another_span(
    exported: InMemorySpanExporter,
) -> None:
    headers = [SAMPLED, UNSAMPLED, "", "rubbish", SAMPLED] + [SAMPLED] * 80
    with tracing.stage("outer"):
        span = tracing.live_span("batch m", traceparents=headers, attributes={"grym.batch.size": 5})
        span.end()
    batch = exported.get_finished_spans()[0]
    assert batch.name == "batch m"
    assert batch.parent is None
    assert len(batch.links) == tracing.MAX_LINKS
    assert f"{batch.links[0].context.span_id:016x}" == SAMPLED[36:52]


def test_a_stage_is_current_and_records_what_goes_wrong_in_it(
    exported: InMemorySpanExporter,
) -> None:
    seen: list[trace.Span] = []

    def work() -> None:
        with tracing.stage("upsert a") as span:
            seen.extend([span, trace.get_current_span()])
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        work()
    assert seen[0] is seen[1]
    (finished,) = exported.get_finished_spans()
    assert finished.status.status_code is trace.StatusCode.ERROR
    assert finished.events[0].name == "exception"
    assert (finished.attributes or {})["error.type"] == "ValueError"


def test_a_span_with_known_times_carries_its_error_and_links(
    exported: InMemorySpanExporter,
) -> None:
    tracing.span_at("m", 10, 30, parent=SAMPLED, linked=[SAMPLED], error_type="model")
    (span,) = exported.get_finished_spans()
    assert (span.start_time, span.end_time) == (10, 30)
    assert dict(span.attributes or {}) == {"error.type": "model"}
    assert span.status.status_code is trace.StatusCode.ERROR
    assert len(span.links) == 1


def test_a_failed_window_that_was_not_sampled_is_written_late(
    exported: InMemorySpanExporter,
) -> None:
    assert tracing.promote(window(SAMPLED), "model") == SAMPLED
    assert exported.get_finished_spans() == ()
    header = tracing.promote(window(UNSAMPLED), "model")
    (span,) = exported.get_finished_spans()
    assert span.name == "window"
    assert dict(span.attributes or {})["error.type"] == "model"
    assert tracing.is_sampled(header)


def test_what_the_sampler_drops_still_has_a_header_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
    header = tracing.window_span(window())
    assert header
    assert not tracing.is_sampled(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "rubbish",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ],
)
def test_an_unreadable_header_links_to_nothing(header: str) -> None:
    assert tracing.link(header) is None


def test_a_header_that_is_readable_makes_a_link_to_the_same_span() -> None:
    link = tracing.link(SAMPLED)
    assert link is not None
    assert tracing.traceparent_of(trace.NonRecordingSpan(link.context)) == SAMPLED


class Model:
    name = "double"
    space = "double-00000000-2"
    dimension = 2

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.spans: list[str] = []

    def embed(self, windows: np.ndarray, rate_hz: int | None = None) -> np.ndarray:
        self.spans.append(tracing.traceparent_of(trace.get_current_span()))
        if self.error:
            raise self.error
        return np.ones((len(windows), 2), np.float32)


class FakeClock:
    """Each look at it is a quarter of a second later."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def test_inference_writes_a_batch_span_around_the_call_and_one_for_each_sampled_window(
    exported: InMemorySpanExporter,
) -> None:
    model = Model()
    inference = Inference(model, utc=FakeClock())
    parent = tracing.window_span(window())
    inference.submit([window(parent), window(UNSAMPLED, 1)])
    sampled, unsampled = inference.drain(20)
    inference.close()
    spans = {span.name: span for span in exported.get_finished_spans()}
    batch, one = spans["batch double"], spans["double"]
    assert batch.parent is None
    assert model.spans[0] == tracing.traceparent_of(trace.NonRecordingSpan(batch.context))
    attributes = dict(batch.attributes or {})
    assert attributes["grym.model.name"] == "double"
    assert attributes["grym.breaker.state"] == "closed"
    assert attributes["grym.batch.size"] == 2
    assert [link.context.span_id for link in batch.links] == [spans["window"].context.span_id]
    assert one.parent is not None
    assert one.parent.span_id == spans["window"].context.span_id
    assert [link.context.span_id for link in one.links] == [batch.context.span_id]
    details = dict(one.attributes or {})
    assert details["grym.wait.duration"] > 0.0
    assert details["grym.compute.duration"] >= 0.0
    assert one.end_time - one.start_time == pytest.approx(
        1e9 * (details["grym.wait.duration"] + details["grym.compute.duration"]), abs=1e3
    )
    assert sampled.traceparent == tracing.traceparent_of(trace.NonRecordingSpan(one.context))
    assert unsampled.traceparent == UNSAMPLED


def test_a_failed_batch_says_so_on_its_span_and_promotes_its_windows(
    exported: InMemorySpanExporter,
) -> None:
    inference = Inference(Model(RuntimeError("boom")))
    inference.submit([window(UNSAMPLED)])
    failure, _ = inference.drain(20)
    inference.close()
    spans = {span.name: span for span in exported.get_finished_spans()}
    batch = spans["batch double"]
    assert dict(batch.attributes or {})["error.type"] == "model"
    assert batch.status.description == "RuntimeError: boom"
    assert dict(spans["window"].attributes or {})["error.type"] == "model"
    assert failure.traceparent == tracing.traceparent_of(trace.NonRecordingSpan(batch.context))


def test_a_breaker_that_opens_is_an_event_on_the_batch_that_opened_it(
    exported: InMemorySpanExporter,
) -> None:
    inference = Inference(Model(RuntimeError("boom")))
    for k in range(5):
        inference.submit([window(index=k)])
        inference.drain(20)
    inference.close()
    last = exported.get_finished_spans()[-1]
    (event,) = last.events
    details = dict(event.attributes or {})
    assert event.name == "breaker"
    assert details["grym.breaker.state"] == "open"
    assert details["grym.breaker.reason"] == "failure_rate"
    assert details["failure_rate"] == 1.0
