"""The layers against transformers' own, which were written by others from the same papers."""

import torch
import transformers
from torch import Tensor, nn
from transformers.models.audio_spectrogram_transformer import (
    modeling_audio_spectrogram_transformer as ast,
)

from operators.models.gama.audio_side import AudioSide
from operators.models.gama.bert import Layer, QFormer, query_tokens
from operators.models.gama.encoder import Block, Encoder
from operators.models.gama.shape import Shape
from tests.plugins.folders import randomise

SMALL = Shape(width=24, heads=3, own_blocks=3, frames=64, queries=5, query_layers=3)
ARCHITECTURE = {
    "hidden_size": SMALL.width,
    "num_attention_heads": SMALL.heads,
    "intermediate_size": 4 * SMALL.width,
    "attn_implementation": "eager",
}


def random(*size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(sum(size)))


def drawn(module: nn.Module, seed: int = 3) -> nn.Module:
    randomise(module, seed)
    return module.eval().requires_grad_(False)


def renamed(module: nn.Module, *changes: tuple[str, str]) -> dict[str, Tensor]:
    tensors = {}
    for name, tensor in module.state_dict().items():
        new = name
        for ours, theirs in changes:
            new = new.replace(ours, theirs)
        tensors[new] = tensor
    return tensors


def test_the_encoders_blocks_are_those_of_a_vision_transformer() -> None:
    ours = drawn(Block(SMALL, "_a"))
    config = transformers.ASTConfig(**ARCHITECTURE, num_hidden_layers=1, layer_norm_eps=1e-5)
    theirs = ast.ASTLayer(config).eval()
    tensors = renamed(
        ours,
        ("norm1_a", "layernorm_before"),
        ("norm2_a", "layernorm_after"),
        ("attn.proj", "attention.o_proj"),
    )
    names = ("attention.q_proj", "attention.k_proj", "attention.v_proj")
    for kind in ("weight", "bias"):
        parts = tensors.pop(f"attn.qkv.{kind}").chunk(3)
        tensors |= {f"{name}.{kind}": part for name, part in zip(names, parts, strict=True)}
    theirs.load_state_dict(tensors)
    tokens = random(2, 7, SMALL.width)
    found = theirs(tokens)
    assert torch.allclose(ours(tokens), found[0] if isinstance(found, tuple) else found, atol=1e-5)


def test_the_q_former_is_blip_2s() -> None:
    ours = drawn(QFormer(SMALL))
    config = transformers.Blip2QFormerConfig(
        **ARCHITECTURE,
        num_hidden_layers=SMALL.query_layers,
        cross_attention_frequency=2,
        encoder_hidden_size=SMALL.width,
        layer_norm_eps=1e-12,
    )
    theirs = transformers.Blip2QFormerModel(config).eval()
    theirs.load_state_dict(
        renamed(
            ours,
            ("bert.embeddings.LayerNorm", "layernorm"),
            ("bert.encoder", "encoder"),
            (".self.", ".attention."),
        ),
        strict=True,
    )
    queries, sound = random(1, SMALL.queries, SMALL.width), random(2, 9, SMALL.width)
    expected = theirs(
        query_embeds=queries.expand(2, -1, -1), encoder_hidden_states=sound
    ).last_hidden_state
    assert torch.allclose(ours(queries, sound), expected, atol=1e-5)


def test_the_aggregators_layers_are_berts() -> None:
    config = transformers.BertConfig(
        **ARCHITECTURE, is_decoder=True, add_cross_attention=True, layer_norm_eps=1e-12
    )
    tokens, others = random(2, 7, SMALL.width), random(2, 9, SMALL.width)
    for cross in (False, True):
        ours = drawn(Layer(SMALL, cross=cross))
        theirs = transformers.models.bert.modeling_bert.BertLayer(config).eval()
        problems = theirs.load_state_dict(ours.state_dict(), strict=False)
        assert not problems.unexpected_keys
        found = theirs(tokens, encoder_hidden_states=others if cross else None)
        expected = found[0] if isinstance(found, tuple) else found
        assert torch.allclose(ours(tokens, others), expected, atol=1e-5)


