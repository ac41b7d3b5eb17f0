"""The command: what it judges, prints and returns, with outcomes made up."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.discovery import run
from bench.discovery.baselines import BASELINES, BaselineError
from bench.discovery.figures import candidates, grym
from bench.discovery.floors import floors, not_above, unjudged
from bench.discovery.kinds import SORTS, Kinds
from bench.discovery.measures import Measures
from bench.discovery.run import main
from bench.discovery.scoring import GRYM, Discovery, Outcome, Row, Task

NAN = float("nan")
GOOD = Measures(0.9, 0.9, 0.9, 0.95, 1.0, 1.0, 10.0, 0.9, 0.8)
POOR = Measures(0.6, 0.6, 0.5, 0.5, 9.0, 0.0, NAN)
ALONE = Discovery(
    frozen=replace(GOOD, event_f1=0.85, relation_precision=NAN, relation_recall=NAN),
    recognised_from=2.5,
    onset_recall=0.95,
    live_ms=9.0,
    hindsight_ms=20.0,
    front_ms=5.0,
    state_mb=1.5,
    judged=((0.95, True),) * 19 + ((0.95, False),),
    kinds=Kinds(*(dict.fromkeys(SORTS, n) for n in (3, 2, 1, 0)), told=4, right=3),
)


def work(task: Task) -> Outcome:
    """Grym is good, everybody else is poor."""
    rows = {name: Row(GOOD if name == GRYM else POOR, 29.0) for name in task.candidates}
    return Outcome(task.seed, task.preset, rows, ALONE if GRYM in task.candidates else None)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds and packages are there."""
    monkeypatch.setattr(run.sounds, "missing", lambda cache: [])
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: object())


def test_without_sounds_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main([]) == 2
    told = capsys.readouterr()
    assert "run `make sounds` first; floors are not judged" in told.err
    assert told.out == ""


def test_without_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run.sounds, "missing", lambda cache: [])
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    assert main([], work) == 2
    assert "--constraint constraints.txt --editable '.[bench]'" in capsys.readouterr().err
    assert main(["--no-baselines", "--jobs", "1"], work) == 0
    assert main(["--no-baselines", "--only", "oracle"], work) == 2


def test_a_baseline_that_cannot_run_ends_it(
    ready: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacking(task: Task) -> Outcome:
        raise BaselineError("hdbscan needs sklearn")

    assert main(["--jobs", "1"], lacking) == 2
    assert "hdbscan needs sklearn" in capsys.readouterr().err


def test_a_run_that_holds_every_floor(ready: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--jobs", "1"], work) == 0
    told = capsys.readouterr()
    figures = json.loads(told.out.splitlines()[-1])
    assert (figures["held"], figures["missed"], figures["scenes"]) == (True, [], 12)
    assert list(figures["candidates"]) == ["grym", "grym-live", *BASELINES]
    assert set(figures["candidates"]["oracle"]) == {"easy", "medium", "hard", "all"}
    assert figures["candidates"]["windows"]["all"]["onset_ms"] is None
    assert figures["grym"]["all"]["recognised_from"] == 2.5
    assert figures["reliability"]["rows"] == [
        {"from": 0.9, "count": 240, "claimed": 0.95, "right": 0.95}
    ]
    assert figures["kinds"]["joined"] == dict.fromkeys(SORTS, 12)
    assert figures["kinds"]["precision"] == 0.75
    assert "12/12 hard-103" in told.err
    assert "0.300 above it in B-cubed F and 0.400 above it in event F1" in told.err


def test_development_seeds_are_not_judged(ready: None, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--jobs", "1", "--seeds", "1,2", "--presets", "hard"]
    assert main([*asked, "--only", "grym", "windows"], work) == 0
    told = capsys.readouterr()
    assert "floors are not judged: seeds below 100" in told.err
    figures = json.loads(told.out)
    assert (figures["held"], figures["missed"], figures["seeds"]) == (None, None, [1, 2])
    assert list(figures["candidates"]) == ["grym", "grym-live", "windows"]


def test_what_is_missed_is_said(ready: None, capsys: pytest.CaptureFixture[str]) -> None:
    def worse(task: Task) -> Outcome:
        made = work(task)
        made.rows[GRYM] = Row(replace(GOOD, event_f1=0.4, onset_ms=NAN), 29.0)
        return made

    assert main(["--jobs", "1", "--only", "grym", "dbstream"], worse) == 1
    told = capsys.readouterr()
    assert "missed: event F1: 0.400, at least 0.82" in told.err
    assert "missed: onset error ms: unknown, at most 22" in told.err
    assert "missed: not above: hard, event F1: grym 0.400, dbstream 0.500" in told.err
    assert "not held against windows, regions-leader, matrix-profile" in told.err
    assert json.loads(told.out)["held"] is False


def test_baselines_alone(ready: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--jobs", "1", "--only", "hdbscan"], work) == 0
    told = capsys.readouterr()
    assert "grym did not hear the scenes" in told.err
    assert json.loads(told.out)["grym"] == {}


def test_the_offline_ones_need_not_be_beaten() -> None:
    names = ("grym", "oracle", "windows")
    outcomes = [work(Task(100, preset, names)) for preset in ("easy", "medium", "hard")]
    for each in outcomes:
        each.rows["oracle"] = Row(replace(GOOD, b_cubed=1.0, event_f1=1.0), 1.0)
    assert not_above(candidates(outcomes)) == []
    outcomes[0].rows["windows"] = Row(replace(POOR, event_f1=0.87), 1.0)
    assert not_above(candidates(outcomes)) == ["easy, event F1: grym-live 0.850, windows 0.870"]
    every = floors(candidates(outcomes), grym(outcomes), 0.2)
    assert [floor.name for floor in every if not floor.held] == ["ECE"]


def test_when_floors_are_judged() -> None:
    presets = ("easy", "medium", "hard")
    assert unjudged((100, 101), presets, (GRYM,)) == ""
    assert "development" in unjudged((99, 100), presets, (GRYM,))
    assert "presets" in unjudged((100,), presets[:2], (GRYM,))


@pytest.mark.parametrize(
    "arguments",
    [["--seeds", "-1"], ["--seeds", "x"], ["--presets", "mild"], ["--jobs", "0"], ["--only", "x"]],
)
def test_what_is_asked_for_wrongly_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments, work)
    assert refused.value.code == 2
