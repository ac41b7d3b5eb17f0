"""What a person is told when windows could not be embedded: one line each, with the remedy."""

from collections import Counter
from collections.abc import Sequence

from operators.records import Failure, Window, to_s
from operators.recovery import Diagnosis, remedy_for

STAGE = "infer"


def _failure(at: Window, reason: str, detail: str, remedy: str, traceparent: str = "") -> Failure:
    return Failure(
        at.stream, STAGE, reason, detail, remedy, to_s(at.index), traceparent=traceparent
    )


def counted(windows: int) -> str:
    """A number of windows in words a person would write."""
    return f"{windows} window" if windows == 1 else f"{windows} windows"


def _handed_on(heir: str) -> str:
    return f"; {heir} takes over" if heir else ""


def failed_batch(
    model: str, windows: Sequence[Window], diagnosis: Diagnosis, traceparent: str, heir: str = ""
) -> Failure:
    """A call of the model failed with all its windows; placed at the first of them.

    ``heir`` is the model that is asked instead, "" where there is none.
    """
    detail = f"{model}: a batch of {counted(len(windows))} failed: {diagnosis.detail}"
    detail += _handed_on(heir)
    return _failure(windows[0], diagnosis.error_class, detail, diagnosis.remedy, traceparent)


def bad_rows(
    model: str, first: Window, faults: Counter[str], batch: int, traceparent: str, heir: str = ""
) -> Failure:
    """The model answered, but some rows are no vectors; placed at the first such window."""
    kinds = ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
    detail = f"{model}: {faults.total()} of {counted(batch)} got no usable vector: {kinds}"
    detail += _handed_on(heir)
    return _failure(first, "validation", detail, remedy_for("validation"), traceparent)


def breaker_open(
    models: Sequence[str], first: Window, wait_s: float, last: Diagnosis | None
) -> Failure:
    """Windows of a stream are refused while no breaker is closed; said once an opening."""
    why = f"; last: {last.detail}" if last is not None else ""
    remedy = f"it is tried again in {wait_s:.0f} s"
    if last is not None:
        remedy = f"{remedy}; {last.remedy}"
    state = "breaker open, it keeps failing" if len(models) == 1 else "every breaker is open"
    return _failure(first, "breaker_open", f"{' > '.join(models)}: {state}{why}", remedy)


def restart_needed(model: str, at: Window, abandoned: int, deadline_s: float) -> Failure:
    """Too many calls hang: the process cannot embed any more with this model."""
    detail = f"{model}: {abandoned} calls hang past their deadline of {deadline_s:g} s"
    remedy = "restart grym; if it recurs, choose another model or check its device"
    return _failure(at, "restart_needed", detail, remedy)


def late(deadline_s: float) -> Diagnosis:
    """The diagnosis of a call that went past its deadline."""
    detail = f"no answer within the deadline of {deadline_s:g} s"
    return Diagnosis("timeout", "warning", True, detail, remedy_for("timeout"))


def unusable(windows: int) -> Diagnosis:
    """The diagnosis of a call that returned, with no row that is a vector."""
    detail = f"no usable vector in a batch of {counted(windows)}"
    return Diagnosis("validation", "error", False, detail, remedy_for("validation"))
