"""A minute with two sounds, heard by grym and by a baseline."""

from pathlib import Path

import numpy as np
import pytest

from bench.discovery import hearing, scoring
from bench.discovery.baselines import BASELINES
from bench.discovery.given import Given, Labelled
from bench.discovery.hearing import Cut
from bench.discovery.scenes import BenchScene
from bench.discovery.scoring import Outcome, Task, discovery, scored
from operators.records import ANALYSIS_RATE_HZ, Floats
from operators.scene.truth import PlantedEvent, Truth

CHIMES_S = (5.0, 17.0, 29.0, 41.0, 53.0)
HISSES_S = (10.0, 22.0, 35.0, 44.0, 49.0)
LASTS_S = 0.6


def chime() -> Floats:
    time = np.arange(round(LASTS_S * ANALYSIS_RATE_HZ)) / ANALYSIS_RATE_HZ
    partials = [np.sin(2 * np.pi * f * time) for f in (620.0, 1_480.0, 2_650.0)]
    return (0.1 * sum(partials) * np.exp(-6 * time)).astype(np.float32)


def hiss() -> Floats:
    length = round(LASTS_S * ANALYSIS_RATE_HZ)
    noise = np.diff(np.random.default_rng(3).normal(0.0, 0.05, length + 1))
    return (noise * np.hanning(length) ** 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def made() -> BenchScene:
    rng = np.random.default_rng(1)
    samples = rng.normal(0.0, 0.001, 60 * ANALYSIS_RATE_HZ).astype(np.float32)
    planted = [(at, "F-chime", chime()) for at in CHIMES_S]
    planted += [(at, "V-hiss", hiss()) for at in HISSES_S]
    for at, _, sound in planted:
        start = round(at * ANALYSIS_RATE_HZ)
        samples[start : start + len(sound)] += sound
    events = sorted((at, name) for at, name, _ in planted)
    truth = Truth(tuple(PlantedEvent(name, at, at + LASTS_S) for at, name in events), ())
    similar = (("F-chime", "F2-none"), ("V-hiss", "V2-none"))
    return BenchScene(1, "easy", samples, truth, similar, {})


@pytest.fixture(scope="module")
def heard(made: BenchScene) -> Cut:
    return hearing.cut_of(made)


def test_grym_finds_both(heard: Cut) -> None:
    row, alone = discovery(heard, hearing.hear(heard))
    assert (row.measures.found, row.measures.event_f1) == (1.0, 1.0)
    assert row.measures.onset_ms < 50
    assert row.cpu_ms == pytest.approx(alone.live_ms + alone.hindsight_ms)
    assert alone.frozen.event_f1 == 1.0
    assert alone.onset_recall == 1.0
    assert 2 <= alone.recognised_from <= 3
    assert [right for _, right in alone.judged] == [True] * 10
    assert sum(alone.kinds.both_found.values()) == 0
    assert alone.state_mb > 0


@pytest.fixture
def at_hand(
    made: BenchScene, heard: Cut, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[str]:
    """The scene in place of every other one; what was synthesised or run, in order."""
    calls: list[str] = []

    def scene(seed: int, preset: str) -> BenchScene:
        calls.append(f"scene {preset}-{seed}")
        return made

    def run(self: object, given: Given) -> list[Labelled]:
        calls.append("run")
        return [Labelled(at, at + LASTS_S, "c0") for at in CHIMES_S]

    monkeypatch.setattr(hearing, "cache", lambda: tmp_path)
    monkeypatch.setattr(hearing, "cut", lambda seed, preset: heard)
    monkeypatch.setattr(hearing, "fingerprint", lambda: "f")
    monkeypatch.setattr(scoring, "scene", scene)
    monkeypatch.setattr(scoring, "_prepare", lambda name: calls.append(f"prepare {name}"))
    monkeypatch.setattr(type(BASELINES["windows"]), "run", run)
    return calls


def figures(outcome: Outcome) -> list[tuple[float, float, float]]:
    return [
        (row.measures.event_f1, row.measures.found, row.cpu_ms) for row in outcome.rows.values()
    ]


def test_what_a_baseline_reported_is_kept(
    at_hand: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(1, "easy", ("windows", "oracle"))
    first = scored(task)
    assert at_hand == ["scene easy-1", "prepare windows", "run", "prepare oracle", "run"]
    assert list(first.rows) == ["windows", "oracle"]
    assert first.grym is None
    # Five of ten events, all of them right.
    assert [row[:2] for row in figures(first)] == [(pytest.approx(2 / 3), 0.5)] * 2
    at_hand.clear()
    assert figures(scored(task)) == figures(first)
    assert at_hand == []
    monkeypatch.setattr(scoring, "sources", lambda: "changed")
    scored(Task(1, "easy", ("windows",)))
    assert at_hand == ["scene easy-1", "prepare windows", "run"]


def test_grym_is_heard_beside_them(at_hand: list[str]) -> None:
    outcome = scored(Task(1, "easy", ("grym", "windows")))
    assert list(outcome.rows) == ["grym", "windows"]
    assert outcome.grym is not None
    assert outcome.rows["grym"].measures.event_f1 == 1.0


def test_the_digest_is_of_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("a = 1\n")
    monkeypatch.setattr(scoring.baselines, "__file__", str(tmp_path / "__init__.py"))
    before = scoring.sources.__wrapped__()
    assert before == scoring.sources.__wrapped__()
    (tmp_path / "new.py").write_text("")
    (tmp_path / "__init__.py").write_text("a = 2\n")
    assert before != scoring.sources.__wrapped__()
