"""Everything of GAMA that is not the language model: a spectrogram becomes words' neighbours.

Ghosh et al., "GAMA: A Large Audio-Language Model with Advanced Audio Understanding and Complex
Reasoning Abilities", EMNLP 2024, https://arxiv.org/abs/2406.11768. The encoder's patches become
one token a column; a Q-Former asks them its questions, and an aggregator of two BERT layers reads
them as they are. Each branch is projected to the width of the language model.

Invariant: a spectrogram's tokens do not depend on its companions in a batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from operators.models.gama.bert import Layer, QFormer, query_tokens
from operators.models.gama.encoder import Encoder
from operators.models.gama.shape import Shape

_SCALE = 50.0
"""The encoder's tokens are divided by it before anything listens to them."""


class Heard(NamedTuple):
    """What the two branches made of spectrograms: (n, q, width) and (n, columns, width)."""

    answers: Tensor
    aggregated: Tensor


class AudioSide(nn.Module):
    """Encoder, Q-Former, aggregator and projections, under their published names.

    Args:
        shape: sizes.
        language_width: of the language model's embeddings.
    """

    def __init__(self, shape: Shape, language_width: int) -> None:
        super().__init__()
        self._shape = shape
        self.audio_encoder = Encoder(shape)
        self.qformer_proj_norm = nn.LayerNorm(shape.width)
        self.query_tokens = query_tokens(shape)
        self.Qformer = QFormer(shape)
        self.audio_aggregator_layer_1 = Layer(shape, cross=shape.multi_layer)
        self.audio_aggregator_layer_2 = Layer(shape, cross=shape.multi_layer)
        self._plain_norm = nn.LayerNorm(shape.width, elementwise_affine=False)
        self.audio_proj_qformer = _projection(shape.width, language_width)
        self.audio_proj_audioenc = _projection(shape.width, language_width)

    def hear(self, levels: Tensor) -> Heard:
        """(n, frames, bands) normalised levels -> what both branches make of them."""
        tokens, *between = [self._columns(patches) for patches in self.audio_encoder(levels)]
        # Without the middle layers the aggregator has no cross-attention, and looks at nothing.
        first, second = between or (tokens, tokens)
        aggregated = self.audio_aggregator_layer_1(tokens, first)
        aggregated = self.audio_aggregator_layer_2(aggregated, second)
        answers = self.Qformer(self.query_tokens, self.qformer_proj_norm(tokens))
        return Heard(answers, aggregated)

    def forward(self, levels: Tensor) -> Tensor:
        """(n, frames, bands) -> (n, q + columns, language width): the prefix of a prompt."""
        heard = self.hear(levels)
        return torch.cat(
            [
                self.audio_proj_qformer(self._plain_norm(heard.answers)),
                self.audio_proj_audioenc(self._plain_norm(heard.aggregated)),
            ],
            dim=1,
        )

    def _columns(self, patches: Tensor) -> Tensor:
        """(n, rows * columns, width) -> (n, columns, width): the mean over frequency, scaled."""
        n, _, width = patches.shape
        rows = patches.reshape(n, self._shape.rows, self._shape.columns, width)
        return rows.mean(dim=1) / _SCALE


def _projection(width: int, language_width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, language_width), nn.GELU(), nn.Linear(language_width, language_width)
    )
