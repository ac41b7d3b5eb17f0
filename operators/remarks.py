"""What is said of sounds beside vectors and patterns: tags of windows, descriptions of patterns.

Invariant: a remark is made beside the flow and never enters discovery; its keys are deterministic,
so that replays are absorbed.
"""

from dataclasses import dataclass
from typing import Protocol

from operators.records import Floats


@dataclass(frozen=True, slots=True)
class Tag:
    """What a window holds beside its vector, such as speech; ``score`` within [0, 1]."""

    stream: str
    index: int
    start_ns: int
    duration_s: float
    kind: str
    score: float

    @property
    def key(self) -> str:
        """Store key: the same audio under the same stream id lands on the same row."""
        return f"{self.stream}|{self.start_ns}|{self.kind}"


@dataclass(frozen=True, slots=True)
class Description:
    """What an audio-language model says of a pattern, having heard one occurrence of it.

    Attributes:
        model: name of the model that said it.
        start_s, end_s, start_ns: the occurrence that it heard.
        clip: file of that occurrence within the store's folder of clips; "" where none is kept.
    """

    stream: str
    pattern: str
    text: str
    model: str
    start_s: float
    end_s: float
    start_ns: int
    clip: str = ""

    @property
    def key(self) -> str:
        """Store key: one row a pattern, the latest holds."""
        return self.pattern


class Voice(Protocol):
    """Tells speech from other sounds; see :class:`operators.speech.Vad`."""

    def scores(self, windows: Floats, rate_hz: int) -> Floats:
        """(n, samples) -> (n,) within [0, 1]: how surely each window holds speech."""
        ...

    def is_speech(self, clip: Floats) -> bool:
        """Whether a clip (samples,) at the analysis rate has to be taken for speech."""
        ...
