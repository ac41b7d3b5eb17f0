"""The comparison of two rates: its statistic, its correction for bursts, and missing beats."""

import math

import numpy as np
import pytest

from operators.rates import RateConfig
from operators.rates.change import dispersion, find_change, log_ratio, missing_beats

CONFIG = RateConfig()


def test_the_evidence_bounds_the_binomial_tail() -> None:
    """Given 8 + 30 occurrences in equal times, as many as 30 of 38 on one side."""
    sides = (np.array([float(side)]) for side in (8, 100.0, 30, 100.0))
    tail = sum(math.comb(38, k) for k in range(30, 39)) / 2**38
    bound = math.exp(-float(log_ratio(*sides)[0]))
    assert tail <= bound <= 20 * tail


def test_the_change_is_found_where_it_is() -> None:
    onsets = np.concatenate([np.arange(0.0, 3_600.0, 61.7), np.arange(3_600.0, 5_400.0, 13.3)])
    change = find_change(onsets, 5_400.0, 12.0, CONFIG)
    assert change is not None
    assert onsets[change.last] == pytest.approx(3_600.0, abs=62.0)
    assert change.after / change.after_s == pytest.approx(1 / 13.3, rel=0.05)


def test_a_silence_counts_from_the_last_onset() -> None:
    rng = np.random.default_rng(5)
    onsets = np.cumsum(rng.exponential(60.0, 60))
    change = find_change(onsets, float(onsets[-1]) + 1_500.0, 12.0, CONFIG)
    assert change is not None
    assert (change.last, change.after) == (59, 0)


def test_too_little_is_known_of_a_young_pattern() -> None:
    onsets = np.arange(6) * 10.0
    assert find_change(onsets, 90_000.0, 12.0, CONFIG) is None
    assert find_change(onsets[:0], 90_000.0, 12.0, CONFIG) is None


def test_one_burst_is_no_rate() -> None:
    onsets = np.concatenate([np.arange(0.0, 3_600.0, 61.7), 3_600.0 + np.arange(40) * 0.5])
    assert find_change(onsets, 3_625.0, 12.0, CONFIG) is None


def test_bursts_are_dispersed_and_chance_is_not() -> None:
    rng = np.random.default_rng(1)
    even = np.cumsum(rng.exponential(10.0, 200))
    bursts = np.sort(np.repeat(np.cumsum(rng.exponential(200.0, 20)), 10) + rng.uniform(0, 5, 200))
    assert dispersion(even) < 1.5
    assert dispersion(bursts) > 4.0
    assert dispersion(even[:5]) == 1.0


def test_missing_beats_tell_only_of_what_is_regular() -> None:
    rng = np.random.default_rng(2)
    beats = np.arange(30) * 20.0 + rng.normal(0, 0.3, 30)
    assert missing_beats(beats, beats[-1] + 15.0) == 0.0
    assert missing_beats(beats, beats[-1] + 110.0) > 12.0
    skipping = np.delete(beats, [7, 15, 16])
    assert 0.0 < missing_beats(skipping, beats[-1] + 110.0) < missing_beats(beats, beats[-1] + 110)
    assert missing_beats(np.cumsum(rng.exponential(20.0, 30)), 2_000.0) == 0.0
    assert missing_beats(np.zeros(30), 100.0) == 0.0
