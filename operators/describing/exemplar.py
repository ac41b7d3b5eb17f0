"""One example of a pattern, and what is done with it: judged, kept, described.

Invariant: ``attempt`` never raises, whatever the model, the disk or the judge do. What cannot be
judged is taken for speech: then nothing is kept and nothing is said.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from operators import tracing
from operators.describing.ring import Samples, as_floats
from operators.records import ANALYSIS_RATE_HZ, Floats, Occurrence
from operators.recovery import Diagnosis, diagnose, remedy_for

Stage: TypeAlias = Literal["describe", "clips", "speech"]
Keep: TypeAlias = Callable[[str, Floats], str]
IsSpeech: TypeAlias = Callable[[Floats], bool]


class Describer(Protocol):
    """As much of an audio-language model as is needed here."""

    @property
    def name(self) -> str:
        """Its name, for events and for the store."""

    @property
    def longest_s(self) -> float:
        """What it hears of a clip."""

    def describe(self, clip: Floats, rate_hz: int | None = None) -> str:
        """Says what a clip (samples,) sounds like."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An occurrence and how it sounded."""

    occurrence: Occurrence
    samples: Samples


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an exemplar.

    Attributes:
        text: what the model said; "" where it said nothing.
        clip: the file it was kept in; "" where none was.
        speech: it holds speech and was neither kept nor described.
        troubles: what went wrong, and where.
    """

    text: str = ""
    clip: str = ""
    speech: bool = False
    troubles: tuple[tuple[Stage, Diagnosis], ...] = ()

    @property
    def asked(self) -> bool:
        """Whether the model was asked."""
        return bool(self.text) or any(stage == "describe" for stage, _ in self.troubles)


def attempt(
    exemplar: Exemplar,
    model: Describer | None,
    keep: Keep | None,
    is_speech: IsSpeech | None,
    longest_text: int,
) -> Answer:
    """Judge, keep and describe an exemplar, as far as there is somebody for it."""
    clip, name = as_floats(exemplar.samples), exemplar.occurrence.pattern
    troubles: list[tuple[Stage, Diagnosis]] = []
    file = text = ""
    try:
        if is_speech is not None and is_speech(clip):
            return Answer(speech=True)
    except BaseException as error:  # a thread that died would look like a call that hangs
        return Answer(speech=True, troubles=(("speech", diagnose(error, default="model")),))
    if keep is not None:
        try:
            file = keep(name, clip)
        except BaseException as error:
            troubles.append(("clips", diagnose(error)))
    if model is not None:
        said = _described(model, clip, exemplar.occurrence)
        if isinstance(said, Diagnosis):
            troubles.append(("describe", said))
        else:
            text = said if len(said) <= longest_text else said[: longest_text - 1] + "…"
    return Answer(text, file, troubles=tuple(troubles))


def late(deadline_s: float) -> Diagnosis:
    """The diagnosis of a call that went past its deadline."""
    detail = f"no answer within the deadline of {deadline_s:g} s"
    remedy = "raise describe.deadline_s, or choose a lighter model"
    return Diagnosis("timeout", "warning", True, detail, remedy)


def _described(model: Describer, clip: Floats, occurrence: Occurrence) -> str | Diagnosis:
    """What the model says, in one line."""
    try:
        with tracing.stage(
            f"describe {model.name}",
            traceparents=(occurrence.traceparent,),
            attributes={tracing.MODEL_NAME: model.name},
        ):
            text = " ".join(model.describe(clip, ANALYSIS_RATE_HZ).split())
    except BaseException as error:
        return diagnose(error, default="model")
    if not text:
        return Diagnosis("model", "error", False, "it said nothing", remedy_for("model"))
    return text
