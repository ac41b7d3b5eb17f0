from pathlib import Path

import pytest

from connectors.doctor.asked import Asked, AskedModel
from connectors.doctor.finding import Finding
from connectors.doctor.models import check


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def found(name: str, path: object = None) -> Finding:
    model = AskedModel(name, None if path is None else str(path))
    (finding,) = check(Asked(models=(model,)), 3.0)
    return finding


@pytest.mark.parametrize("name", ["aisfx", "aisfx_plain", "silero"])
def test_weights_that_were_never_pulled_name_the_command(name: str, empty_cache: Path) -> None:
    finding = found(name)
    assert finding.status == "broken"
    assert name in finding.detail
    assert str(empty_cache) in finding.detail
    assert finding.remedy == f"grym models pull {name}"
    assert not empty_cache.exists()


def test_damaged_weights_name_the_file_and_the_command(empty_cache: Path) -> None:
    manifest = empty_cache / "grym" / "models" / "aisfx" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    finding = found("aisfx")
    assert finding.status == "broken"
    assert str(manifest) in finding.detail
    assert finding.remedy == "grym models pull aisfx"


def test_a_model_without_weights_is_ready() -> None:
    assert found("logmel").status == "ok"


def test_a_model_whose_weights_people_bring_says_how() -> None:
    finding = found("clap")
    assert finding.status == "broken"
    assert finding.detail == "clap: no weights are named"
    assert "set path of [models.clap]" in str(finding.remedy)


def test_a_folder_that_was_named_is_looked_into(tmp_path: Path) -> None:
    folder = tmp_path / "clap"
    missing = found("clap", folder)
    assert missing.status == "broken"
    assert missing.detail == f"clap: {folder}: there is no such folder"
    assert "owner/name" in str(missing.remedy)
    folder.mkdir()
    empty = found("clap", folder)
    assert empty.status == "broken"
    assert "config.json" in empty.detail
    (folder / "config.json").touch()
    assert found("clap", folder) == Finding(
        "models", "ok", f"clap: {folder}, named in the settings"
    )


def test_a_name_that_is_not_known_lists_those_that_are() -> None:
    finding = found("clpa")
    assert finding.status == "broken"
    assert "choose one of aisfx" in f"{finding.detail}: {finding.remedy}"
