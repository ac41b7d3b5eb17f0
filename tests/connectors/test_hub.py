"""The hub's own client against a hub of our own: what is asked, what is stored, what is said."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import snapshot_download

from connectors.hub import HubError, folder_of

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
ROOT = Path(__file__).parents[2]


class Hub(ThreadingHTTPServer):
    """Serves models from memory, by the paths that huggingface_hub asks for.

    Attributes:
        models: content by file name, by model.
        asked: the requests that came, as "GET /path".
        gated: models that are shown to nobody here.
        babbling: whether it answers what no hub would, as the page of a hotel's network does.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.models: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.babbling = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def files_sent(self) -> set[str]:
        return {asked.rpartition("/")[2] for asked in self.asked if asked.startswith("GET /own")}


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        self.server.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        parts = self.path.partition("?")[0].strip("/").split("/")
        api, parts = parts[:2] == ["api", "models"], [part for part in parts if part != "api"]
        parts = parts[1:] if api else parts
        repo, verb, revision, file = "/".join(parts[:2]), *(*parts[2:], "", "main", "")[:3]
        files = self.server.models.get(repo)
        commit = COMMITS.get(revision, revision)
        if repo in self.server.gated:
            self.send({"error": "gated"}, 403, {"X-Error-Code": "GatedRepo"})
        elif self.server.babbling:
            self.send(b"<html>")
        elif files is None:
            self.send({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif commit not in COMMITS.values():
            self.send({"error": "no revision"}, 404, {"X-Error-Code": "RevisionNotFound"})
        elif verb == "resolve":
            self.send(files[file], 200, {"ETag": f'"{file}"', "X-Repo-Commit": commit})
        elif verb == "tree":
            sizes = {name: len(content) for name, content in files.items()}
            self.send(
                [
                    {"type": "file", "path": name, "size": size, "oid": name}
                    for name, size in sizes.items()
                ]
            )
        else:
            names = [{"rfilename": name} for name in files]
            self.send({"id": repo, "modelId": repo, "sha": commit, "siblings": names})

    def send(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1], "c": SHARDS[1]}}).encode()
