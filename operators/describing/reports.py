"""What a person is told of the slow lane: losses by kind, at most one line an hour for each.

Invariant: nothing is lost without a count; what was counted since the last line is in the next.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from operators.describing.exemplar import Exemplar, Stage
from operators.records import Failure, Occurrence
from operators.recovery import Diagnosis
from operators.remarks import Description

Loss: TypeAlias = Literal["queue_full", "too_late", "streams", "shutdown"]

STAGE = "describe"
_LOSSES: dict[Loss, tuple[str, str]] = {
    "queue_full": (
        "exemplars of patterns dropped for newer ones while they waited",
        "they are described when they are heard again; choose a lighter model if it goes on",
    ),
    "too_late": (
        "exemplars of patterns missed, because the audio kept did not reach back to them",
        "they are described when they are heard again; raise describe.keep_s if it goes on",
    ),
    "streams": (
        "streams whose audio was let go, so that no exemplar can be cut from it",
        "listen to fewer streams in this process",
    ),
    "shutdown": (
        "exemplars of patterns that still waited when listening ended",
        "they are described when they are heard again",
    ),
}


@dataclass(slots=True)
class _Tally:
    total: int = 0
    untold: int = 0
    told_s: float | None = None
    stream: str = ""
    start_s: float = 0.0


class Losses:
    """Counts by kind, and the lines about them."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._tallies: dict[Loss, _Tally] = {}

    @property
    def totals(self) -> dict[str, int]:
        """Losses so far, by kind."""
        return {kind: tally.total for kind, tally in self._tallies.items()}

    def add(self, kind: Loss, stream: str, start_s: float = 0.0) -> None:
        """Something was lost."""
        tally = self._tallies.setdefault(kind, _Tally())
        tally.total += 1
        tally.untold += 1
        tally.stream, tally.start_s = stream, start_s

    def told(self, now_s: float, *, finally_: bool = False) -> list[Failure]:
        """The lines that are due at this time (seconds on any clock that goes on)."""
        lines: list[Failure] = []
        for kind, tally in self._tallies.items():
            fresh = tally.told_s is None or now_s - tally.told_s >= self._every_s
            if tally.untold and (fresh or finally_):
                lines.append(_line(kind, tally))
                tally.untold, tally.told_s = 0, now_s
        return lines


def described(at: Occurrence, text: str = "", model: str = "", clip: str = "") -> Description:
    """What was said of an occurrence, or the clip that it was kept in."""
    return Description(
        stream=at.stream,
        pattern=at.pattern,
        text=text,
        model=model,
        start_s=at.start_s,
        end_s=at.end_s,
        start_ns=at.start_ns,
        clip=clip,
    )


def failed(stage: Stage, diagnosis: Diagnosis, model: str, exemplar: Exemplar) -> Failure:
    """An exemplar could not be judged, kept or described."""
    at = exemplar.occurrence
    who = {"describe": model, "clips": "clip", "speech": "speech"}[stage]
    detail = f"{who}: {at.pattern}: {diagnosis.detail}"
    return _failure(stage, at, diagnosis.error_class, detail, diagnosis.remedy)


def hanging(model: str, at: Occurrence, abandoned: int, deadline_s: float) -> Failure:
    """Too many calls hang: the lane rests; the flow goes on."""
    detail = f"{model}: {abandoned} calls hang past their deadline of {deadline_s:g} s: it rests"
    remedy = "all else goes on; restart grym, or choose another model"
    return _failure(STAGE, at, "restart_needed", detail, remedy)


def _failure(stage: str, at: Occurrence, reason: str, detail: str, remedy: str) -> Failure:
    return Failure(at.stream, stage, reason, detail, remedy, at.start_s, traceparent=at.traceparent)


def _line(kind: Loss, tally: _Tally) -> Failure:
    text, remedy = _LOSSES[kind]
    detail = f"{text}: {tally.untold}"
    return Failure(tally.stream, STAGE, kind, detail, remedy, tally.start_s)
