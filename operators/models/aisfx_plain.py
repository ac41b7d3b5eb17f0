"""The network of the default model by itself, hearing as its authors made it hear (512 numbers).

Levels are absolute here and nothing is limited or standardised: log10(10,000 x + 1) of the power in
96 mel bands, divided by the largest value of the training data. So it hears the room behind a
sound, and how loud it all is; as a memory for single sounds it is far weaker than the default
model. At telling kinds of sounds, which it was trained for, it is level with it: a second, semantic
vector beside the first (``--model aisfx --model aisfx_plain``).

The pipeline is that of Ma and Lerch, "Representation learning for the automatic indexing of sound
effects libraries" (ISMIR 2022), as their package computes it through Essentia; its path through
librosa transposes the spectrogram and is not meant. Vectors are scaled to unit length.

Invariant: windows of 100 frames (2.3 s) give the published vectors. Other lengths are embedded as
they are, where the published code pads with zeros that it takes for silence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from operators.models.aisfx import FULL_SCALE, fingerprint, read_folder
from operators.models.cnn import LEAST_FRAMES, Cnn
from operators.models.compute import Runner, place
from operators.models.features import MelLevels, absolute_power_spectra, unit
from operators.models.protocol import ModelConfig, space_name
from operators.records import ANALYSIS_RATE_HZ, HOP_SAMPLES, Floats

NAME = "aisfx_plain"
FRONT_END = f"{ANALYSIS_RATE_HZ} Hz, hann 2048, hop {HOP_SAMPLES}, centred, htk mel, as published"
"""Enters the fingerprint of the space; change the arithmetic below and change these words."""
_STEEPNESS = 10_000.0


@dataclass(frozen=True, slots=True)
class AisfxPlainConfig(ModelConfig):
    """Configuration of the network by itself; ``weights`` is the folder of the model ``aisfx``."""


class AisfxPlain:
    """The network by itself; see :class:`operators.models.protocol.Model` for what it promises.

    Raises:
        WeightsMissingError: no folder was given, or nothing is in it.
        BadWeightsError: the file of weights is damaged or not this network's.
    """

    config_type = AisfxPlainConfig
    name = NAME
    sample_rate_hz = ANALYSIS_RATE_HZ
    window_s = 1.0
    hop_s = 0.5
    dimension = 512

    def __init__(self, config: AisfxPlainConfig) -> None:
        tensors, self.trained = read_folder(config.weights)
        placement = place(config)
        self.device, self.dtype = str(placement.device), placement.dtype_name
        self.space = space_name(NAME, fingerprint(tensors, FRONT_END), self.dimension)
        there = {name: tensor.to(placement.device) for name, tensor in tensors.items()}
        self._mel = MelLevels(96, placement.device)
        self._network = Cnn(there, placement.dtype)
        self._run = Runner(
            self._vectors,
            placement,
            dimension=self.dimension,
            rate_hz=self.sample_rate_hz,
            least_samples=(LEAST_FRAMES - 1) * HOP_SAMPLES,
        )

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """(n, samples) -> (n, 512), no number negative; the promise is the protocol's."""
        return self._run(windows, rate_hz)

    def _vectors(self, windows: Tensor) -> Tensor:
        power = self._mel.power(absolute_power_spectra(windows))
        return unit(self._network(torch.log10(_STEEPNESS * power + 1.0) / FULL_SCALE))