FILES = {
    "config.json": b'{"model_type": "clap"}',
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b"{}",
    "merges.txt": b"#version: 0.2",
    "modeling_evil.py": b"raise SystemExit",
    "README.md": b"# model",
    "onnx/config.json": b"{}",
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    server.models = {
        "own/both": FILES | {"model.safetensors": b"safe", "pytorch_model.bin": b"pickled"},
        "own/pickled": FILES | {"pytorch_model.bin": b"pickled", "tf_model.h5": b"other"},
        "own/sharded": FILES
        | {
            SHARDS[0]: b"1",
            SHARDS[1]: b"2",
            "model.safetensors.index.json": INDEX,
            "pytorch_model.bin": b"pickled",
        },
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def said(path: str, **options: Any) -> str:
    """The one line that a wish ends with."""
    with pytest.raises(HubError) as caught:
        folder_of(path, **{"pull": True} | options)
    line = str(caught.value)
    assert "\n" not in line
    return line


WORDS = {"config.json", "preprocessor_config.json", "tokenizer.json", "merges.txt"}


def test_a_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "clap").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (str(tmp_path / "models" / "clap"), "models/clap", "~/models/clap"):
        assert folder_of(path, pull=False).samefile(tmp_path / "models" / "clap")


@pytest.mark.parametrize(
    "path", ["/nowhere/clap", "./clap", "../clap", "~/clap", "clap", "a/b/c", "models/absent", ""]
)
def test_a_missing_path_is_a_missing_path_and_no_name_on_the_hub(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    (tmp_path / "home" / "models").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "home")
    if path:
        assert f"{path}: there is no such folder" in said(path, endpoint=hub.url)
    else:
        assert folder_of(path, pull=True).samefile(tmp_path / "home")
    assert hub.asked == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "is a file: give the folder it lies in" in said(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize(
    ("repo", "weights"),
    [
        ("own/both", {"model.safetensors"}),
        ("own/pickled", {"pytorch_model.bin"}),
        (
            "own/sharded",
            {*SHARDS, "model.safetensors.index.json"},
        ),
    ],
)
def test_settings_words_and_weights_are_downloaded_and_no_code(
    repo: str, weights: set[str], hub: Hub, tmp_path: Path
) -> None:
    folder = folder_of(repo, pull=True, cache_dir=tmp_path, endpoint=hub.url)
    assert names(folder) == WORDS | weights
    assert hub.files_sent == WORDS | weights


@pytest.mark.parametrize("repo", ["own/both", "own/pickled", "own/sharded"])
def test_what_is_here_whole_is_used_without_asking(repo: str, hub: Hub, tmp_path: Path) -> None:
    folder = folder_of(repo, pull=True, cache_dir=tmp_path, endpoint=hub.url)
    hub.asked.clear()
    for pull in (True, False):
        assert folder_of(repo, pull=pull, cache_dir=tmp_path, endpoint=hub.url) == folder
    assert hub.asked == []


def test_what_is_here_in_part_is_completed(hub: Hub, tmp_path: Path) -> None:
    snapshot_download(
        "own/both", cache_dir=tmp_path, endpoint=hub.url, allow_patterns=["config.json"]
    )
    line = said("own/both", pull=False, cache_dir=tmp_path, endpoint=hub.url)
    assert line == "own/both: in the hub's cache in part, without weights: download it first"
    folder = folder_of("own/both", pull=True, cache_dir=tmp_path, endpoint=hub.url)
    assert names(folder) == WORDS | {"model.safetensors"}
    assert (
        said("own/absent", pull=False, cache_dir=tmp_path, endpoint=hub.url)
        == "own/absent: neither a folder nor a model in the hub's cache: download it first"
    )


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    ("repo", "lost", "named"),
    [
        ("own/sharded", SHARDS[1], SHARDS[1]),
        ("own/sharded", "model.safetensors.index.json", "weights"),
        ("own/both", "model.safetensors", "weights"),
        ("own/pickled", "pytorch_model.bin", "weights"),
        ("own/both", "preprocessor_config.json", "preprocessor_config.json"),
        ("own/both", "config.json", "config.json"),
    ],
)
def test_a_download_that_was_broken_off_is_never_taken_for_whole(
    repo: str, lost: str, named: str, listed: bool, hub: Hub, tmp_path: Path
) -> None:
    folder = folder_of(repo, pull=True, cache_dir=tmp_path, endpoint=hub.url)
    whole = names(folder)
    (folder / lost).resolve().unlink()  # the link stays: what it leads to is what counts
    if not listed:  # as clients leave it that know nothing of the list of files
        shutil.rmtree(folder.parents[1] / "trees")
    line = said(repo, pull=False, cache_dir=tmp_path, endpoint=hub.url)
    assert line == f"{repo}: in the hub's cache in part, without {named}: download it first"
    line = said(repo, cache_dir=tmp_path, endpoint="http://127.0.0.1:9")
    assert line.startswith(f"{repo}: in the hub's cache without {named}, and the hub cannot be")
    hub.asked.clear()
    assert folder_of(repo, pull=True, cache_dir=tmp_path, endpoint=hub.url) == folder
    assert names(folder) == whole
    assert hub.files_sent == {lost}
    hub.asked.clear()
    assert folder_of(repo, pull=True, cache_dir=tmp_path, endpoint=hub.url) == folder
    assert hub.asked == []


def test_words_that_were_on_their_way_are_waited_for(hub: Hub, tmp_path: Path) -> None:
    folder = folder_of("own/pickled", pull=True, cache_dir=tmp_path, endpoint=hub.url)
    (folder / "tokenizer.json").unlink()
    line = said("own/pickled", pull=False, cache_dir=tmp_path, endpoint=hub.url)
    assert "in the hub's cache in part, without some of its files" in line
    assert folder_of("own/pickled", pull=True, cache_dir=tmp_path, endpoint=hub.url) == folder
    assert (folder / "tokenizer.json").is_file()


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"weight_map": 3}', b"{", b"\xff"])
def test_an_index_that_cannot_be_read_makes_nothing_whole(
    content: bytes, hub: Hub, tmp_path: Path
) -> None:
    hub.models["own/sharded"]["model.safetensors.index.json"] = content
    folder_of("own/sharded", pull=True, cache_dir=tmp_path, endpoint=hub.url)
    line = said("own/sharded", pull=False, cache_dir=tmp_path, endpoint=hub.url)
    assert "without a readable model.safetensors.index.json: download it first" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"preprocessor_config.json": None, "processor_config.json": b"{}"},
        {"preprocessor_config.json": None, "config.json": b'{"model_type": "llama"}'},
        {"tokenizer.json": None, "merges.txt": None},
        {"onnx/config.json": None, "pytorch_model.bin.index.json": b'{"weight_map": {"a": "b"}}'},
    ],
    ids=["of a processor", "of a language model alone", "without words", "of another format"],
)
def test_what_a_model_can_do_without_may_be_missing(
    changes: dict[str, bytes | None], hub: Hub, tmp_path: Path
) -> None:
    files = hub.models["own/both"] | changes
    hub.models["own/other"] = {name: told for name, told in files.items() if told is not None}
    folder = folder_of("own/other", pull=True, cache_dir=tmp_path, endpoint=hub.url)
    assert folder_of("own/other", pull=False, cache_dir=tmp_path, endpoint=hub.url) == folder


