"""What a model is to the rest of grym: windows in, unit vectors out, in a space of its own.

    ModelError                  one line with the remedy
    ├── UnknownModelError       no such name in the registry
    ├── ModelConfigError        an option or a value that the model, or this machine, does not have
    ├── WeightsMissingError     the folder or a file in it is not there
    ├── BadWeightsError         damaged, incomplete, or another model's
    └── WindowsError            a batch that cannot be embedded

Invariant: a space is named after the model, a fingerprint of everything that decides its numbers,
and its dimension, so that vectors of two spaces can never be mistaken for one another. This module
knows no model and imports no framework: listing the models costs nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from operators.records import Floats

Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
DTYPES: tuple[Dtype, ...] = ("auto", "float32", "bfloat16", "float16")
_FINGERPRINT = re.compile(r"[0-9a-f]{8}")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


class ModelError(Exception):
    """Something is wrong with a model; the message is one line with the remedy for a person."""


class UnknownModelError(ModelError):
    """No model of this name is registered."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown model {name!r}: choose one of {', '.join(known)}")
        self.name = name
        self.known = known


class ModelConfigError(ModelError):
    """A model was configured with an option or a value that it does not have."""


class WeightsMissingError(ModelError):
    """The weights of a model are not on this machine; ``remedy`` where nothing pulls them."""

    def __init__(self, name: str, folder: Path | None = None, remedy: str = "") -> None:
        where = f" in {folder}" if folder is not None else ""
        remedy = remedy or f"run `{pull_command(name)}`"
        super().__init__(f"the weights of model {name!r} were not found{where}: {remedy}")
        self.name = name
        self.folder = folder


class BadWeightsError(ModelError):
    """A file of weights is damaged, incomplete, or not what the model expects."""

    def __init__(self, name: str, file: Path, detail: str, remedy: str = "") -> None:
        super().__init__(f"{file}: {detail}: {remedy or f'run `{pull_command(name)}`'}")
        self.name = name
        self.file = file


class WindowsError(ModelError):
    """A batch of windows has a shape that the model cannot embed."""


def pull_command(name: str) -> str:
    """The command that fetches, or mends, the weights of a model."""
    return f"grym models pull {name}"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What every model can be told; a model derives its own from it.

    Attributes:
        weights: folder of its weights; not looked at by models that have none.
        threads: torch threads of this process. More than one helps an idle machine and hurts a
            busy one (under load two threads cost 40 ms a window where one costs 8).
        dtype: arithmetic of the network; "auto" takes bfloat16 where the device computes it.
        device: "auto" (an accelerator if there is one), "cpu", "cuda" or "cuda:N".
        window_s: length of the windows it is going to be fed; models whose cost depends on a
            fixed length size themselves by it.
        compiled: run the network through ``torch.compile`` (and CUDA graphs on a GPU).
        headroom: share of a GPU's memory that is left to others (a display, another process, the
            peak that nobody foresaw), within [0, 1).

    Raises:
        ModelConfigError: a value out of its range.
    """

    weights: Path | None = None
    threads: int = 1
    dtype: Dtype = "auto"
    device: str = "auto"
    window_s: float = 1.0
    compiled: bool = False
    headroom: float = 0.1

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise ModelConfigError(f"device = {self.device!r}: give auto, cpu, cuda or cuda:N")
        if not self.window_s > 0.0:
            raise ModelConfigError(f"window_s = {self.window_s}: give more than 0 s")
        if not 0.0 <= self.headroom < 1.0:
            raise ModelConfigError(f"headroom = {self.headroom}: give a share from 0 to below 1")
        if self.threads < 1:
            raise ModelConfigError(f"threads = {self.threads}: give 1 or more")
        if self.dtype not in DTYPES:
            raise ModelConfigError(f"dtype = {self.dtype!r}: choose one of {', '.join(DTYPES)}")


@runtime_checkable
class Model(Protocol):
    """A model that turns windows of sound into vectors.

    Attributes:
        name: its name in the registry.
        sample_rate_hz, window_s, hop_s: what it wants to be fed.
        dimension: length of its vectors.
        space: `name-fingerprint-dimension`; see :func:`space_name`.
        trained: False for random weights, which are fit for tests only.
        device, dtype: where and in what arithmetic its network runs ("cpu", "bfloat16").
    """

    name: str
    sample_rate_hz: int
    window_s: float
    hop_s: float
    dimension: int
    space: str
    trained: bool
    device: str
    dtype: str

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """Embeds windows of one common length.

        Args:
            windows: (n, samples) float32; ``n`` may be 0.
            rate_hz: of the windows; None means ``sample_rate_hz``. Another rate is converted on
                the model's device.

        Returns:
            (n, dimension) float32, every row of unit length, digital silence included. A window
            that holds NaN or infinity gives a row of NaN and does not disturb its companions.

        Raises:
            WindowsError: not two-dimensional, or too short for the model.
        """
        ...


@runtime_checkable
class TextModel(Model, Protocol):
    """A model in whose space words lie beside sounds."""

    def embed_text(self, texts: Sequence[str]) -> Floats:
        """Embeds sentences: (n, dimension) float32, every row of unit length.

        Raises:
            ModelError: a sentence that has no words for the model.
        """
        ...


@runtime_checkable
class AudioLanguageModel(Protocol):
    """A model that hears a clip and answers in words; seconds a call, never on the hot path.

    Attributes:
        name: its name in the registry of describers.
        sample_rate_hz: what its front end works at.
        longest_s: what it hears of a clip; the rest is cut off.
        trained: False for random weights.
        device, dtype: where and in what arithmetic it runs.
    """

    name: str
    sample_rate_hz: int
    longest_s: float
    trained: bool
    device: str
    dtype: str

    def describe(self, clip: Floats, rate_hz: int | None = None) -> str:
        """Says in a sentence or two what a clip (samples,) sounds like; never empty."""
        ...

    def ask(self, clip: Floats, question: str, rate_hz: int | None = None) -> str:
        """Answers a question about a clip (samples,).

        Raises:
            WindowsError: the clip is not one-dimensional, empty, or not finite.
        """
        ...


def space_name(name: str, fingerprint: str, dimension: int) -> str:
    """Names a vector space, as in ``aisfx-1a2b3c4d-572``.

    Args:
        name: the model's name: a lower case letter, then lower case letters, digits and ``_``.
        fingerprint: 8 hexadecimal digits over weights and front end.
        dimension: length of the vectors.

    Raises:
        ValueError: a part that could not become a name in a store (``-`` written as ``_``).
    """
    if not _NAME.fullmatch(name) or not _FINGERPRINT.fullmatch(fingerprint) or dimension < 1:
        raise ValueError(f"not a vector space: {name!r}, {fingerprint!r}, {dimension}")
    return f"{name}-{fingerprint}-{dimension}"
