"""Beats are found through jitter, skips and strangers; other rhythms are not beats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.relations.config import RelationConfig
from operators.relations.periodic import find_beat

CONFIG = RelationConfig()


def _beats(rng: np.random.Generator, period: float, count: int, missing: float) -> np.ndarray:
    grid = 3.0 + period * np.arange(count) + rng.normal(0, 0.08, count)
    return np.sort(grid[rng.uniform(size=count) >= missing])


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_the_period_is_found_through_jitter_and_missing_beats(missing: float) -> None:
    rng = np.random.default_rng(1)
    errors, found = [], 0
    for _ in range(40):
        period = float(rng.uniform(9, 17))
        beat = find_beat(_beats(rng, period, 20, missing).tolist(), CONFIG)
        assert beat is not None
        found += beat.p < 1e-3
        errors.append(abs(beat.period_s - period))
    assert found >= 38
    assert max(errors) < 0.12


def test_strangers_between_the_beats_do_not_hide_them() -> None:
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(40):
        onsets = np.concatenate((_beats(rng, 13.0, 20, 0.1), rng.uniform(3, 260, 4)))
        beat = find_beat(np.sort(onsets).tolist(), CONFIG)
        found += beat is not None and abs(beat.period_s - 13.0) < 0.2 and beat.p < 1e-3
    assert found >= 38


def test_random_times_are_no_beat() -> None:
    rng = np.random.default_rng(3)
    surprising = 0
    for _ in range(400):
        beat = find_beat(np.sort(rng.uniform(0, 300, int(rng.integers(6, 30)))).tolist(), CONFIG)
        surprising += beat is not None and beat.p < 0.01
    assert surprising <= 4


def test_random_times_kept_apart_are_no_beat() -> None:
    rng = np.random.default_rng(4)
    surprising = 0
    for _ in range(200):
        onsets = np.cumsum(rng.uniform(8.0, 20.0, 18))
        beat = find_beat(onsets.tolist(), CONFIG)
        surprising += beat is not None and beat.p < 0.01
    assert surprising <= 2


def test_a_drifting_beat_is_still_one() -> None:
    rng = np.random.default_rng(5)
    onsets = np.cumsum(rng.normal(12.0, 0.08, 25))
    beat = find_beat(onsets.tolist(), CONFIG)
    assert beat is not None
    assert beat.period_s == pytest.approx(12.0, abs=0.1)
    assert beat.jitter_s == pytest.approx(0.08, abs=0.05)
    assert (beat.support, beat.share) == (24, 1.0)


@given(st.lists(st.floats(0, 1e4), max_size=12))
def test_any_onsets_are_judged_without_error(onsets: list[float]) -> None:
    beat = find_beat(sorted(onsets), CONFIG)
    assert beat is None or (beat.support >= CONFIG.min_beats and 0.3 <= beat.period_s <= 900)


def test_only_the_latest_intervals_count() -> None:
    config = RelationConfig(max_intervals=10)
    rng = np.random.default_rng(6)
    before = np.sort(rng.uniform(0, 500, 60))
    after = 600 + 10.0 * np.arange(11)
    beat = find_beat([*before.tolist(), *after.tolist()], config)
    assert beat is not None
    assert (beat.period_s, beat.first_s) == (pytest.approx(10.0), 600.0)
