"""Low-rank adapters, merged into the weights that they adapt.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021,
https://arxiv.org/abs/2106.09685: W + (alpha / r) B A. GAMA was trained with r = 8 and alpha = 16 on
the query and value projections; r is read from the tensors, alpha is in no file.
"""

import re
from pathlib import Path

import torch
from torch import Tensor

from operators.models.gama import layout
from operators.models.gama.layout import NAME, Shapes
from operators.models.protocol import BadWeightsError

ALPHA = 16.0
_LAYER = re.compile(r"(?<=layers\.)\d+")
_REMEDY = "take the pytorch_model.bin of stage 4 or 5"


class Lora:
    """The adapters of a checkpoint, by the plain name of the weight they adapt."""

    def __init__(self) -> None:
        self._halves: dict[str, dict[str, Tensor]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._halves

    def add(self, name: str, tensor: Tensor) -> None:
        """Takes a half under its plain name."""
        target, half = layout.lora_half(name)
        self._halves.setdefault(target, {})[half] = tensor.to(torch.float32)

    def check(self, file: Path, language: Shapes) -> None:
        """Refuses adapters that are not whole, of their weight's shape, and in every layer.

        Args:
            file: where they were found.
            language: names and shapes of the language model's tensors.

        Raises:
            BadWeightsError: as said, or there are no adapters at all.
        """
        if not self._halves:
            raise BadWeightsError(NAME, file, "holds no LoRA tensors", _REMEDY)
        for target, halves in self._halves.items():
            if target not in language:
                raise BadWeightsError(NAME, file, f"LoRA for {target}, which is not there", _REMEDY)
            outputs, inputs = language[target]
            rank = halves["A"].shape[0] if "A" in halves else 0
            wanted = {"A": (rank, inputs), "B": (outputs, rank)}
            if {half: tuple(tensor.shape) for half, tensor in halves.items()} != wanted:
                detail = f"the LoRA for {target} is not whole, or of other sizes"
                raise BadWeightsError(NAME, file, detail, _REMEDY)
        kinds = {_LAYER.sub("", target) for target in self._halves}
        for name in language:
            if _LAYER.sub("", name) in kinds and name not in self._halves:
                raise BadWeightsError(NAME, file, f"no LoRA for {name}", _REMEDY)

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """The weight (out, in) with its adapter, float32; ask only for one in here."""
        low, high = self._halves[name]["A"], self._halves[name]["B"]
        return weight.to(torch.float32) + (ALPHA / low.shape[0]) * (high @ low)
