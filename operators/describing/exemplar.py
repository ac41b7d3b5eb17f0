"""One example of a pattern, and what is done with it: judged and kept first, then described.

Invariant: neither call raises, whatever the model, the disk or the judge do. What cannot be judged
is taken for speech: then nothing is kept and nothing is said.
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
    """An occurrence and how it sounded; ``kept`` where a clip of it is to be kept."""

    occurrence: Occurrence
    samples: Samples
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an exemplar in one call.

    Attributes:
        text: what the model said; "" where it said nothing or was not asked.
        clip: the file it was kept in; "" where none was.
        speech: it holds speech, or may: it is neither kept nor described.
        troubles: what went wrong, and where.
    """

    text: str = ""
    clip: str = ""
    speech: bool = False
    troubles: tuple[tuple[Stage, Diagnosis], ...] = ()


def judged_and_kept(exemplar: Exemplar, keep: Keep | None, is_speech: IsSpeech | None) -> Answer:
    """Judge an exemplar and keep it, as far as there is somebody for it."""
    clip, name = as_floats(exemplar.samples), exemplar.occurrence.pattern
    try:
        if is_speech is not None and is_speech(clip):
            return Answer(speech=True)
    except BaseException as error:  # a thread that died would look like a call that hangs
        return Answer(speech=True, troubles=(("speech", diagnose(error, default="model")),))
    try:
        return Answer(clip=keep(name, clip) if keep is not None else "")
    except BaseException as error:
        return Answer(troubles=(("clips", diagnose(error)),))


def described(exemplar: Exemplar, model: Describer, longest_text: int) -> Answer:
    """Have an exemplar described, in one line of at most so many characters."""
    said = _said(model, as_floats(exemplar.samples), exemplar.occurrence)
    if isinstance(said, Diagnosis):
        return Answer(troubles=(("describe", said),))
    return Answer(said if len(said) <= longest_text else said[: longest_text - 1] + "…")


def late(stage: Stage, deadline_s: float) -> Diagnosis:
    """The diagnosis of a call that went past its deadline."""
    detail = f"no answer within the deadline of {deadline_s:g} s"
    return Diagnosis("timeout", "warning", True, detail, _LATE[stage])


_LATE: dict[Stage, str] = {
    "describe": "raise describe.deadline_s, or choose a lighter model",
    "clips": "all else goes on; look at the disk that clips are kept on",
    "speech": "it is neither kept nor described; listen to fewer streams in this process",
}


def _said(model: Describer, clip: Floats, occurrence: Occurrence) -> str | Diagnosis:
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
