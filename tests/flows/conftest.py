"""Scenes on disk, a store a test, and the command line as a function."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile

from flows.cli import app
from operators.records import ANALYSIS_RATE_HZ
from operators.scene import Truth, scene

Event = dict[str, Any]


@dataclass(frozen=True)
class OnDisk:
    """A two-minute scene as a file, with its truth."""

    wav: Path
    truth: Truth


@dataclass(frozen=True)
class Ran:
    """What one command line came to."""

    status: int
    out: str
    err: str

    @property
    def events(self) -> list[Event]:
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def summary(self) -> Event:
        return self.events[-1]


@pytest.fixture(scope="session")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> OnDisk:
    made = scene(3, duration_s=120.0)
    path = tmp_path_factory.mktemp("scene") / "scene.wav"
    soundfile.write(path, made.samples, ANALYSIS_RATE_HZ, subtype="PCM_16")
    return OnDisk(path, made.truth)


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes a person's settings or store; pulled weights are shared."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("GRYM_CONFIG", raising=False)
    monkeypatch.delenv("GRYM_STORE__URI", raising=False)


@pytest.fixture
def grym() -> Callable[..., Ran]:
    """Run a command line in this process."""

    def run(*arguments: object) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = app.run([str(each) for each in arguments])
        return Ran(status, out.getvalue(), err.getvalue())

    return run


def standing(events: list[Event]) -> list[Event]:
    """The occurrences that stand once every revision was applied, in order."""
    alive: dict[tuple[str, int, str], Event] = {}
    for event in events:
        if event["event"] == "occurrence":
            alive[event["stream"], event["start_ns"], event["pattern"]] = event
        elif event["event"] == "revision" and event["pattern_from"]:
            del alive[event["stream"], event["start_ns"], event["pattern_from"]]
    return list(alive.values())


def heard(events: list[Event], *kinds: str) -> list[str]:
    """The events of these kinds as comparable lines, in an order of their own."""
    return sorted(json.dumps(event) for event in events if event["event"] in kinds)
