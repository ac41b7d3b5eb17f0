"""What becomes of each window of a call, with its spans.

Invariant: every window of the call gets exactly one embedding or one verdict; a failure stands in
front of the first window it concerns, once a call.
"""

from collections import Counter
from typing import TypeAlias

from operators import tracing
from operators.inference import reports
from operators.inference.backlog import Entry, Waiting, verdict
from operators.inference.batch import Call, Rows
from operators.inference.interface import Embedder, Result
from operators.records import Embedding, Floats
from operators.recovery import Diagnosis

Settled: TypeAlias = list[tuple[Entry, tuple[Result, ...]]]


def too_large(call: Call, answer: Rows | Diagnosis) -> bool:
    """Whether memory ran out for a batch that can still be halved (its windows are not settled)."""
    ran_out = isinstance(answer, Diagnosis) and answer.error_class == "memory"
    return ran_out and len(call.taken) > 1


def settle(call: Call, answer: Rows | Diagnosis, model: Embedder, *, took_s: float) -> Settled:
    """What becomes of the windows of a call that returned."""
    if too_large(call, answer):
        return []
    if isinstance(answer, Diagnosis):
        return failed(call, answer, model)
    return embedded(call, answer, model, took_s=took_s)


def embedded(call: Call, rows: Rows, model: Embedder, *, took_s: float) -> Settled:
    """Embeddings for the good rows of an answer, verdicts for the others."""
    faults = Counter(fault for fault in rows.faults if fault)
    batch_header = tracing.traceparent_of(call.span)
    settled: Settled = []
    told = False
    for waiting, vector, fault in zip(call.taken, rows.vectors, rows.faults, strict=True):
        results: tuple[Result, ...]
        if not fault:
            header = _window_span(waiting, call, model.name, batch_header, took_s)
            results = (_embedding(waiting, vector, model.space, header),)
        else:
            window = waiting.window
            tracing.promote(window, fault)
            results = (verdict(window, model.space, "dead", fault),)
            if not told:
                count = len(call.taken)
                report = reports.bad_rows(model.name, window, faults, count, batch_header)
                results, told = (report, *results), True
        settled.append((waiting.entry, results))
    return settled


def failed(call: Call, diagnosis: Diagnosis, model: Embedder) -> Settled:
    """Every window of the call is dead, for one reason that is told once."""
    header = tracing.traceparent_of(call.span)
    report = reports.failed_batch(model.name, call.windows, diagnosis, header)
    settled: Settled = []
    for waiting in call.taken:
        tracing.promote(waiting.window, diagnosis.error_class)
        dead = verdict(waiting.window, model.space, "dead", diagnosis.error_class)
        settled.append((waiting.entry, (dead,) if settled else (report, dead)))
    return settled


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
