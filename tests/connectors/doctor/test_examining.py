"""All checks together: in order, within their time, whatever one of them does."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from connectors.doctor import apart, checks, examining
from connectors.doctor.asked import Asked, AskedModel, AskedStore, in_a_child
from connectors.doctor.checks import CHECKS, make
from connectors.doctor.examining import examine
from connectors.doctor.finding import Finding

LONG_S = 300.0
BREAKING = """
import os, signal
from connectors.doctor.finding import Finding

def abort(asked, patience_s):
    os.kill(os.getpid(), signal.SIGABRT)

def leave(asked, patience_s):
    os._exit(3)

def chatter(asked, patience_s):
    os.write(1, b"a library says hello\\n")
    return [Finding("chatter", "ok", f"{asked.models[0].name} {asked.microphones} {patience_s}")]

def hang(asked, patience_s):
    signal.pause()
"""
ASKED = Asked(models=(AskedModel("clap", "a/b", "cuda"),), microphones=("mic:barn",))


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A check that answers only when the test is over."""
    module, over = ModuleType("hanging_check"), threading.Event()

    def check(_asked: Asked, _patience_s: float) -> tuple[Finding, ...]:
        over.wait()
        return ()

    module.check = check  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hanging_check", module)
    yield "hanging_check:check"
    over.set()


@pytest.fixture
def breaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that end the process they run in."""
    (tmp_path / "breaking_checks.py").write_text(BREAKING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name in ("abort", "leave", "chatter", "hang"):
        monkeypatch.setitem(CHECKS, name, f"breaking_checks:{name}")


def test_every_check_is_made_and_told_in_order(tmp_path: Path) -> None:
    store = AskedStore(str(tmp_path / "x.db"), "x.db")
    asked = Asked(models=(AskedModel("logmel"),), store=store, paths=(str(tmp_path),))
    found = list(examine(asked, patience_s=LONG_S, apart_s=LONG_S, most_s=LONG_S))
    assert [finding.check for finding in found] == [
        *("python", "packages", "sources", "store", "collector", "sound", "models"),
        *("processor", "gpu", "imports"),
    ]
    assert {finding.status for finding in found} <= {"ok", "note"}
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_answer_is_told_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, hanging: str
) -> None:
    registry = {"store": hanging, "packages": hanging, "sources": CHECKS["sources"]}
    monkeypatch.setattr(examining, "CHECKS", registry)
    monkeypatch.setattr(examining, "APART", ())
    asked = Asked(paths=("nowhere.wav",))
    found = {finding.check: finding for finding in examine(asked, most_s=1.0)}
    assert found["store"].status == "broken"
    assert found["packages"].status == "note"
    assert found["packages"].detail == "not known within 1 s"


@pytest.mark.usefixtures("breaking")
def test_a_check_that_crashes_is_named_and_those_after_it_are_made() -> None:
    found = apart.make_apart(["abort", "leave", "chatter"], ASKED, 3.0, LONG_S)
    assert found["abort"][0].detail == "the process that looked ended with SIGABRT"
    assert found["leave"][0].detail == "the process that looked ended with status 3"
    assert {found[name][0].status for name in ("abort", "leave")} == {"broken"}
    assert found["chatter"] == (Finding("chatter", "ok", "clap ('mic:barn',) 3.0"),)


@pytest.mark.usefixtures("breaking")
def test_a_process_that_hangs_is_ended() -> None:
    found = apart.make_apart(["hang", "chatter"], ASKED, 3.0, 0.2)
    assert {name: finding.status for name, (finding,) in found.items()} == {
        "hang": "note",
        "chatter": "note",
    }


def test_a_check_whose_package_is_missing_found_that() -> None:
    (finding,) = make("sound", "no_such_module_for_grym.of_it:check", Asked(), 3.0)
    assert finding.status == "broken"
    assert "no_such_module_for_grym" in finding.detail
    assert finding.remedy == "pip install --force-reinstall no_such_module_for_grym"


def test_a_check_that_raises_found_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_name: str) -> None:
        raise AttributeError("module 'numpy' has no attribute 'bool8'")

    monkeypatch.setattr(checks, "import_module", broken)
    (finding,) = make("models", "x:check", Asked(), 3.0)
    assert finding.status == "broken"
    assert "AttributeError: module 'numpy' has no attribute" in finding.detail


def test_a_child_is_told_what_it_has_to_know_and_no_secret() -> None:
    told = ASKED.for_a_child()
    assert in_a_child(told) == ASKED
    secret = AskedStore("http://root:hunter2@hub:1", "http://***@hub:1")
    assert "hunter2" not in str(Asked(store=secret).for_a_child())