def test_patches_run_along_time_within_a_row_of_frequency() -> None:
    encoder = Encoder(SMALL)
    with torch.no_grad():
        encoder.patch_embed_a.proj.weight.fill_(1 / SMALL.patch**2)
        encoder.patch_embed_a.proj.bias.zero_()
    levels = torch.zeros(1, SMALL.frames, SMALL.bands)
    levels[0, 17, 40] = 256.0  # second column, third row
    patches = encoder.patch_embed_a(levels)[0, :, 0]
    assert patches.nonzero().tolist() == [[2 * SMALL.columns + 1]]


def test_tokens_are_the_mean_over_frequency_divided_by_fifty() -> None:
    side = AudioSide(SMALL, 8)
    patches = torch.arange(SMALL.rows * SMALL.columns, dtype=torch.float32)
    tokens = side._columns(patches.reshape(1, -1, 1))[0, :, 0]
    middle = (SMALL.rows - 1) / 2 * SMALL.columns
    assert torch.allclose(tokens, (middle + torch.arange(SMALL.columns)) / 50)


def test_the_prefix_is_the_q_formers_answers_then_the_aggregators_tokens() -> None:
    side = drawn(AudioSide(SMALL, 8))
    levels = random(3, SMALL.frames, SMALL.bands)
    prefix, heard = side(levels), side.hear(levels)
    assert prefix.shape == (3, SMALL.queries + SMALL.columns, 8)
    norm = nn.LayerNorm(SMALL.width, elementwise_affine=False)
    assert torch.equal(prefix[:, : SMALL.queries], side.audio_proj_qformer(norm(heard.answers)))
    assert torch.equal(prefix[:, SMALL.queries :], side.audio_proj_audioenc(norm(heard.aggregated)))


def test_a_spectrogram_does_not_depend_on_its_companions() -> None:
    side = drawn(AudioSide(SMALL, 8))
    levels = random(4, SMALL.frames, SMALL.bands)
    together = side(levels)
    alone = torch.cat([side(row[None]) for row in levels])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_released_aggregator_does_not_hear_the_middle_layers_and_the_papers_does() -> None:
    released, paper = drawn(AudioSide(SMALL, 8)), Shape(**{**_fields(SMALL), "multi_layer": True})
    attentive = drawn(AudioSide(paper, 8))
    problems = attentive.load_state_dict(released.state_dict(), strict=False)
    assert not problems.unexpected_keys
    assert all(".crossattention." in n or ".norm_" in n for n in problems.missing_keys)
    levels = random(1, SMALL.frames, SMALL.bands)
    plain, heard = released.hear(levels), attentive.hear(levels)
    assert torch.allclose(plain.answers, heard.answers)
    assert not torch.allclose(plain.aggregated, heard.aggregated, atol=1e-2)
    attentive.audio_encoder.norm_k.bias.add_(1.0)  # heard by the second layer only
    assert not torch.allclose(heard.aggregated, attentive.hear(levels).aggregated, atol=1e-3)


def test_the_first_layer_of_the_papers_aggregator_listens_two_thirds_of_the_way() -> None:
    shape = Shape(**{**_fields(SMALL), "own_blocks": 5, "multi_layer": True})
    encoder = drawn(Encoder(shape))
    levels = random(1, SMALL.frames, SMALL.bands)
    patches = encoder.patch_embed_a(levels) + encoder.pos_embed_a + encoder.modality_a
    after = []
    for block in encoder.blocks_a:
        patches = block(patches)
        after.append(patches)
    _, first, second = encoder(levels)
    assert shape.taps == (2, 4)
    assert torch.equal(first, encoder.norm_j(after[4]))
    assert torch.equal(second, encoder.norm_k(after[2]))


def test_queries_begin_at_nought_until_they_are_loaded() -> None:
    assert query_tokens(SMALL).shape == (1, SMALL.queries, SMALL.width)


def _fields(shape: Shape) -> dict[str, int | bool]:
    return {name: getattr(shape, name) for name in Shape.__slots__}
