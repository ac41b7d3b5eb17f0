"""The network by itself against vectors that its authors' code computed.

``fixtures/aisfx_published.npz`` was made once from the wheel ``aisfx==0.1.2`` (sha256
bfe21995...d194) and its checkpoint: each of the sounds below, written as a float32 WAV file of
44.1 kHz, went through the wheel's ``spectrogram_essentia.compute_spectrogram`` (frames of 2,048, a
hop of 1,024, 96 bands, 0 to 22,050 Hz; essentia 2.1b6.dev1389), ``spectrogram_normalize``,
``blocking`` (one block of 100 frames) and ``CrossNet.get_embedding``. The wheel's path through
librosa hands the network a transposed spectrogram, which it was not trained on; it was not used.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from operators.models import configure, load
from operators.models.aisfx import FrontEnd, read_folder
from operators.models.aisfx_plain import AisfxPlain, AisfxPlainConfig
from operators.models.cnn import Cnn
from operators.models.features import MelLevels, absolute_power_spectra, unit
from operators.models.protocol import Dtype, WeightsMissingError
from operators.records import ANALYSIS_RATE_HZ, HOP_SAMPLES

PUBLISHED = Path(__file__).parent / "fixtures" / "aisfx_published.npz"
SAMPLES = 99 * HOP_SAMPLES  # 100 frames, centred: the authors' block


def sounds() -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Full scale is never reached: Essentia clips there, grym does not."""
    time = np.arange(SAMPLES) / ANALYSIS_RATE_HZ
    rng = np.random.default_rng(20261123)
    yield "chirp", 0.5 * np.sin(2 * np.pi * (200 * time + 1500 * time**2)) * np.exp(-time)
    partials = [np.sin(2 * np.pi * 220 * k * time) * np.exp(-k * time) / k for k in range(1, 9)]
    yield "partials", 0.3 * np.sum(partials, axis=0)
    yield "noise", 0.1 * rng.standard_normal(SAMPLES)
    yield "hum", 0.02 * np.sign(np.sin(2 * np.pi * 100 * time))
    yield "pulses", 0.15 * rng.standard_normal(SAMPLES) * (np.mod(time * 5, 1) < 0.2)
    yield "faint", 0.001 * np.sin(2 * np.pi * 440 * time * (1 + 0.1 * np.sin(6 * np.pi * time) / 3))


def windows() -> NDArray[np.float32]:
    return np.stack([sound for _, sound in sounds()]).astype(np.float32)


def published() -> NDArray[np.float32]:
    """The reference, scaled to unit length as every model of grym scales its vectors."""
    with np.load(PUBLISHED) as stored:
        rows = np.stack([stored[name] for name, _ in sounds()])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def plain(folder: Path, dtype: Dtype = "float32") -> AisfxPlain:
    return AisfxPlain(AisfxPlainConfig(weights=folder, dtype=dtype))


def test_vectors_are_those_of_the_published_code(aisfx_folder: Path) -> None:
    cosines = (plain(aisfx_folder).embed(windows()) * published()).sum(axis=1)
    assert cosines.min() > 0.99999


def test_bfloat16_stays_with_the_published_vectors(aisfx_folder: Path) -> None:
    cosines = (plain(aisfx_folder, "bfloat16").embed(windows()) * published()).sum(axis=1)
    assert cosines.min() > 0.999


def test_at_the_level_where_the_limit_lies_the_default_model_hears_the_same(
    aisfx_folder: Path,
) -> None:
    """Where the loudest cell has power 1, the knee of 40 dB is the published logarithm's own."""
    tensors, _ = read_folder(aisfx_folder)
    spectra = absolute_power_spectra(torch.from_numpy(windows()))
    loudest = MelLevels(96).power(spectra).amax(dim=(1, 2))
    level = windows() / np.sqrt(loudest.numpy())[:, None]
    limited = FrontEnd(Cnn(tensors, torch.float32), torch.device("cpu"))(torch.from_numpy(level))[
        "network"
    ]
    cosines = (plain(aisfx_folder).embed(level) * unit(limited).numpy()).sum(axis=1)
    assert cosines.min() > 0.99999


def test_the_reference_tells_the_sounds_apart() -> None:
    """So that agreeing with it means something."""
    rows = published()
    assert (rows @ rows.T)[~np.eye(len(rows), dtype=bool)].max() < 0.9


def test_the_space_is_its_own_and_stays_what_it_is(aisfx_folder: Path) -> None:
    model = load("aisfx_plain", configure("aisfx_plain", weights=aisfx_folder))
    assert model.space == SPACE
    assert model.trained
    assert model.space != load("aisfx", configure("aisfx", weights=aisfx_folder)).space


def test_it_hears_how_loud_a_sound_is(aisfx_folder: Path) -> None:
    model = plain(aisfx_folder)
    loud, quiet = model.embed(windows()), model.embed(windows() * np.float32(0.003))
    assert (loud * quiet).sum(axis=1).max() < 0.99


def test_windows_of_other_lengths_are_embedded_as_they_are(aisfx_folder: Path) -> None:
    model = plain(aisfx_folder)
    second = windows()[:, :ANALYSIS_RATE_HZ]
    padded = np.pad(second, [(0, 0), (0, SAMPLES - ANALYSIS_RATE_HZ)])
    found = model.embed(second)
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert (found * model.embed(padded)).sum(axis=1).min() < 0.999


def test_without_the_weights_of_aisfx_it_says_what_to_run(tmp_path: Path) -> None:
    for config in (AisfxPlainConfig(), AisfxPlainConfig(weights=tmp_path / "absent")):
        with pytest.raises(WeightsMissingError, match="grym models pull aisfx"):
            AisfxPlain(config)


SPACE = "aisfx_plain-1bd96493-512"
