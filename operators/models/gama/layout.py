"""The names in GAMA's published checkpoints: what is used, what is dead, what nobody should find.

A checkpoint was saved by PEFT, so its names begin with ``base_model.model.``; inside, everything
lies beside the language model's layers under ``model.``. It holds every tensor of the training
code, also those that its forward pass never reaches: half of the norms of every encoder block, the
aggregator's cross-attention (computed, then discarded) and its feed-forward for queries, the
Q-Former's text side, and in base folders the video branch.

Invariant: a name belongs to exactly one :class:`Part`.
"""

import re
from enum import Enum
from math import prod

import torch

from operators.models.gama.audio_side import AudioSide
from operators.models.gama.shape import Shape

NAME = "gama"
_PEFT = "base_model.model."
_INNER = "model."
_LORA = re.compile(r"(?P<target>.+)\.lora_(?P<half>[AB])(?:\.default)?\.weight")
_AUDIO = re.compile(r"audio_|[qQ][fF]ormer|query_tokens")
_SOFT_PROMPT = "soft_prompt"
_DEAD = (
    r"audio_encoder\.blocks_[au]\.\d+\.norm[12](_[av])?\.(weight|bias)",
    r"audio_encoder\.norm_[jkv]\.(weight|bias)",
    r"audio_encoder\.(blocks_v|patch_embed_v|mlp_head|norm)\..+",
    r"audio_encoder\.(pos_embed_v|modality_v)",
    r"audio_aggregator_layer_[12]\.(crossattention|intermediate_query|output_query)\..+",
    r"Qformer\.cls\..+",
    r"Qformer\.bert\.embeddings\.(word_embeddings\.weight|position_embeddings\.weight|position_ids)",
    r"Qformer\.bert\.encoder\.layer\.\d+\.(intermediate|output)\..+",
    r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq",
    r"lm_head\.weight",
)
_DEAD_NAME = re.compile("|".join(f"(?:{pattern})" for pattern in _DEAD))
Shapes = dict[str, tuple[int, ...]]


class Part(Enum):
    """What a tensor of a checkpoint belongs to."""

    AUDIO = "audio"
    LANGUAGE = "language"
    LORA = "lora"
    SOFT_PROMPT = "soft prompt"


def plain_name(name: str) -> str:
    """A published name without what PEFT put before it: "model.audio_encoder.pos_embed_a"."""
    return name.removeprefix(_PEFT)


def part_of(name: str) -> Part:
    """What a tensor of a plain name belongs to."""
    if _LORA.fullmatch(name):
        return Part.LORA
    inner = name.removeprefix(_INNER)
    if inner == _SOFT_PROMPT:
        return Part.SOFT_PROMPT
    return Part.AUDIO if _AUDIO.match(inner) else Part.LANGUAGE


def audio_name(name: str) -> str:
    """A plain name as :class:`AudioSide` has it."""
    return name.removeprefix(_INNER)


def is_dead(name: str) -> bool:
    """Whether a tensor of a plain name is one that may be there and is not used.

    Ask only for names that are not used: with ``Shape.multi_layer`` some of these are.
    """
    return _DEAD_NAME.fullmatch(name.removeprefix(_INNER)) is not None


def lora_half(name: str) -> tuple[str, str]:
    """A plain LoRA name -> the weight it adapts, and "A" or "B".

    Raises:
        ValueError: no LoRA name.
    """
    match = _LORA.fullmatch(name)
    if match is None:
        raise ValueError(f"no LoRA name: {name}")
    return f"{match['target']}.weight", match["half"]


def used(shape: Shape, language_width: int) -> Shapes:
    """The audio side's tensors that a checkpoint must hold."""
    with torch.device("meta"):
        side = AudioSide(shape, language_width)
    return {name: tuple(tensor.shape) for name, tensor in side.state_dict().items()}


def unused(shape: Shape, language_width: int) -> Shapes:
    """The audio side's parameters that a published stage checkpoint holds beside them."""
    wide = shape.width * shape.expansion
    shapes = _norms(shape)
    for layer in (1, 2):
        name = f"audio_aggregator_layer_{layer}"
        shapes |= {
            f"{name}.crossattention.self.{part}.weight": (shape.width, shape.width)
            for part in ("query", "key", "value")
        }
        shapes |= {
            f"{name}.crossattention.self.{part}.bias": (shape.width,)
            for part in ("query", "key", "value")
        }
        shapes |= {
            f"{name}.crossattention.output.dense.weight": (shape.width, shape.width),
            f"{name}.crossattention.output.dense.bias": (shape.width,),
            f"{name}.crossattention.output.LayerNorm.weight": (shape.width,),
            f"{name}.crossattention.output.LayerNorm.bias": (shape.width,),
            f"{name}.intermediate_query.dense.weight": (wide, shape.width),
            f"{name}.intermediate_query.dense.bias": (wide,),
            f"{name}.output_query.dense.weight": (shape.width, wide),
            f"{name}.output_query.dense.bias": (shape.width,),
            f"{name}.output_query.LayerNorm.weight": (shape.width,),
            f"{name}.output_query.LayerNorm.bias": (shape.width,),
        }
    taken = used(shape, language_width)
    return {name: size for name, size in shapes.items() if name not in taken}


def _norms(shape: Shape) -> Shapes:
    """The layer norms of branches that audio does not take, and those of the aggregator's taps."""
    blocks = [(f"blocks_a.{i}", ("_a", "_v")) for i in range(shape.own_blocks)]
    blocks += [(f"blocks_u.{i}", ("", "_v")) for i in range(shape.shared_blocks)]
    norms = [
        f"{block}.norm{i}{branch}" for block, dead in blocks for branch in dead for i in (1, 2)
    ]
    norms += ["norm_j", "norm_k"]
    return {
        f"audio_encoder.{norm}.{kind}": (shape.width,)
        for norm in norms
        for kind in ("weight", "bias")
    }


def parameters(shapes: Shapes) -> int:
    """How many numbers tensors of these shapes hold."""
    return sum(prod(size) for size in shapes.values())
