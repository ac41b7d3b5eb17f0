"""The full size on the meta device, against what the published checkpoints hold."""

from math import prod

import pytest
import torch
from transformers import LlamaConfig

from operators.models.gama import language, layout
from operators.models.gama.audio_side import AudioSide
from operators.models.gama.layout import Part
from operators.models.gama.shape import Shape

FULL = Shape()
LANGUAGE = 4096
PUBLISHED = {
    "audio_encoder.patch_embed_a.proj.weight": (768, 1, 16, 16),
    "audio_encoder.patch_embed_a.proj.bias": (768,),
    "audio_encoder.pos_embed_a": (1, 512, 768),
    "audio_encoder.modality_a": (1, 1, 768),
    "audio_encoder.blocks_a.0.norm1.weight": (768,),
    "audio_encoder.blocks_a.10.attn.qkv.weight": (2304, 768),
    "audio_encoder.blocks_a.10.attn.qkv.bias": (2304,),
    "audio_encoder.blocks_a.10.attn.proj.weight": (768, 768),
    "audio_encoder.blocks_a.10.mlp.fc1.weight": (3072, 768),
    "audio_encoder.blocks_a.10.mlp.fc2.weight": (768, 3072),
    "audio_encoder.blocks_u.0.norm1_a.weight": (768,),
    "audio_encoder.blocks_u.0.norm2_a.bias": (768,),
    "audio_encoder.norm_a.weight": (768,),
    "qformer_proj_norm.weight": (768,),
    "query_tokens": (1, 32, 768),
    "Qformer.bert.embeddings.LayerNorm.weight": (768,),
    "Qformer.bert.encoder.layer.11.attention.self.query.weight": (768, 768),
    "Qformer.bert.encoder.layer.11.attention.output.LayerNorm.bias": (768,),
    "Qformer.bert.encoder.layer.10.crossattention.self.key.weight": (768, 768),
    "Qformer.bert.encoder.layer.10.crossattention.output.dense.bias": (768,),
    "Qformer.bert.encoder.layer.11.intermediate_query.dense.weight": (3072, 768),
    "Qformer.bert.encoder.layer.11.output_query.dense.weight": (768, 3072),
    "audio_aggregator_layer_1.attention.self.value.bias": (768,),
    "audio_aggregator_layer_2.intermediate.dense.weight": (3072, 768),
    "audio_aggregator_layer_2.output.LayerNorm.weight": (768,),
    "audio_proj_qformer.0.weight": (4096, 768),
    "audio_proj_qformer.2.weight": (4096, 4096),
    "audio_proj_audioenc.0.bias": (4096,),
    "audio_proj_audioenc.2.bias": (4096,),
}


def test_the_full_audio_side_has_the_published_names_and_shapes() -> None:
    used = layout.used(FULL, LANGUAGE)
    assert {name: used.get(name) for name in PUBLISHED} == PUBLISHED
    layers = {name.split(".")[4] for name in used if name.startswith("Qformer.bert.encoder")}
    asking = {name.split(".")[4] for name in used if "Qformer" in name and "crossattention" in name}
    assert layers == {str(layer) for layer in range(12)}
    assert asking == {"0", "2", "4", "6", "8", "10"}


def test_the_published_audio_side_has_253_million_parameters() -> None:
    used, unused = layout.used(FULL, LANGUAGE), layout.unused(FULL, LANGUAGE)
    assert not set(used) & set(unused)
    assert layout.parameters(used) == 238_950_912
    assert layout.parameters(used) + layout.parameters(unused) == 253_203_456


def test_ten_seconds_become_96_tokens_of_the_language_model() -> None:
    with torch.device("meta"):
        prefix = AudioSide(FULL, LANGUAGE)(torch.empty(2, 1024, 128))
    assert prefix.shape == (2, 32 + 64, LANGUAGE)


