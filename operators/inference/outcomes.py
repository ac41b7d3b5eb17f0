"""What became of each window of a call, with its spans.

Invariant: every window of the call gets exactly one fate; whether one that failed is lost or goes
down the ladder is decided elsewhere, and so is what a person is told of it, once a call.
"""

from collections import Counter
from dataclasses import dataclass

from operators import tracing
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


def settle(call: Call, answer: Rows | Diagnosis, model: Embedder, *, took_s: float) -> list[Fate]:
    """The fates of a call's windows; none where they wait for another call or have another."""
    if call.probe or too_large(call, answer):
        return []
    if isinstance(answer, Diagnosis):
        return [_failed(waiting, answer.error_class) for waiting in call.taken]
    header = tracing.traceparent_of(call.span)
    fates: list[Fate] = []
    for waiting, vector, fault in zip(call.taken, answer.vectors, answer.faults, strict=True):
        if fault:
            fates.append(_failed(waiting, fault))
        else:
            own = _window_span(waiting, call, model.name, header, took_s)
            fates.append(Fate(waiting, _embedding(waiting, vector, model.space, own)))
    return fates


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


def _failed(waiting: Waiting, fault: str) -> Fate:
    if not waiting.entry.rung:  # once a window, however many rungs it fails on
        tracing.promote(waiting.window, fault)
    return Fate(waiting, None, fault)


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


def _window_span(waiting: Waiting, call: Call, model: str, batch_header: str, took_s: float) -> str:
    """The span of one sampled window in the model, from submission to answer."""
    window = waiting.window
    if not tracing.is_sampled(window.traceparent):
        return window.traceparent
    since_ns = waiting.entry.since_ns
    header = tracing.span_at(
        model,
        since_ns,
        call.started_ns + round(took_s * 1e9),
        parent=window.traceparent,
        linked=(batch_header,),
        attributes={
            tracing.WAIT_S: (call.started_ns - since_ns) / 1e9,
            tracing.COMPUTE_S: took_s,
        },
    )
    return header or window.traceparent
