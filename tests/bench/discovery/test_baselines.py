from itertools import pairwise

import numpy as np
import pytest

from bench.discovery.baselines import BASELINES, EXTRA, Baseline, BaselineError
from bench.discovery.baselines.reporting import LEAST_EVENTS
from bench.discovery.given import Given, Labelled, regions_of
from operators.records import ANALYSIS_RATE_HZ, Floats

PLAIN = ("windows", "regions-leader")
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
def given() -> Given:
    """A minute of soft noise with two sounds, five times each."""
    rng = np.random.default_rng(1)
    samples = rng.normal(0.0, 0.001, 60 * ANALYSIS_RATE_HZ).astype(np.float32)
    planted = [(at, chime()) for at in CHIMES_S] + [(at, hiss()) for at in HISSES_S]
    for start_s, sound in planted:
        start = round(start_s * ANALYSIS_RATE_HZ)
        samples[start : start + len(sound)] += rng.uniform(0.7, 1.0) * sound
    starts = sorted(start_s for start_s, _ in planted)
    segments = tuple((start_s, start_s + LASTS_S) for start_s in starts)
    return Given(samples, regions_of(samples), segments)


@pytest.fixture(scope="module")
def nothing() -> Given:
    """Ten seconds of soft noise."""
    rng = np.random.default_rng(2)
    samples = rng.normal(0.0, 0.001, 10 * ANALYSIS_RATE_HZ).astype(np.float32)
    return Given(samples, (), ())


def near(found: list[Labelled], label: str, starts_s: tuple[float, ...]) -> int:
    """How many of the planted starts an event of the label lies within 0.5 s of."""
    heard = [event.start_s for event in found if event.label == label]
    return sum(any(abs(start - at) <= 0.5 for at in heard) for start in starts_s)


def clearest(found: list[Labelled], own: tuple[float, ...], others: tuple[float, ...]) -> int:
    """Most starts of one sound that a label has which has none of the other sound."""
    labels = {event.label for event in found}
    return max(
        (near(found, label, own) for label in labels if not near(found, label, others)), default=0
    )


def check(baseline: Baseline, given: Given, nothing: Given) -> None:
    found = baseline.run(given)
    assert found == baseline.run(given)
    assert all(first.start_s <= second.start_s for first, second in pairwise(found))
    for event in found:
        assert 0.0 <= event.start_s < event.end_s <= 60.5
        assert type(event.start_s) is type(event.end_s) is float
    labels = [event.label for event in found]
    assert all(labels.count(label) >= LEAST_EVENTS for label in labels)
    own, others = clearest(found, CHIMES_S, HISSES_S), clearest(found, HISSES_S, CHIMES_S)
    assert own >= 4
    assert others >= 4
    assert baseline.run(nothing) == []


@pytest.mark.parametrize("name", PLAIN)
def test_two_sounds_are_told_apart(name: str, given: Given, nothing: Given) -> None:
    check(BASELINES[name], given, nothing)


@pytest.mark.bench
@pytest.mark.parametrize("name", sorted(set(BASELINES) - set(PLAIN)))
def test_two_sounds_are_told_apart_by_other_packages(
    name: str, given: Given, nothing: Given
) -> None:
    check(BASELINES[name], given, nothing)


def test_online_ones_do_not_change_their_mind(given: Given) -> None:
    """Of the first 45 s they report, in full, what they report of them in the whole scene."""
    end = 45 * ANALYSIS_RATE_HZ
    first = Given(given.samples[:end], regions_of(given.samples[:end]), ())
    for name in PLAIN:
        assert BASELINES[name].online
        early, whole = BASELINES[name].run(first), BASELINES[name].run(given)
        assert early
        assert set(early) <= set(whole), name


def test_a_package_that_is_not_there_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lacking(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="stumpy.core")

    monkeypatch.setattr("bench.discovery.baselines.importlib.import_module", lacking)
    assert "stumpy" in EXTRA
    with pytest.raises(BaselineError, match=r"matrix-profile needs stumpy.core: .*\[bench\]"):
        BASELINES["matrix-profile"].prepare()


def test_what_else_is_missing_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="bench.discovery.given")

    monkeypatch.setattr("bench.discovery.baselines.importlib.import_module", lacking)
    with pytest.raises(ModuleNotFoundError, match="No module"):
        BASELINES["windows"].prepare()
