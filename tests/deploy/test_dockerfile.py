"""The image: pinned, without root, and made of files that its context holds."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from flows import recovery
from flows.settings import load
from tests.deploy.command import parsed
from tests.deploy.reading import DEPLOY, PROBE, ROOT, UID, is_pinned

LONG_AGO_S = 1_000_000_000
FAR_AHEAD_S = 32_000_000_000


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, continued lines joined, comments left out."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", text)
    pairs = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in pairs]


def all_of(word: str) -> list[str]:
    return [rest for each, rest in instructions() if each == word]


def test_every_stage_begins_at_a_pinned_python_that_grym_runs_on() -> None:
    bases = [rest.split()[0] for rest in all_of("FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert is_pinned(bases[0])
    assert bases[0].startswith("python:3.11.")
    assert "latest" not in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def test_it_runs_without_root() -> None:
    assert all_of("USER") == [f"{UID}:{UID}"]
    words = [word for word, _ in instructions()]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")


def test_torch_is_the_one_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = [name for name in project["dependencies"] if name.startswith("torch==")]
    assert re.findall(r"torch==\S+", " ".join(all_of("RUN"))) == [wanted]
    assert all_of("ARG") == ['TORCH_INDEX=""']


def test_everything_that_is_installed_is_locked() -> None:
    installs = re.findall(r"pip install[^&\n]*", "\n".join(all_of("RUN")))
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in install for install in installs)


def test_the_context_holds_what_is_copied_and_hardly_more() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for rest in all_of("COPY")
        if "--from" not in rest
        for source in shlex.split(rest)[:-1]
    }
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    assert {project["project"]["readme"], *project["project"]["license-files"]} <= copied


def test_what_is_called_while_it_is_built_is_a_verb() -> None:
    called = re.findall(r"bin/grym ([a-z ]+)", "\n".join(all_of("RUN")))
    assert called
    assert [parsed(line.split())["name"] for line in called] == ["aisfx"]
    assert all_of("ENTRYPOINT") == ['["grym"]']


def test_what_is_fetched_at_the_build_is_found_when_it_runs() -> None:
    caches = re.findall(r"XDG_CACHE_HOME=(\S+)", " ".join(all_of("ENV")))
    assert len(caches) == 2
    assert len(set(caches)) == 1
    assert any(caches[0] in rest for rest in all_of("COPY") if "--from=build" in rest)


def test_its_health_is_asked_by_the_probe_that_is_tested_here() -> None:
    (check,) = all_of("HEALTHCHECK")
    assert check.endswith(f'CMD ["sh", "-c", "{PROBE}"]')


@pytest.fixture
def written(tmp_path: Path) -> list[Path]:
    """The files of a real recovery folder, below ``tmp_path`` as below /state."""
    with recovery.opened(tmp_path / "recovery", load(), {"a": "watch:/audio"}):
        pass
    return [file for file in (tmp_path / "recovery").iterdir() if file.name.startswith("part-")]


def passes(state: Path) -> bool:
    probe = PROBE.replace("/state", shlex.quote(str(state)))
    return subprocess.run(["sh", "-c", probe], check=False).returncode == 0


def test_the_probe_tells_a_run_that_writes_from_one_that_is_stuck(
    tmp_path: Path, written: list[Path]
) -> None:
    assert written
    for file in written:
        os.utime(file, (LONG_AGO_S, LONG_AGO_S))
    assert not passes(tmp_path)
    os.utime(written[0], (FAR_AHEAD_S, FAR_AHEAD_S))
    assert passes(tmp_path)


def test_the_probe_fails_before_a_run_has_begun(tmp_path: Path) -> None:
    assert not passes(tmp_path)
