import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from operators.models.artefact import (
    MANIFEST,
    Manifest,
    read_manifest,
    read_verified,
    sha256,
)
from operators.models.protocol import BadWeightsError, WeightsMissingError
from operators.models.tensors import encode, read_tensors

TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(2)}


def written(folder: Path, content: bytes | None = None) -> Manifest:
    content = encode(TENSORS) if content is None else content
    (folder / "w.safetensors").write_bytes(content)
    manifest = Manifest(
        model="aisfx",
        recipe="r1",
        file="w.safetensors",
        size_bytes=len(content),
        sha256=sha256(content),
        source="here",
        source_sha256="0",
        licence="CC0-1.0",
    )
    (folder / MANIFEST).write_text(manifest.to_json())
    return manifest


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    assert read_manifest("aisfx", tmp_path, "r1") == manifest
    found = read_tensors(tmp_path, manifest)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_nothing_there_is_missing_not_damaged(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(WeightsMissingError, match="run `grym models pull aisfx`"):
            read_manifest("aisfx", folder, "r1")


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "aisfx"}', '{"colour": 1}', "\x00"])
def test_an_unreadable_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BadWeightsError, match=r"manifest\.json: unreadable.*grym models pull") as e:
        read_manifest("aisfx", tmp_path, "r1")
    assert e.value.file == tmp_path / MANIFEST


def test_weights_made_for_another_version_are_not_taken(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    with pytest.raises(BadWeightsError, match="made for aisfx 'r1', this version needs aisfx 'r2'"):
        read_manifest("aisfx", tmp_path, "r2")
    with pytest.raises(BadWeightsError, match="made for aisfx"):
        read_manifest("clap", tmp_path, "r1")
    (tmp_path / MANIFEST).write_text(replace(manifest, version=99).to_json())
    with pytest.raises(BadWeightsError, match="made for"):
        read_manifest("aisfx", tmp_path, "r1")


@pytest.mark.parametrize("position", [0, 40, -1])
def test_a_single_changed_bit_is_noticed(tmp_path: Path, position: int) -> None:
    manifest = written(tmp_path)
    path = tmp_path / manifest.file
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadWeightsError, match=r"w\.safetensors: damaged .*grym models pull aisfx"):
        read_tensors(tmp_path, manifest)


def test_a_cut_or_absent_file_is_noticed(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    path = tmp_path / manifest.file
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(BadWeightsError, match=f"50 bytes, expected {manifest.size_bytes}"):
        read_verified(tmp_path, manifest)
    path.unlink()
    with pytest.raises(BadWeightsError, match="cannot be read \\(No such file"):
        read_verified(tmp_path, manifest)


def test_a_pickle_is_no_weights_whatever_its_manifest_says(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "w.pt")
    manifest = written(tmp_path, (tmp_path / "w.pt").read_bytes())
    with pytest.raises(BadWeightsError, match="no safetensors file"):
        read_tensors(tmp_path, manifest)


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    assert json.loads(written(tmp_path).to_json())["trained"] is True
