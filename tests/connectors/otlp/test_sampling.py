"""Which spans are kept."""

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanKind

from connectors.otlp.sampling import HeadSampler
from operators import tracing

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def kept(
    sampler: HeadSampler,
    name: str,
    trace_id: int = 1,
    *,
    parent: str = "",
    linked: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
    error: str = "",
) -> bool:
    decided = sampler.should_sample(
        tracing.context_of(parent),
        trace_id,
        name,
        kind,
        {tracing.ERROR_TYPE: error} if error else {},
        tracing.links([linked]),
    )
    return decided.decision is Decision.RECORD_AND_SAMPLE


def test_a_share_of_windows_is_kept_by_trace_id_alone() -> None:
    sampler = HeadSampler(0.25)
    chosen = [kept(sampler, "window", k << 56 | k) for k in range(256)]
    assert chosen == [kept(HeadSampler(0.25), "window", k << 56 | k) for k in range(256)]
    assert 0 < sum(chosen) < 256
    assert "0.25" in sampler.get_description()


def test_of_the_messages_sent_the_same_share_is_kept() -> None:
    sampler = HeadSampler(0.25)
    windows = [kept(sampler, "window", k << 56 | k) for k in range(256)]
    sent = [kept(sampler, "send audio", k << 56 | k, kind=SpanKind.PRODUCER) for k in range(256)]
    assert sent == windows


def test_a_child_follows_its_parent_whatever_its_name() -> None:
    assert kept(HeadSampler(0.0), "window", parent=SAMPLED)
    assert not kept(HeadSampler(1.0), "batch m", parent=SAMPLED[:-1] + "0")
    assert not kept(HeadSampler(1.0), "m", parent=SAMPLED[:-1] + "0", error="timeout")


def test_what_works_on_a_kept_window_is_kept_with_it_beyond_the_rate() -> None:
    sampler = HeadSampler(0.0, live_per_s=1, clock=lambda: 1.0)
    assert [kept(sampler, "batch m", linked=SAMPLED) for _ in range(5)] == [True] * 5
    assert [kept(sampler, "batch m") for _ in range(3)] == [True, False, False]


def test_live_spans_are_kept_up_to_a_rate() -> None:
    now = [10.0]
    sampler = HeadSampler(0.0, live_per_s=3, clock=lambda: now[0])
    assert [kept(sampler, "batch m") for _ in range(5)] == [True, True, True, False, False]
    now[0] = 11.0
    assert kept(sampler, "batch m")


def test_errors_are_kept_whatever_the_share_up_to_a_rate_of_their_own() -> None:
    sampler = HeadSampler(0.0, live_per_s=0, errors_per_s=2, clock=lambda: 1.0)
    failed = [kept(sampler, "window", error="model") for _ in range(4)]
    assert failed == [True, True, False, False]


def test_without_a_context_a_span_is_a_root() -> None:
    decided = HeadSampler(1.0).should_sample(None, 1, "window")
    assert decided.decision is Decision.RECORD_AND_SAMPLE
    assert trace.get_current_span().get_span_context().is_valid is False
