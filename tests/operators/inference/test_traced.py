"""What the traces of windows say when something is wrong."""

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from operators import tracing
from operators.breaker import BreakerConfig
from operators.inference import InferenceConfig
from operators.sampling import Sampling

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def errors(exported: InMemorySpanExporter) -> list[tuple[str, object]]:
    return [
        (span.name, (span.attributes or {})["error.type"])
        for span in exported.get_finished_spans()
        if not span.status.is_ok and "error.type" in (span.attributes or {})
    ]


def spans(exported: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exported.get_finished_spans() if span.name == name]


@pytest.mark.parametrize("traceparent", ["", SAMPLED], ids=["promoted", "sampled"])
def test_a_call_that_comes_back_late_is_traced_once(
    lane, named, held, clock, window, exported: InMemorySpanExporter, traceparent: str
) -> None:
    hold = held(0)
    first = named("first", script=hold)
    inference = lane(first, InferenceConfig(), utc=clock, clock=clock)
    inference.submit([window(0, traceparent=traceparent)])
    hold.wait_until_in(0)
    clock.now += 30.1
    inference.all()
    told = errors(exported)
    assert ("first", "timeout") in told
    assert ("window", "timeout") in told or traceparent
    assert len(spans(exported, "batch first")) == 1
    hold.let_go()
    first.threads[0].join(20)
    assert not first.threads[0].is_alive()
    assert errors(exported) == told


def test_windows_that_no_model_takes_are_traced_although_none_is_sampled(
    lane, named, clock, window, exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_sampling", Sampling(0.0, live_per_s=0))
    breaker = BreakerConfig(minimum_number_of_calls=1)
    inference = lane(named("first", fails={0}), InferenceConfig(breaker=breaker), utc=clock)
    inference.submit([window(0)])
    inference.all()
    inference.submit([window(1)])
    inference.all()
    assert [kind for name, kind in errors(exported) if name == "window"] == [
        "model",
        "breaker_open",
    ]
    (batch,) = spans(exported, "batch first")  # given after all, because it failed
    (failed, _) = spans(exported, "window")
    assert [link.context.span_id for link in failed.links] == [batch.context.span_id]


def test_what_a_shutdown_leaves_is_traced_as_dead(
    lane, named, held, clock, window, exported: InMemorySpanExporter
) -> None:
    hold = held(0)
    inference = lane(named("first", script=hold), InferenceConfig(max_batch=1), utc=clock)
    inference.submit([window(0), window(1)])
    hold.wait_until_in(0)
    inference.close()
    assert errors(exported) == [("window", "shutdown")] * 2
    hold.let_go()


def test_a_sampled_window_that_was_shed_says_so(
    lane, named, held, clock, window, exported: InMemorySpanExporter
) -> None:
    hold = held(0)
    inference = lane(
        named("first", script=hold),
        InferenceConfig(capacity=1, max_batch=1),
        utc=clock,
        is_live=lambda _: True,
    )
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(1, traceparent=SAMPLED), window(2)])
    assert errors(exported) == [("first", "queue_full")]
    hold.let_go()