def test_with_the_aggregator_of_the_paper_its_cross_attention_and_taps_are_used() -> None:
    paper = Shape(multi_layer=True)
    more = set(layout.used(paper, LANGUAGE)) - set(layout.used(FULL, LANGUAGE))
    assert {name.split(".")[1] for name in more} == {"crossattention", "norm_j", "norm_k"}
    assert more <= set(layout.unused(FULL, LANGUAGE))
    assert not set(layout.used(paper, LANGUAGE)) & set(layout.unused(paper, LANGUAGE))
    both = layout.used(paper, LANGUAGE) | layout.unused(paper, LANGUAGE)
    assert layout.parameters(both) == 253_203_456


def test_the_language_model_is_llama_2_7b() -> None:
    config = LlamaConfig(vocab_size=32_000, hidden_size=LANGUAGE, intermediate_size=11_008)
    needed = language.needed(config)
    assert sum(prod(shape) for shape in needed.values()) == 6_738_415_616
    assert needed["model.layers.31.self_attn.q_proj.weight"] == (LANGUAGE, LANGUAGE)
    assert needed["lm_head.weight"] == (32_000, LANGUAGE)
    assert all(layout.part_of(name) is Part.LANGUAGE for name in needed)


def test_tied_embeddings_need_no_head_of_their_own() -> None:
    config = LlamaConfig(num_hidden_layers=1, tie_word_embeddings=True)
    assert "lm_head.weight" not in language.needed(config)


def test_every_name_of_the_audio_side_is_sorted_as_such_and_only_the_unused_are_dead() -> None:
    used, unused = layout.used(FULL, LANGUAGE), layout.unused(FULL, LANGUAGE)
    for name in {**used, **unused}:
        assert layout.part_of(f"model.{name}") is Part.AUDIO
        assert layout.audio_name(f"model.{name}") == name
    assert all(layout.is_dead(f"model.{name}") for name in unused)
    # A block's norms go by the same names whether they are its own or a dead branch's.
    others = [name for name in used if ".norm1" not in name and ".norm2" not in name]
    assert not [name for name in others if layout.is_dead(f"model.{name}")]


@pytest.mark.parametrize(
    "name",
    [
        "model.audio_encoder.blocks_v.5.attn.qkv.bias",
        "model.audio_encoder.patch_embed_v.proj.weight",
        "model.audio_encoder.pos_embed_v",
        "model.audio_encoder.modality_v",
        "model.audio_encoder.norm_v.weight",
        "model.audio_encoder.mlp_head.1.weight",
        "model.Qformer.bert.embeddings.position_ids",
        "model.Qformer.bert.embeddings.word_embeddings.weight",
        "model.Qformer.bert.encoder.layer.6.output.LayerNorm.weight",
        "model.Qformer.cls.predictions.bias",
        "model.layers.31.self_attn.rotary_emb.inv_freq",
        "lm_head.weight",  # where embeddings are tied
    ],
)
def test_names_that_base_folders_hold_and_nobody_uses_are_dead(name: str) -> None:
    assert layout.is_dead(name)


@pytest.mark.parametrize(
    "name",
    [
        "model.audio_encoder.blocks_a.0.attn.qkv.weight",
        "model.audio_encoder.blocks_x.0.attn.qkv.weight",
        "model.audio_proj_qformer.4.weight",
        "model.Qformer.bert.encoder.layer.6.output_query.LayerNorm.weight",
        "model.layers.31.self_attn.q_proj.bias",
    ],
)
def test_other_names_are_not(name: str) -> None:
    assert not layout.is_dead(name)


def test_what_peft_put_before_a_name_is_taken_off() -> None:
    published = "base_model.model.model.layers.3.self_attn.q_proj.lora_B.default.weight"
    name = layout.plain_name(published)
    assert layout.part_of(name) is Part.LORA
    assert layout.lora_half(name) == ("model.layers.3.self_attn.q_proj.weight", "B")
    assert layout.lora_half(name.replace(".default", "")) == layout.lora_half(name)
    with pytest.raises(ValueError, match=r"no LoRA name: model\.norm\.weight"):
        layout.lora_half("model.norm.weight")
