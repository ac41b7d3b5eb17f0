"""What became of each window of a call, with its spans.

Invariant: every window of the call gets exactly one fate; whether one that failed is lost or goes
down the ladder is decided elsewhere, and so is what a person is told of it, once a call.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.trace import Span

from operators import tracing
from operators.breaker import State
from operators.inference import reports
from operators.inference.backlog import Waiting
from operators.inference.batch import Call, Rows
from operators.inference.interface import Embedder
from operators.records import Embedding, Failure, Floats
from operators.recovery import Diagnosis


@dataclass(frozen=True, slots=True)
class Fate:
    """What a call did for one window: an embedding, or the reason why there is none."""

    waiting: Waiting
    embedding: Embedding | None
    fault: str = ""


def too_large(call: Call, answer: Rows | Diagnosis) -> bool:
    """Whether memory ran out for a batch that can still be halved (its windows are not settled)."""
    ran_out = isinstance(answer, Diagnosis) and answer.error_class == "memory"
    return ran_out and len(call.taken) > 1


def trace_failure(call: Call, answer: Rows | Diagnosis, model: str) -> None:
    """Give a call a span after all, if it failed and had none: every error has a trace."""
    failed = isinstance(answer, Diagnosis) or any(answer.faults)
    if failed and call.span is tracing.INVALID_SPAN:
        call.span = batch_span(
            model, call.taken, call.permission.state, start_ns=call.started_ns, failed=True
        )


def batch_span(
    model: str,
    taken: Sequence[Waiting],
    state: State,
    *,
    start_ns: int | None = None,
    failed: bool = False,
) -> Span:
    """The span of a call of a model, linked to its sampled windows; from now on if unsaid."""
    return tracing.live_span(
        f"{tracing.BATCH} {model}",
        traceparents=(waiting.window.traceparent for waiting in taken),
        attributes={
            tracing.MODEL_NAME: model,
            tracing.BATCH_SIZE: len(taken),
            tracing.BREAKER_STATE: state,
        },
        start_ns=start_ns,
        failed=failed,
    )


def settle(call: Call, answer: Rows | Diagnosis, model: Embedder, *, took_s: float) -> list[Fate]:
    """The fates of a call's windows; none where they wait for another call or have another."""
    if call.probe or too_large(call, answer):
        return []
    batch = tracing.traceparent_of(call.span)
    if isinstance(answer, Diagnosis):
        for waiting in call.taken:
            _model_span(waiting, call, model.name, batch, took_s, answer.error_class)
        return [Fate(waiting, None, answer.error_class) for waiting in call.taken]
    fates: list[Fate] = []
    for waiting, vector, fault in zip(call.taken, answer.vectors, answer.faults, strict=True):
        own = _model_span(waiting, call, model.name, batch, took_s, fault)
        if fault:
            fates.append(Fate(waiting, None, fault))
        else:
            fates.append(Fate(waiting, _embedding(waiting, vector, model.space, own)))
    return fates


def refused(waiting: Waiting, model: str, reason: str, now_ns: int) -> None:
    """Trace a window that no model takes; one that failed on a model before was traced then.

    Args:
        waiting: the window.
        model: name of the first model of the ladder.
        reason: why it is dead.
        now_ns: epoch nanoseconds.
    """
    if waiting.entry.rung:
        return
    if not _without_model(waiting, model, reason, now_ns):
        tracing.promote(waiting.window, reason)


def shed(waiting: Waiting, model: str, now_ns: int) -> None:
    """Say in the trace of a sampled window that it was shed; the others are only counted."""
    _without_model(waiting, model, "queue_full", now_ns)


def _without_model(waiting: Waiting, model: str, reason: str, now_ns: int) -> bool:
    """End the trace of a window that was never called with; whether it is sampled."""
    parent = waiting.window.traceparent
    if not tracing.is_sampled(parent):
        return False
    tracing.span_at(model, waiting.entry.since_ns, now_ns, parent=parent, error_type=reason)
    return True


def report(call: Call, answer: Rows | Diagnosis, model: str, heir: str) -> Failure | None:
    """What to say of a call: None where every window got its vector.

    Args:
        call: that returned, or is past its deadline.
        answer: what the model returned.
        model: its name.
        heir: name of the model that is asked next; "" where there is none.
    """
    header = tracing.traceparent_of(call.span)
    if isinstance(answer, Diagnosis):
        return reports.failed_batch(model, call.windows, answer, header, heir)
    faults = Counter(fault for fault in answer.faults if fault)
    if not faults:
        return None
    first = next(k for k, fault in enumerate(answer.faults) if fault)
    window = call.taken[first].window
    return reports.bad_rows(model, window, faults, len(call.taken), header, heir)


def _embedding(waiting: Waiting, vector: Floats, space: str, traceparent: str) -> Embedding:
    window = waiting.window
    return Embedding(
        stream=window.stream,
        index=window.index,
        start_ns=window.start_ns,
        duration_s=window.duration_s,
        onset=window.onset,
        rms_db=window.rms_db,
        space=space,
        vector=vector,
        delivered_ns=window.delivered_ns,
        traceparent=traceparent,
    )


def _model_span(
    waiting: Waiting, call: Call, model: str, batch: str, took_s: float, fault: str
) -> str:
    """The span of one window in the model, from submission to answer; its header.

    Only of a window that is sampled, or that failed on the first model asked: once a window,
    however many it fails on.
    """
    window, entry = waiting.window, waiting.entry
    parent = window.traceparent
    if fault and not entry.rung:
        parent = tracing.promote(window, fault, batch)
    if not tracing.is_sampled(parent):
        return parent
    header = tracing.span_at(
        model,
        entry.since_ns,
        call.started_ns + round(took_s * 1e9),
        parent=parent,
        linked=(batch,),
        attributes={
            tracing.WAIT_S: (call.started_ns - entry.since_ns) / 1e9,
            tracing.COMPUTE_S: took_s,
        },
        error_type=fault,
    )
    return header or parent