def test_a_revision_can_be_named(hub: Hub, tmp_path: Path) -> None:
    folder = folder_of("own/both@v1", pull=True, cache_dir=tmp_path, endpoint=hub.url)
    assert folder.name == COMMITS["v1"]
    assert "has no such revision of it: check what follows the @" in said(
        "own/both@v9", cache_dir=tmp_path, endpoint=hub.url
    )


def test_a_model_that_the_hub_does_not_show(hub: Hub, tmp_path: Path) -> None:
    line = said("own/absent", cache_dir=tmp_path, endpoint=hub.url)
    assert line.startswith("own/absent: no folder here, and the hub shows no such model")
    hub.gated.add("own/both")
    assert "gated: accept its terms there, then set HF_TOKEN" in said(
        "own/both", cache_dir=tmp_path, endpoint=hub.url
    )


def test_a_hub_that_cannot_be_reached(hub: Hub, tmp_path: Path) -> None:
    folder = folder_of("own/both", pull=True, cache_dir=tmp_path, endpoint=hub.url)
    nowhere = "http://127.0.0.1:9"
    assert folder_of("own/both", pull=True, cache_dir=tmp_path, endpoint=nowhere) == folder
    line = said("own/pickled", cache_dir=tmp_path, endpoint=nowhere)
    assert "the hub cannot be reached" in line
    assert "check the network, or give a folder" in line


def test_a_cache_that_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    line = said("own/both", cache_dir=tmp_path / "cache", endpoint=hub.url)
    assert "could not be stored" in line


def test_a_name_that_no_model_can_have(hub: Hub, tmp_path: Path) -> None:
    line = said("own/a--b", cache_dir=tmp_path, endpoint=hub.url)
    assert "it is no name of a model on the hub" in line


def test_an_answer_that_nobody_foresaw_is_one_line_too(hub: Hub, tmp_path: Path) -> None:
    hub.babbling = True
    assert "own/both: no folder here, and it could not be downloaded" in said(
        "own/both", cache_dir=tmp_path, endpoint=hub.url
    )


def asked_elsewhere(path: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own: huggingface_hub reads its variables when imported."""
    code = "import sys; from connectors import hub; print(hub.folder_of(sys.argv[1], pull=True))"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    return subprocess.run(
        [sys.executable, "-c", code, path],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_variables_of_the_hubs_client_are_honoured(hub: Hub, tmp_path: Path) -> None:
    home = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.url}
    first = asked_elsewhere("own/both", **home)
    assert "hub/models--own--both" in first.stdout, first.stderr
    offline = asked_elsewhere("own/both", **home, HF_HUB_OFFLINE="1")
    assert offline.stdout == first.stdout
    hub.asked.clear()
    missing = asked_elsewhere("own/pickled", **home, TRANSFORMERS_OFFLINE="1")
    assert "unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to download it" in missing.stderr
    assert hub.asked == []
