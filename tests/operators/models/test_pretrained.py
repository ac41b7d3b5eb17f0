"""Folders that are not what they should be: one clear line each."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers

from operators.models import configure, load
from operators.models.pretrained import quiet
from operators.models.protocol import (
    BadWeightsError,
    Model,
    ModelConfigError,
    ModelError,
    WeightsMissingError,
)
from tests.plugins.folders import edit_json

SAFE = "model.safetensors"
BIN = "pytorch_model.bin"
EXTRACTOR = "preprocessor_config.json"


@pytest.fixture
def folder(tiny_models: Callable[[str], Path], tmp_path: Path) -> Path:
    """A wav2vec2 to damage."""
    return Path(shutil.copytree(tiny_models("wav2vec2"), tmp_path / "model"))


def opened(folder: Path, name: str = "wav2vec2", **options: Any) -> Model:
    return load(name, configure(name, weights=folder, dtype="float32", device="cpu", **options))


def refused(folder: Path, kind: type[ModelError], name: str = "wav2vec2") -> str:
    """The one line that loading this folder ends with."""
    with pytest.raises(kind) as caught:
        opened(folder, name)
    said = str(caught.value)
    assert "\n" not in said
    assert str(folder) in said
    return said


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    said = refused(tmp_path / "nowhere" / "at-all", WeightsMissingError)
    assert "there is no such folder" in said
    assert "repo" not in said


@pytest.mark.parametrize("file", ["config.json", EXTRACTOR, SAFE])
def test_a_file_that_is_not_there(folder: Path, file: str) -> None:
    (folder / file).unlink()
    said = refused(folder, WeightsMissingError)
    assert f"no {file} there" in said
    assert "save_pretrained, or give its name on the hub" in said


@pytest.mark.parametrize("file", ["config.json", EXTRACTOR])
@pytest.mark.parametrize("content", [b"{ not json", b"[]", b"\xff\xfe"])
def test_a_file_that_is_not_json(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    assert f"{file}: cannot be read" in refused(folder, BadWeightsError)


def test_values_that_make_no_network(folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers="many")
    assert "config.json: cannot be used" in refused(folder, BadWeightsError)


def test_another_models_folder(tiny_models: Callable[[str], Path]) -> None:
    said = refused(tiny_models("hubert"), ModelConfigError)
    assert "model_type is 'hubert', model 'wav2vec2' reads 'wav2vec2'" in said
    said = refused(tiny_models("wav2vec2"), ModelConfigError, "clap")
    assert "model_type is 'wav2vec2', model 'clap' reads 'clap'" in said


def test_another_rate(folder: Path) -> None:
    edit_json(folder / EXTRACTOR, sampling_rate=8_000)
    assert "sampling_rate is 8000, expected 16000" in refused(folder, BadWeightsError)


def test_another_kind_of_feature_extractor(folder: Path) -> None:
    edit_json(folder / EXTRACTOR, feature_extractor_type="WhisperFeatureExtractor")
    said = refused(folder, BadWeightsError)
    assert "is WhisperFeatureExtractor, expected Wav2Vec2FeatureExtractor" in said


def test_weights_are_trained_unless_they_say_otherwise(folder: Path) -> None:
    assert not opened(folder).trained
    edit_json(folder / "config.json", grym_untrained=False)
    assert opened(folder).trained


def test_the_extractor_may_be_a_section_of_a_processors_file(folder: Path) -> None:
    space = opened(folder).space
    section = json.loads((folder / EXTRACTOR).read_text())
    (folder / EXTRACTOR).unlink()
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": section}))
    assert opened(folder).space == space


def test_a_processors_file_without_that_section_describes_no_extractor(folder: Path) -> None:
    (folder / "processor_config.json").write_text('{"processor_class": "Wav2Vec2Processor"}')
    space = opened(folder).space
    (folder / "processor_config.json").write_text('{"feature_extractor": {"do_normalize": false}}')
    assert opened(folder).space != space, "the section comes first, as in transformers"
    (folder / "processor_config.json").write_text('{"feature_extractor": "elsewhere"}')
    (folder / EXTRACTOR).unlink()
    assert f"no {EXTRACTOR} there" in refused(folder, WeightsMissingError)


def test_progress_bars_that_were_off_stay_off() -> None:
    log = transformers.utils.logging
    enabled = log.is_progress_bar_enabled()
    log.disable_progress_bar()
    try:
        with quiet():
            assert not log.is_progress_bar_enabled()
        assert not log.is_progress_bar_enabled()
    finally:
        if enabled:
            log.enable_progress_bar()
