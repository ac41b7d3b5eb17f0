from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators.models import artefact, configure, load
from operators.models.aisfx import PREFIX, RECIPE, Aisfx, AisfxConfig, prepare
from operators.models.cnn import tensor_shapes
from operators.models.protocol import BadWeightsError, Dtype, WeightsMissingError
from operators.models.synthetic import synthetic_windows
from operators.models.tensors import encode

SPACE = "aisfx-2edf774e-572"


def checkpoint(seed: int = 0) -> dict[str, Tensor]:
    """Random tensors under the published names, classifiers included."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        PREFIX + name: torch.rand(shape, generator=generator) + 0.1
        if len(shape) == 1
        else torch.randn(shape, generator=generator) * (2.0 / (shape[1] * 9)) ** 0.5
        for name, shape in tensor_shapes().items()
    }
    return tensors | {"fc.0.0.weight": torch.zeros(256, 512)}


def stored(folder: Path, tensors: dict[str, Tensor], recipe: str = RECIPE) -> Path:
    content = encode(tensors)
    manifest = artefact.Manifest(
        model="aisfx",
        recipe=recipe,
        file="w.safetensors",
        size_bytes=len(content),
        sha256=artefact.sha256(content),
        source="random",
        source_sha256="",
        licence="none",
        trained=False,
    )
    folder.mkdir(exist_ok=True)
    (folder / manifest.file).write_bytes(content)
    (folder / artefact.MANIFEST).write_text(manifest.to_json())
    return folder


@pytest.fixture(scope="module")
def prepared() -> dict[str, Tensor]:
    return prepare(checkpoint(), synthetic_windows(9))


def chirp() -> NDArray[np.float32]:
    time = np.arange(44_100) / 44_100
    wave = np.sin(2 * np.pi * (200.0 * time + 4_000.0 * time**2)) * np.exp(-3.0 * time)
    return (0.3 * wave).astype(np.float32)[None]


def vector(folder: Path, dtype: Dtype) -> NDArray[np.float32]:
    return np.asarray(Aisfx(AisfxConfig(weights=folder, dtype=dtype)).embed(chirp())[0])


def test_the_space_and_its_vectors_stay_what_they_are(aisfx_folder: Path) -> None:
    """Vectors of different days must compare: whoever changes these numbers changes the space."""
    assert load("aisfx", configure("aisfx", weights=aisfx_folder)).space == SPACE
    found = vector(aisfx_folder, "float32")
    assert found[[0, 100, 300, 500]] == pytest.approx(NETWORK, abs=2e-4)
    assert found[[512, 513, 540, 571]] == pytest.approx(CEPSTRA, abs=2e-4)


def test_both_halves_weigh_the_same(aisfx_folder: Path) -> None:
    found = vector(aisfx_folder, "float32")
    assert np.linalg.norm(found[:512]) == pytest.approx(2**-0.5, abs=1e-4)


def test_bfloat16_lives_in_the_same_space(aisfx_folder: Path) -> None:
    coarse, fine = vector(aisfx_folder, "bfloat16"), vector(aisfx_folder, "float32")
    assert float(coarse @ fine) > 0.9995


def test_random_weights_say_so_and_have_a_space_of_their_own(
    prepared: dict[str, Tensor], tmp_path: Path
) -> None:
    one = Aisfx(AisfxConfig(weights=stored(tmp_path / "one", prepared)))
    other_tensors = prepared | {"conv_block1.bn1.bias": prepared["conv_block1.bn1.bias"] + 1e-6}
    other = Aisfx(AisfxConfig(weights=stored(tmp_path / "other", other_tensors)))
    assert not one.trained
    assert len({one.space, other.space, SPACE}) == 3


def test_statistics_computed_on_another_machine_do_not_make_another_space(
    prepared: dict[str, Tensor], tmp_path: Path
) -> None:
    elsewhere = prepared | {"network.mean": prepared["network.mean"] * (1 + 1e-6)}
    spaces = {
        Aisfx(AisfxConfig(weights=stored(tmp_path / name, tensors))).space
        for name, tensors in (("here", prepared), ("there", elsewhere))
    }
    assert len(spaces) == 1


def test_preparing_keeps_the_network_and_drops_the_classifiers(prepared: dict[str, Tensor]) -> None:
    statistics = {f"{half}.{what}" for half in ("network", "cepstra") for what in ("mean", "scale")}
    assert set(prepared) == set(tensor_shapes()) | statistics
    again = prepare(checkpoint(), synthetic_windows(9))
    assert all(torch.equal(prepared[name], again[name]) for name in prepared)


def test_a_checkpoint_of_something_else_is_not_prepared() -> None:
    with pytest.raises(ValueError, match=r"no tensor conv_block1\.conv1\.weight"):
        prepare({"layer.weight": torch.zeros(1)}, synthetic_windows(1))


@pytest.mark.parametrize("missing", ["conv_block2.conv1.weight", "cepstra.scale"])
def test_incomplete_weights_are_named_with_the_remedy(
    prepared: dict[str, Tensor], tmp_path: Path, missing: str
) -> None:
    tensors = {name: tensor for name, tensor in prepared.items() if name != missing}
    with pytest.raises(BadWeightsError, match=f"no tensor {missing}.*grym models pull aisfx"):
        Aisfx(AisfxConfig(weights=stored(tmp_path, tensors)))


def test_weights_of_another_recipe_are_not_taken(
    prepared: dict[str, Tensor], tmp_path: Path
) -> None:
    with pytest.raises(BadWeightsError, match="made for aisfx 'old'"):
        Aisfx(AisfxConfig(weights=stored(tmp_path, prepared, recipe="old")))


def test_an_empty_folder_is_missing_weights(tmp_path: Path) -> None:
    config = AisfxConfig(weights=tmp_path)
    for asked in (config, replace(config, weights=tmp_path / "absent"), AisfxConfig()):
        with pytest.raises(WeightsMissingError, match="grym models pull aisfx"):
            Aisfx(asked)


NETWORK = [-0.0281, -0.03741, -0.01759, -0.02095]
CEPSTRA = [-0.0487, -0.03764, 0.12067, 0.15301]
