"""A tiny GAMA of random numbers in a folder laid out as the published one is."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers
from torch import Tensor
from transformers import LlamaConfig

from operators.models.gama import language, layout
from operators.models.gama.shape import Shape

SECTION: dict[str, object] = {
    "width": 16,
    "heads": 2,
    "own_blocks": 3,
    "shared_blocks": 1,
    "frames": 64,
    "queries": 4,
    "query_layers": 3,
}
PEFT = "base_model.model.model."
VOCABULARY = 400
_WORDS = (
    "### Instruction: Describe the audio. ### Response: A dog barks twice while a car passes by,"
    " a bell rings and somebody is laughing in the distance."
)


def save_tiny_gama(
    folder: Path, seed: int = 0, *, stage: Path | None = None, section: Mapping[str, object] = {}
) -> Path:
    """Writes base folder and stage checkpoint; returns the base folder.

    Args:
        folder: created where it is not there.
        seed: of all numbers.
        stage: where the stage checkpoint goes; None means into the base folder.
        section: sizes that differ from ``SECTION``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {**SECTION, **section}
    shape, llama = Shape.of(sizes), tiny_llama()
    described = {**llama.to_dict(), "gama": sizes, "grym_untrained": True, "model_type": "llama"}
    (folder / "config.json").write_text(json.dumps(described))
    # As in LLaMA-2-7B-chat: a folder that asks for sampling, which nobody looks at here.
    (folder / "generation_config.json").write_text(
        json.dumps({"do_sample": True, "temperature": 0.6, "top_p": 0.9})
    )
    save_tokenizer(folder, ("<unk>", "<s>", "</s>"))
    generator = torch.Generator().manual_seed(seed)
    _save_base(folder, shape, llama, generator)
    torch.save(stage_tensors(shape, llama, generator), stage or folder / "pytorch_model.bin")
    return folder


def tiny_llama() -> LlamaConfig:
    """Two layers of 32 numbers."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )


def stage_tensors(
    shape: Shape, llama: LlamaConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """What a stage checkpoint holds, by its published names."""
    shapes = layout.used(shape, llama.hidden_size) | layout.unused(shape, llama.hidden_size)
    tensors = {f"{PEFT}{name}": random(size, generator) for name, size in shapes.items()}
    tensors[f"{PEFT}Qformer.bert.embeddings.position_ids"] = torch.arange(8)[None]
    for layer in range(llama.num_hidden_layers):
        for target in ("q_proj", "v_proj"):
            name = f"{PEFT}layers.{layer}.self_attn.{target}"
            tensors[f"{name}.lora_A.default.weight"] = random((8, llama.hidden_size), generator)
            tensors[f"{name}.lora_B.default.weight"] = random((llama.hidden_size, 8), generator)
    return tensors


def random(size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Numbers of the size that keeps layers lively: norms near 1, everything else near 0.2."""
    return 0.25 * torch.randn(size, generator=generator) + (1.0 if len(size) == 1 else 0.0)


def save_tokenizer(folder: Path, special: tuple[str, str, str], *others: str) -> None:
    """A tokenizer as LLaMA's: byte pairs, with bytes for what it does not know."""
    unknown, first, last = special
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token=unknown, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    byte = [f"<0x{value:02X}>" for value in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[*special, *byte], show_progress=False
    )
    tokenizer.train_from_iterator([_WORDS] * 3, trainer)
    tokenizer.add_special_tokens(list(others))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A", special_tokens=[(first, tokenizer.token_to_id(first))]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "LlamaTokenizer",
                "unk_token": unknown,
                "bos_token": first,
                "eos_token": last,
                "clean_up_tokenization_spaces": False,
            }
        )
    )


def _save_base(folder: Path, shape: Shape, llama: LlamaConfig, generator: torch.Generator) -> None:
    """LLaMA in two shards with its index, then the encoder and the Q-Former past its count."""
    spoken = {name: random(size, generator) for name, size in language.needed(llama).items()}
    spoken["model.layers.0.self_attn.rotary_emb.inv_freq"] = random((8,), generator)
    names = sorted(spoken)
    shards = {
        "model-00001-of-00002.safetensors": {name: spoken[name] for name in names[::2]},
        "model-00002-of-00002.safetensors": {name: spoken[name] for name in names[1::2]},
    }
    weight_map = {name: file for file, tensors in shards.items() for name in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    heard = {
        f"model.{name}": random(size, generator)
        for name, size in layout.used(shape, llama.hidden_size).items()
    }
    shards["model-00003-of-00002.safetensors"] = {
        **{name: heard[name] for name in heard if ".audio_encoder." in name},
        "model.audio_encoder.blocks_v.0.attn.qkv.bias": random((48,), generator),
        "model.audio_encoder.patch_embed_v.proj.weight": random((16, 3, 16, 16), generator),
        "model.audio_encoder.pos_embed_v": random((1, 4, 16), generator),
        "model.audio_encoder.mlp_head.1.weight": random((2, 16), generator),
    }
    shards["model-00004-of-00002.safetensors"] = {
        **{name: heard[name] for name in heard if "ormer" in name and "proj_q" not in name},
        "model.query_tokens": heard["model.query_tokens"],
        "model.Qformer.cls.predictions.bias": random((9,), generator),
        "model.Qformer.bert.embeddings.word_embeddings.weight": random((9, 16), generator),
        "model.Qformer.bert.encoder.layer.0.output.LayerNorm.weight": random((16,), generator),
    }
    for file, tensors in shards.items():
        save_file(tensors, folder / file, metadata={"format": "pt"})
