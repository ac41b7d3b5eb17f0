"""Models that listen to the waveform itself: wav2vec 2.0, HuBERT, WavLM and data2vec.

Convolutions turn 16 kHz into 50 frames a second, a transformer reads them; the vector of a window
is the mean of its frames, of the last layer or of one that is chosen (lower layers say more of the
sound, higher ones more of what is said). Where the feature extractor asks for it, a window is first
brought to mean 0 and variance 1, and then its gain changes nothing.

    Baevski et al. 2020, https://arxiv.org/abs/2006.11477 (wav2vec 2.0)
    Hsu et al. 2021, https://arxiv.org/abs/2106.07447 (HuBERT)
    Chen et al. 2022, https://arxiv.org/abs/2110.13900 (WavLM)
    Baevski et al. 2022, https://arxiv.org/abs/2202.03555 (data2vec)

Invariant: all frames of a window count and no others: nothing is padded. Layers above the chosen
one are cut off and cost nothing.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    Data2VecAudioModel,
    HubertModel,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMModel,
)

from operators.models.adapter import Adapter
from operators.models.features import unit
from operators.models.pretrained import Architecture, open_folder
from operators.models.protocol import ModelConfig, ModelConfigError

RATE_HZ = 16_000
_VARIANCE_FLOOR = 1e-7
"""As the feature extractor has it: silence stays silence."""
_DECISIVE = (
    "adapter_stride",
    "conv_stride",
    "do_stable_layer_norm",
    "feat_extract_activation",
    "feat_extract_norm",
    "hidden_act",
    "layer_norm_eps",
    "max_bucket_distance",
    "num_attention_heads",
    "num_conv_pos_embedding_groups",
)


@dataclass(frozen=True, slots=True)
class WaveformConfig(ModelConfig):
    """Configuration of a model that listens to the waveform; ``weights`` is required.

    Attributes:
        layer: the layer whose frames are averaged: 0 is what the first one is given, n the output
            of the n-th; None is the last, after the final normalisation where there is one.

    Raises:
        ModelConfigError: a value out of its range.
    """

    layer: int | None = None

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.layer is not None and self.layer < 0:
            raise ModelConfigError(f"layer = {self.layer}: give 0 or more")


class Waveform(Adapter):
    """The common part of the four; they differ in their networks only."""

    config_type = WaveformConfig

    def __init__(self, config: WaveformConfig) -> None:
        folder = open_folder(self.architecture, config.weights)
        layers = folder.config.num_hidden_layers
        if config.layer is not None and config.layer > layers:
            raise ModelConfigError(
                f"layer = {config.layer}: this {self.name} has layers 0 to {layers}"
            )
        super().__init__(config, folder, least_samples=receptive_field(folder.config))
        whole = config.layer is None or config.layer == layers
        if config.layer is not None and not whole:
            _cut(self.network, config.layer)
        widened = whole and getattr(folder.config, "add_adapter", False)
        self._normalise = bool(folder.extractor.do_normalize)
        recipe = f"waveform at {RATE_HZ} Hz, normalised: {self._normalise}, mean of frames, v1"
        told = folder.config
        self._identify(recipe, told.output_hidden_size if widened else told.hidden_size)
        self._serve(self._vectors)

    def _vectors(self, windows: Tensor) -> Tensor:
        heard = normalised(windows) if self._normalise else windows
        frames = self.network(heard.to(self.placement.dtype)).last_hidden_state
        return unit(frames.to(torch.float32).mean(dim=1))


def normalised(windows: Tensor) -> Tensor:
    """(n, samples) -> the same with mean 0 and variance 1 each, as the feature extractor does."""
    centred = windows - windows.mean(dim=1, keepdim=True)
    variance = centred.square().mean(dim=1, keepdim=True)
    return centred / (variance + _VARIANCE_FLOOR).sqrt()


def receptive_field(config: Any) -> int:
    """Samples that the convolutions need for one frame."""
    samples = 1
    for kernel, stride in zip(config.conv_kernel[::-1], config.conv_stride[::-1], strict=True):
        samples = (samples - 1) * stride + kernel
    return int(samples)


def _cut(network: Any, layer: int) -> None:
    """Leaves the layers up to one; what would follow the last is not its output."""
    network.encoder.layers = network.encoder.layers[:layer]
    if getattr(network.config, "do_stable_layer_norm", False):
        network.encoder.layer_norm = torch.nn.Identity()
    network.adapter = None


def _architecture(name: str, model_type: str, network: Any) -> Architecture:
    return Architecture(
        name=name,
        model_type=model_type,
        network=network,
        extractor=Wav2Vec2FeatureExtractor,
        sample_rate_hz=RATE_HZ,
        decisive=_DECISIVE,
        idle=("masked_spec_embed",),  # stands for masked frames in training
    )


class Wav2vec2(Waveform):
    """wav2vec 2.0, and XLS-R and MMS, which are the same network."""

    architecture = _architecture("wav2vec2", "wav2vec2", Wav2Vec2Model)


class Hubert(Waveform):
    """HuBERT."""

    architecture = _architecture("hubert", "hubert", HubertModel)


class Wavlm(Waveform):
    """WavLM."""

    architecture = _architecture("wavlm", "wavlm", WavLMModel)


class Data2vec(Waveform):
    """data2vec, its audio network."""

    architecture = _architecture("data2vec", "data2vec-audio", Data2VecAudioModel)
