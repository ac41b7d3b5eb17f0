"""CLAP: sounds and sentences in one space, so that words find sounds.

Wu et al., "Large-scale contrastive language-audio pretraining with feature fusion and
keyword-to-caption augmentation", 2023, https://arxiv.org/abs/2211.06687. An audio transformer
(HTS-AT) and RoBERTa, each projected to a common length, taught to agree on pairs of clip and
caption.

Invariant: a sentence is embedded alone, so that its vector depends on no companion and no padding.
The words of the tokenizer are looked up when the first sentence comes; listening needs none.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import ClapFeatureExtractor, ClapModel, RobertaTokenizer

from operators.models.adapter import Adapter
from operators.models.clap_mel import PADDINGS, ClapMel
from operators.models.compute import Placement
from operators.models.features import unit
from operators.models.pretrained import (
    CONFIG,
    EXTRACTOR,
    Architecture,
    Folder,
    open_folder,
    quiet,
)
from operators.models.protocol import ModelConfig, ModelError, WeightsMissingError
from operators.records import Floats

RATE_HZ = 48_000
TOKENIZER = "tokenizer.json"
_VOCABULARY = ("vocab.json", "merges.txt")
_AUDIO = (
    "enable_fusion",
    "hidden_act",
    "layer_norm_eps",
    "num_attention_heads",
    "patch_stride",
    "spec_size",
    "window_size",
)
_TEXT = ("hidden_act", "layer_norm_eps", "num_attention_heads")


class Clap(Adapter):
    """CLAP, fused or not; ``weights`` is required. Also a ``TextModel``."""

    architecture = Architecture(
        name="clap",
        model_type="clap",
        network=ClapModel,
        extractor=ClapFeatureExtractor,
        sample_rate_hz=RATE_HZ,
        decisive=(
            "projection_hidden_act",
            *(f"audio_config.{field}" for field in _AUDIO),
            *(f"text_config.{field}" for field in _TEXT),
        ),
        idle=("logit_scale_a", "logit_scale_t"),  # temperatures of training
    )

    def __init__(self, config: ModelConfig) -> None:
        folder = open_folder(self.architecture, config.weights)
        _check(folder)
        front_end = ClapMel(folder.extractor)
        super().__init__(config, folder, least_samples=1, most_samples=front_end.most_samples)
        self._mel = ClapMel(folder.extractor, self.placement.device)
        self._tokenizer: Any = None
        self._identify(front_end.recipe, folder.config.projection_dim)
        encoder = self.network.audio_model.audio_encoder
        encoder.batch_norm = LevelNorm(encoder.batch_norm, self.placement)
        self._serve(self._vectors)

    def embed_text(self, texts: Sequence[str]) -> Floats:
        """Sentences -> (n, ``dimension``) float32 of unit length, in the space of the sounds.

        Raises:
            ModelError: a sentence without words, or with more than the model reads.
            WeightsMissingError: the folder holds no tokenizer.
        """
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            with torch.inference_mode():
                told = self.network.get_text_features(self._tokens(text)).pooler_output
                rows[row] = unit(told.to(torch.float32)).cpu().numpy()[0]
        return rows

    def _vectors(self, windows: Tensor) -> Tensor:
        levels = self._mel(windows)[:, None]
        not_longer = torch.zeros(len(windows), 1, dtype=torch.bool, device=windows.device)
        heard = self.network.get_audio_features(levels, is_longer=not_longer)
        return unit(heard.pooler_output.to(torch.float32))

    def _tokens(self, text: str) -> Tensor:
        """(1, tokens) numbers of a sentence."""
        if not text.strip():
            raise ModelError("a text without words: say what it sounds like, as in 'a dog barks'")
        with quiet():
            if self._tokenizer is None:
                self._tokenizer = _tokenizer(self.folder)
            tokens: Tensor = self._tokenizer(text, return_tensors="pt")["input_ids"]
        told = self.folder.config.text_config
        most = told.max_position_embeddings - told.pad_token_id - 1
        if tokens.shape[1] > most:
            raise ModelError(
                f"a text of {tokens.shape[1]} tokens: {self.name} reads {most}; say it shorter"
            )
        return tokens.to(self.placement.device)


class LevelNorm(torch.nn.Module):
    """The network's batch norm, the layer that meets decibels, in float32 whatever follows it.

    bfloat16 has eight bits: at -60 dB its steps are a quarter of a decibel, after this layer a
    hundredth of a band's deviation at most.

    Args:
        norm: a ``BatchNorm2d`` in evaluation, by band.
        placement: where it runs, and in what arithmetic its output goes on.
    """

    def __init__(self, norm: Any, placement: Placement) -> None:
        super().__init__()
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        # Plain attributes, not buffers: these stay what they are when the network is converted.
        self._scale = scale[:, None, None].to(placement.device)
        self._shift = (norm.bias - norm.running_mean * scale)[:, None, None].to(placement.device)
        self._dtype = placement.dtype

    def forward(self, levels: Tensor) -> Tensor:
        """(n, bands, frames, pictures) in dB -> the same shape in the network's arithmetic."""
        found: Tensor = levels * self._scale + self._shift
        return found.to(self._dtype)


def _check(folder: Folder) -> None:
    """Refuses a folder whose extractor and audio network do not fit together."""
    extractor, audio = folder.extractor, folder.config.audio_config
    folder.expect(CONFIG, "num_mel_bins", audio.num_mel_bins, extractor.feature_size)
    if extractor.truncation == "fusion" and not audio.enable_fusion:
        raise folder.bad(EXTRACTOR, "truncation is 'fusion', the network has no fusion")
    if extractor.padding not in PADDINGS:
        known = ", ".join(PADDINGS)
        raise folder.bad(EXTRACTOR, f"padding is {extractor.padding!r}, expected {known}")
    frames = 1 + extractor.nb_max_samples // extractor.hop_length
    most = audio.spec_size * (audio.spec_size // audio.num_mel_bins)
    if frames > most:
        raise folder.bad(EXTRACTOR, f"{frames} frames, the network takes {most}")


def _tokenizer(folder: Folder) -> Any:
    found = [name for name in (TOKENIZER, *_VOCABULARY) if (folder.path / name).is_file()]
    if TOKENIZER not in found and len(found) < len(_VOCABULARY):
        raise WeightsMissingError(
            folder.architecture.name,
            folder.path,
            f"no {TOKENIZER} there; save the model's tokenizer beside it to search by words",
        )
    try:
        return RobertaTokenizer.from_pretrained(folder.path, local_files_only=True)
    except Exception as error:  # whatever the tokenizer makes of a damaged file
        raise folder.bad(found[0], "cannot be read as a tokenizer") from error
