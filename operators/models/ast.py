"""The Audio Spectrogram Transformer: patches of a log mel spectrogram, read like words.

Gong, Chung and Glass, "AST: Audio Spectrogram Transformer", 2021, https://arxiv.org/abs/2104.01778.
It was trained on ten seconds. A window is given as many columns of patches as it fills, and the
position embeddings of the first so many: for one second that is ten times cheaper than ten seconds
of padding. The vector is transformers' pooled output, the mean of the two leading tokens.

Invariant: what a window gives is what transformers gives for a feature extractor and a network
whose ``max_length`` is that window's. The length of the windows that a model was configured for
changes no vector.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import ASTFeatureExtractor, ASTModel

from operators.models import fbank
from operators.models.adapter import Adapter
from operators.models.fbank import Fbank
from operators.models.features import unit
from operators.models.pretrained import CONFIG, Architecture, open_folder
from operators.models.protocol import ModelConfig


class Ast(Adapter):
    """AST; ``weights`` is required."""

    architecture = Architecture(
        name="ast",
        model_type="audio-spectrogram-transformer",
        network=ASTModel,
        extractor=ASTFeatureExtractor,
        sample_rate_hz=fbank.RATE_HZ,
        decisive=(
            "frequency_stride",
            "hidden_act",
            "layer_norm_eps",
            "num_attention_heads",
            "time_stride",
        ),
    )

    def __init__(self, config: ModelConfig) -> None:
        folder = open_folder(self.architecture, config.weights)
        told, extractor = folder.config, folder.extractor
        folder.expect(CONFIG, "num_mel_bins", told.num_mel_bins, extractor.num_mel_bins)
        super().__init__(
            config,
            folder,
            least_samples=_samples(told.patch_size),
            most_samples=_samples(told.max_length + 1) - 1,
        )
        self._patch, self._stride = told.patch_size, told.time_stride
        self._columns = (told.max_length - told.patch_size) // told.time_stride + 1
        self._fbank = Fbank(told.num_mel_bins, self.placement.device)
        self._mean, self._scale = 0.0, 1.0
        if extractor.do_normalize:
            self._mean, self._scale = float(extractor.mean), 2.0 * float(extractor.std)
        recipe = f"{fbank.VERSION}, - {self._mean}, / {self._scale}, pooled, v1"
        self._identify(recipe, told.hidden_size)
        self.network.embeddings = CutEmbeddings(self.network.embeddings, self._columns)
        self._serve(self._vectors)

    def spectrograms(self, windows: Tensor) -> Tensor:
        """(n, samples) at 16 kHz -> (n, frames, bins): whole columns of patches, normalised.

        What a window lacks to its last column (less than the columns' distance) is zeros before
        normalisation, as in the feature extractor; a column that would reach beyond what the
        network was trained on is left out, as there.
        """
        bands = self._fbank(windows)
        columns = -(-(bands.shape[1] - self._patch) // self._stride) + 1
        length = (min(columns, self._columns) - 1) * self._stride + self._patch
        lacking = max(0, length - bands.shape[1])
        padded: Tensor = torch.nn.functional.pad(bands, (0, 0, 0, lacking))[:, :length]
        return (padded - self._mean) / self._scale

    def _vectors(self, windows: Tensor) -> Tensor:
        heard = self.spectrograms(windows).to(self.placement.dtype)
        return unit(self.network(heard).pooler_output.to(torch.float32))


class CutEmbeddings(torch.nn.Module):
    """AST's embeddings for spectrograms of any length up to the one it was trained on.

    Args:
        embeddings: transformers' module.
        columns: patches along time that it was trained on.
    """

    tokens: Tensor
    positions: Tensor

    def __init__(self, embeddings: Any, columns: int) -> None:
        super().__init__()
        positions = embeddings.position_embeddings[0]
        tokens = torch.cat([embeddings.cls_token[0], embeddings.distillation_token[0]])
        self.patch_embeddings: Callable[[Tensor], Tensor] = embeddings.patch_embeddings
        self.register_buffer("tokens", tokens + positions[:2])
        self.register_buffer("positions", positions[2:].unflatten(0, (-1, columns)))

    def forward(self, input_values: Tensor) -> Tensor:
        """(n, frames, bins) -> (n, 2 + rows * columns, hidden size), row by row of frequency."""
        patches = self.patch_embeddings(input_values)
        columns = patches.shape[1] // len(self.positions)
        patches = patches + self.positions[:, :columns].flatten(0, 1)
        return torch.cat([self.tokens.expand(len(patches), -1, -1), patches], dim=1)


def _samples(frames: int) -> int:
    """The shortest window of so many frames."""
    return (frames - 1) * fbank.HOP_SAMPLES + fbank.FRAME_SAMPLES
