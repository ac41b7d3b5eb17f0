"""GAMA as a model of grym: it describes a clip, answers questions about it, and can embed it.

Invariant: the same clip and question give the same words, on one machine and in one arithmetic.
Its vectors are the means of what its two branches hand to the language model; nobody trained them
for retrieval, so they are fit for a look at its space and not for finding sounds again.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig

from operators.models import fbank, resampling
from operators.models.answering import DescriberConfig, one_line, question_of, reason_of
from operators.models.compute import Placement, Runner, place
from operators.models.features import unit
from operators.models.gama import language, layout
from operators.models.gama.audio_side import AudioSide
from operators.models.gama.checkpoint import (
    BASE_REMEDY,
    STAGE_FILE,
    STAGE_REMEDY,
    Reader,
    Tensors,
)
from operators.models.gama.front_end import FRONT_END, RATE_HZ, Levels, longest_samples
from operators.models.gama.layout import NAME
from operators.models.gama.shape import Shape
from operators.models.hearing import Hearing
from operators.models.pretrained import UNTRAINED
from operators.models.protocol import (
    BadWeightsError,
    WeightsMissingError,
    space_name,
)
from operators.records import Floats

DESCRIBE = "Describe the audio."
"""What the authors ask for a description."""


@dataclass(frozen=True, slots=True)
class GamaConfig(DescriberConfig):
    """Configuration of GAMA.

    Attributes:
        weights: the base folder.
        checkpoint: the stage checkpoint; None means ``pytorch_model.bin`` in the base folder.
    """

    checkpoint: Path | None = None


class Gama:
    """GAMA; see :class:`operators.models.protocol.AudioLanguageModel` and ``Model``.

    Raises:
        WeightsMissingError: no folder was given, or a file is not in it.
        BadWeightsError: a file is damaged, incomplete, or another model's.
        ModelConfigError: the folder's config.json names sizes that do not fit.
    """

    config_type = GamaConfig
    name = NAME
    sample_rate_hz = RATE_HZ
    window_s = 10.0
    hop_s = 5.0

    def __init__(self, config: GamaConfig) -> None:
        if config.weights is None:
            raise WeightsMissingError(NAME, None, BASE_REMEDY)
        folder, stage = config.weights, config.checkpoint or config.weights / STAGE_FILE
        described = _config_of(folder)
        shape = Shape.of(described["gama"])
        llama = _llama_of(folder, described)
        tokenizer = language.Tokenizer(folder, llama)
        placement = place(config)
        reader = Reader(
            layout.used(shape, llama.hidden_size), language.needed(llama), placement.dtype
        )
        tensors = reader.read(folder, stage)
        self.device, self.dtype = str(placement.device), placement.dtype_name
        self.trained = not described.get(UNTRAINED, False)
        self.longest_s = longest_samples(shape) / RATE_HZ
        self.dimension = 2 * shape.width
        self.space = space_name(NAME, _fingerprint(tensors, shape), self.dimension)
        self._placement = placement
        self._hearing = Hearing(RATE_HZ, self.longest_s, placement.device)
        self._levels = Levels(shape, placement.device)
        self._side = _audio_side(shape, llama.hidden_size, tensors, placement)
        self._voice = language.Voice(
            language.build(llama, tensors.language, placement),
            tokenizer,
            _soft_prompt(stage, llama, tensors, placement),
            config.max_new_tokens,
        )
        self._run = Runner(
            self._vectors,
            placement,
            dimension=self.dimension,
            rate_hz=RATE_HZ,
            least_samples=fbank.FRAME_SAMPLES,
        )

    def describe(self, clip: Floats, rate_hz: int | None = None) -> str:
        """(samples,) -> what it sounds like; the promise is the protocol's.

        Raises:
            WindowsError: the clip is not one-dimensional, empty, or not finite.
            ModelError: the model had nothing to say.
        """
        return self.ask(clip, DESCRIBE, rate_hz)

    def ask(self, clip: Floats, question: str, rate_hz: int | None = None) -> str:
        """(samples,) and a question -> the answer; the promise is the protocol's.

        Raises:
            WindowsError: the clip is not one-dimensional, empty, or not finite.
            ModelError: no question, or no answer.
        """
        question = question_of(NAME, question)
        waveform = self._hearing(clip, rate_hz)
        with torch.inference_mode():
            sound = self._side(self._levels(waveform).to(self._placement.dtype))
        return one_line(NAME, self._voice.answer(sound, question))

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """(n, samples) -> (n, dimension); not trained for retrieval.

        The mean of the Q-Former's answers beside that of the aggregator's tokens, either half of
        the same length.
        """
        return self._run(windows, rate_hz)

    def _vectors(self, windows: Tensor) -> Tensor:
        heard = self._side.hear(self._levels(windows).to(self._placement.dtype))
        halves = [unit(tokens.to(torch.float32).mean(dim=1)) for tokens in heard]
        return unit(torch.cat(halves, dim=1))


def _config_of(folder: Path) -> dict[str, Any]:
    """The folder's config.json, its section ``gama`` made empty where it has none."""
    file = folder / "config.json"
    if not file.is_file():
        raise WeightsMissingError(NAME, file, BASE_REMEDY)
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadWeightsError(
            NAME, file, f"unreadable ({reason_of(error)})", BASE_REMEDY
        ) from error
    found = described.get("model_type") if isinstance(described, dict) else None
    if found != "llama":
        raise BadWeightsError(NAME, file, f"model_type {found!r}, not 'llama'", BASE_REMEDY)
    section = described.get("gama", {})
    if not isinstance(section, dict):
        raise BadWeightsError(NAME, file, f"gama = {section!r}, not a section", BASE_REMEDY)
    return {**described, "gama": section}


def _llama_of(folder: Path, described: dict[str, Any]) -> LlamaConfig:
    try:
        return LlamaConfig.from_dict(described)
    except Exception as error:  # transformers' checks raise what derives from Exception only
        raise BadWeightsError(
            NAME, folder / "config.json", reason_of(error), BASE_REMEDY
        ) from error


def _audio_side(
    shape: Shape, language_width: int, tensors: Tensors, placement: Placement
) -> AudioSide:
    with torch.device("meta"):
        side = AudioSide(shape, language_width)
    side.load_state_dict(tensors.audio, assign=True)
    return side.eval().requires_grad_(False).to(placement.device, placement.dtype)


def _soft_prompt(
    stage: Path, llama: LlamaConfig, tensors: Tensors, placement: Placement
) -> Tensor | None:
    prompt = tensors.soft_prompt
    if prompt is None:
        return None
    if prompt.ndim != 2 or prompt.shape[1] != llama.hidden_size:
        detail = f"soft_prompt has shape {tuple(prompt.shape)}, expected (n, {llama.hidden_size})"
        raise BadWeightsError(NAME, stage, detail, STAGE_REMEDY)
    return prompt.to(placement.device, placement.dtype)


def _fingerprint(tensors: Tensors, shape: Shape) -> str:
    """Eight hexadecimal digits over front end, topology and the audio side's numbers."""
    recipe = f"{FRONT_END}, {resampling.VERSION}|{shape}"
    digest = hashlib.blake2b(recipe.encode(), digest_size=4)
    for name in sorted(tensors.audio):
        digest.update(name.encode())
        digest.update(tensors.audio[name].contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
