"""Reads GAMA's weights as published: a base folder and the checkpoint of a training stage.

The base folder is LLaMA-2-7B-chat in transformers' layout with the encoder and the Q-Former in
further shards; the stage checkpoint (``pytorch_model.bin``) holds the audio side as trained, and
the LoRA of the language model. Either lacks what the other has.

Invariant: every tensor of the audio side and of the language model is there and of its shape,
those of the audio side finite; a tensor that nobody asked for is refused unless its name is listed
as dead. Nothing in a file is ever executed. LoRA is merged in float32, then rounded once.
"""

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from operators.models.answering import reason_of
from operators.models.gama import layout
from operators.models.gama.layout import NAME, Part, Shapes
from operators.models.gama.lora import Lora
from operators.models.protocol import BadWeightsError, WeightsMissingError

STAGE_FILE = "pytorch_model.bin"
BASE_REMEDY = (
    "set path of [models.gama] to the base folder (config.json, tokenizer.json, every shard of"
    " LLaMA-2-7B-chat and GAMA's own), see https://github.com/Sreyan88/GAMA"
)
STAGE_REMEDY = (
    "the base folder lacks the projections, the aggregator and LoRA: put the pytorch_model.bin of"
    " stage 4 or 5 into it, or set checkpoint of [models.gama] to it"
)
_FETCH_AGAIN = "fetch the file again"
_UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    pickle.UnpicklingError,
    safetensors.SafetensorError,
)
_OTHER_MODEL = "this is another model's, or its sizes are not those of the folder's config.json"
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


@dataclass(slots=True)
class Tensors:
    """A checkpoint's tensors by what they belong to; names without prefixes."""

    audio: dict[str, Tensor] = field(default_factory=dict)
    language: dict[str, Tensor] = field(default_factory=dict)
    soft_prompt: Tensor | None = None


class Reader:
    """Sorts the tensors of stage checkpoint and base folder, the stage's first.

    Args:
        audio, language: names and shapes that are needed.
        dtype: the language model's arithmetic; the audio side stays as it is stored.
    """

    def __init__(self, audio: Shapes, language: Shapes, dtype: torch.dtype) -> None:
        self._needed = {Part.AUDIO: audio, Part.LANGUAGE: language}
        self._dtype = dtype
        self._found = Tensors()
        self._lora = Lora()

    def read(self, base: Path, stage: Path) -> Tensors:
        """Reads everything.

        Raises:
            WeightsMissingError: a file is not there.
            BadWeightsError: a file cannot be read, or a tensor is missing, strange or damaged.
        """
        if not stage.is_file():
            raise WeightsMissingError(NAME, stage, STAGE_REMEDY)
        for name, tensor in _tensors(stage):
            self._take(stage, name, tensor)
        self._lora.check(stage, self._needed[Part.LANGUAGE])
        for file in _shards(base, stage):
            for name, tensor in _tensors(file):
                self._take(file, name, tensor)
        self._check_complete(base, Part.LANGUAGE, self._found.language, BASE_REMEDY)
        self._check_complete(stage, Part.AUDIO, self._found.audio, STAGE_REMEDY)
        return self._found

    def _take(self, file: Path, published: str, tensor: Tensor) -> None:
        name = layout.plain_name(published)
        part = layout.part_of(name)
        if part is Part.LORA:
            self._lora.add(name, tensor)
        elif part is Part.SOFT_PROMPT:
            self._found.soft_prompt = tensor
        elif part is Part.AUDIO:
            self._take_audio(file, layout.audio_name(name), tensor)
        elif self._fits(file, Part.LANGUAGE, name, tensor):
            merged = self._lora.merged(name, tensor) if name in self._lora else tensor
            self._found.language[name] = merged.to(self._dtype, copy=True)

    def _take_audio(self, file: Path, name: str, tensor: Tensor) -> None:
        if name in self._found.audio or not self._fits(file, Part.AUDIO, name, tensor):
            return
        if not bool(torch.isfinite(tensor).all()):
            raise BadWeightsError(NAME, file, f"tensor {name} is not finite", _FETCH_AGAIN)
        self._found.audio[name] = tensor.clone()

    def _fits(self, file: Path, part: Part, name: str, tensor: Tensor) -> bool:
        """Whether a tensor is needed; False for a dead one.

        Raises:
            BadWeightsError: nobody knows it, or it has another shape.
        """
        wanted = self._needed[part].get(name)
        if wanted is None:
            if layout.is_dead(name):
                return False
            raise BadWeightsError(NAME, file, f"unknown tensor {name}", _OTHER_MODEL)
        if tuple(tensor.shape) != wanted:
            detail = f"tensor {name} has shape {tuple(tensor.shape)}, expected {wanted}"
            raise BadWeightsError(NAME, file, detail, _OTHER_MODEL)
        return True

    def _check_complete(
        self, file: Path, part: Part, found: Mapping[str, Tensor], remedy: str
    ) -> None:
        lacking = [name for name in self._needed[part] if name not in found]
        if lacking:
            detail = f"{len(lacking)} tensors are missing, such as {lacking[0]}"
            raise BadWeightsError(NAME, file, detail, remedy)


def _shards(base: Path, stage: Path) -> list[Path]:
    """The weight files of the base folder: safetensors, or .bin where there are none of those.

    Published folders number GAMA's own shards past the index's count, so the index alone says only
    what must be there.
    """
    for index in _INDEXES:
        for named in sorted(_indexed(base / index)):
            if not (base / named).is_file():
                raise WeightsMissingError(NAME, base / named, BASE_REMEDY)
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        files = sorted(file for file in base.glob(pattern) if file.resolve() != stage.resolve())
        if files:
            return files
    raise WeightsMissingError(NAME, base, BASE_REMEDY)


def _indexed(index: Path) -> set[str]:
    if not index.is_file():
        return set()
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        detail = f"unreadable index ({reason_of(error)})"
        raise BadWeightsError(NAME, index, detail, BASE_REMEDY) from error


def _tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file one by one, mapped rather than read where the format allows."""
    try:
        if file.suffix == ".safetensors":
            with safetensors.safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118  # not a mapping
                    yield name, opened.get_tensor(name)
            return
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except _UNREADABLE as error:
        raise BadWeightsError(
            NAME, file, f"unreadable ({reason_of(error)})", _FETCH_AGAIN
        ) from error
    if not isinstance(content, dict):
        raise BadWeightsError(NAME, file, "holds no tensors by name", _FETCH_AGAIN)
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BadWeightsError(NAME, file, f"{name!r} is no tensor", _FETCH_AGAIN)
        yield name, tensor
