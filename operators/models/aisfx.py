"""The default model: what a trained network hears beside what the cepstra say (572 numbers).

Two halves of equal weight. One is the aiSFX network (512) on a mel spectrogram limited to 40 dB
below its loudest cell, the other the statistics of 20 cepstral coefficients (mean, deviation,
deviation of the difference: 60) of a spectrogram limited likewise. The network knows sounds, the
cepstra withstand noise: together they find a sound again in noise far better than either alone.

Invariant: the space is named after the published tensors, the front end and the version of the
synthetic sounds. It depends neither on the machine nor on the arithmetic: bfloat16 turns a vector
by less than a degree. Digital silence gets a vector, but a meaningless one; better not to ask.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from operators.models import synthetic
from operators.models.artefact import read_manifest
from operators.models.cnn import LEAST_FRAMES, Cnn, misfit, tensor_shapes
from operators.models.compute import CHUNK, Runner, place
from operators.models.features import (
    FRONT_END,
    Cepstra,
    MelLevels,
    limited_db,
    moments,
    motion,
    power_spectra,
    soft_limited,
    unit,
)
from operators.models.normalisation import Normalisation
from operators.models.protocol import (
    BadWeightsError,
    ModelConfig,
    WeightsMissingError,
    space_name,
)
from operators.models.tensors import read_tensors
from operators.records import ANALYSIS_RATE_HZ, HOP_SAMPLES, Floats

NAME = "aisfx"
RECIPE = f"tensors v1, sounds v{synthetic.VERSION} x {synthetic.SOUNDS}"
PREFIX = "embedding_net."
"""What the names of the network's tensors begin with in the published checkpoint."""
_HALVES = {"network": 512, "cepstra": 60}
FULL_SCALE = 9.457799
"""Largest log level in the network's training data (its published pipeline divides by it)."""


@dataclass(frozen=True, slots=True)
class AisfxConfig(ModelConfig):
    """Configuration of the default model; ``weights`` is required to load it."""


class FrontEnd:
    """Windows to the raw features of the two halves, which are standardised afterwards.

    Args:
        network: on the device that the windows will be on.
        device: that one.
    """

    def __init__(self, network: Cnn, device: torch.device) -> None:
        self._network = network
        self._mel_96, self._mel_64 = MelLevels(96, device), MelLevels(64, device)
        self._cepstra = Cepstra(20, 64, device)

    def __call__(self, windows: Tensor) -> dict[str, Tensor]:
        """(n, samples) -> raw features by half, (n, 512) and (n, 60)."""
        spectra = power_spectra(windows)
        tracks = self._cepstra(limited_db(self._mel_64(spectra)))
        return {
            "network": self._network(soft_limited(self._mel_96(spectra)) / FULL_SCALE),
            "cepstra": torch.cat([moments(tracks), motion(tracks)], dim=1),
        }


class Aisfx:
    """The default model; see :class:`operators.models.protocol.Model` for what it promises.

    Raises:
        WeightsMissingError: no folder was given, or nothing is in it.
        BadWeightsError: the file of weights is damaged or not this network's.
    """

    config_type = AisfxConfig
    name = NAME
    sample_rate_hz = ANALYSIS_RATE_HZ
    window_s = 1.0
    hop_s = 0.5
    dimension = sum(_HALVES.values())

    def __init__(self, config: AisfxConfig) -> None:
        tensors, self.trained = read_folder(config.weights)
        placement = place(config)
        self.device, self.dtype = str(placement.device), placement.dtype_name
        self.space = space_name(NAME, fingerprint(tensors, FRONT_END), self.dimension)
        there = {name: tensor.to(placement.device) for name, tensor in tensors.items()}
        self._front_end = FrontEnd(Cnn(there, placement.dtype), placement.device)
        self._normalise = {
            half: Normalisation(there[f"{half}.mean"], there[f"{half}.scale"]) for half in _HALVES
        }
        self._run = Runner(
            self._vectors,
            placement,
            dimension=self.dimension,
            rate_hz=self.sample_rate_hz,
            least_samples=(LEAST_FRAMES - 1) * HOP_SAMPLES,
        )

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """(n, samples) -> (n, 572); the promise is the protocol's."""
        return self._run(windows, rate_hz)

    def _vectors(self, windows: Tensor) -> Tensor:
        features = self._front_end(windows)
        return unit(torch.cat([self._normalise[half](features[half]) for half in _HALVES], dim=1))


def prepare(checkpoint: Mapping[str, Tensor], sounds: Iterable[Floats]) -> dict[str, Tensor]:
    """Turns the published checkpoint into what this model loads.

    Keeps the embedding network, drops the classifiers, and adds the statistics of both halves over
    synthetic sounds, in float32 on every machine. Takes a few seconds.

    Args:
        checkpoint: tensors by their published names.
        sounds: windows to fit the statistics on: :func:`synthetic.synthetic_windows`.

    Raises:
        ValueError: the checkpoint is not this network's.
    """
    published = {name.removeprefix(PREFIX): tensor for name, tensor in checkpoint.items()}
    problem = misfit(published)
    if problem:
        raise ValueError(problem)
    tensors = {name: published[name].to(torch.float32) for name in tensor_shapes()}
    front_end = FrontEnd(Cnn(tensors, torch.float32), torch.device("cpu"))
    windows = torch.from_numpy(np.stack(list(sounds)))
    with torch.inference_mode():
        rows = [front_end(chunk) for chunk in torch.split(windows, CHUNK)]
    for half in _HALVES:
        statistics = Normalisation.fit(torch.cat([row[half] for row in rows]))
        tensors[f"{half}.mean"] = statistics.mean.clone()
        tensors[f"{half}.scale"] = statistics.scale.clone()
    return tensors


def read_folder(folder: Path | None) -> tuple[dict[str, Tensor], bool]:
    """Reads and checks what :func:`prepare` made: the tensors, and whether they were trained.

    Raises:
        WeightsMissingError: no folder was given, or nothing is in it.
        BadWeightsError: the file of weights is damaged or not this network's.
    """
    if folder is None:
        raise WeightsMissingError(NAME)
    manifest = read_manifest(NAME, folder, RECIPE)
    tensors = read_tensors(folder, manifest)
    problem = misfit(tensors) or _misfit_of_statistics(tensors)
    if problem:
        raise BadWeightsError(NAME, folder / manifest.file, problem)
    return tensors, manifest.trained


def _misfit_of_statistics(tensors: Mapping[str, Tensor]) -> str:
    for half, dimension in _HALVES.items():
        for name in (f"{half}.mean", f"{half}.scale"):
            if name not in tensors or tuple(tensors[name].shape) != (dimension,):
                return f"no tensor {name} of length {dimension}"
    return ""


def fingerprint(tensors: Mapping[str, Tensor], front_end: str) -> str:
    """Eight hexadecimal digits over front end, recipe and published tensors.

    The statistics are left out: they follow from the rest, to the rounding of one machine.
    """
    digest = hashlib.blake2b(f"{front_end}|{RECIPE}".encode(), digest_size=4)
    for name in tensor_shapes():
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
