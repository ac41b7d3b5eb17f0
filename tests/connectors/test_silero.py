"""The network that tells speech: fetched, verified, stored as it is."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from connectors import silero, weights
from connectors.wheel import DownloadError, Wheel, _verified
from operators.models import artefact
from operators.speech import NAME, RECIPE, Vad


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From the package index into an empty cache, once."""
    cache = tmp_path_factory.mktemp("cache")
    folder = weights.pull("silero", cache_dir=cache)
    assert folder == cache / "models" / "silero"
    return folder


def test_pulling_gives_a_network_that_runs_with_its_licence(pulled: Path) -> None:
    assert sorted(file.name for file in pulled.iterdir()) == [
        "NOTICE",
        "manifest.json",
        "silero.onnx",
    ]
    assert Vad(pulled).score(np.zeros(44_100, np.float32)) < 0.1
    notice = (pulled / "NOTICE").read_text()
    assert "Silero Team" in notice
    assert "Permission is hereby granted, free of charge" in notice
    assert "silero_vad_16k_sequence.onnx" in notice


def test_the_manifest_says_what_it_is_and_on_what_terms(pulled: Path) -> None:
    manifest = artefact.read_manifest(NAME, pulled, RECIPE)
    assert (manifest.licence, manifest.source) == ("MIT", f"silero-vad {Vad.VERSION}")
    assert manifest.source_sha256 == silero.WHEEL.sha256
    status = weights.status("silero", cache_dir=pulled.parents[1])
    assert (status.state, status.detail) == ("ready", "from silero-vad 6.2.3, MIT")


def wheel_of(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_wheel_without_the_network_is_refused_in_one_line(tmp_path: Path) -> None:
    other = wheel_of(tmp_path / "other.whl", {"silero_vad/__init__.py": ""})
    for wheel in (other, Path(__file__)):
        with pytest.raises(DownloadError, match=r"holds no readable silero_vad/data/"):
            silero.read_network(wheel)


def test_a_wheel_that_is_not_the_pinned_one_is_not_opened(tmp_path: Path) -> None:
    wheel_of(tmp_path / "silero_vad-6.2.3-py3-none-any.whl", {silero._MEMBER: "bad"})
    assert isinstance(silero.WHEEL, Wheel)
    with pytest.raises(DownloadError, match="is not the file it should be"):
        _verified(silero.WHEEL, tmp_path)
