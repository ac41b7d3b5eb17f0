"""The most surprising window, and what does not surprise."""

import numpy as np
import pytest

from operators.relations.config import RelationConfig
from operators.relations.lag_peak import extent_peaks, histograms, narrow_peaks
from operators.relations.pair_evidence import PairEvidence

CONFIG = RelationConfig()
BINS = 160
LAG_0 = 80


def _rows(*rows: dict[int, int]) -> np.ndarray:
    counts = np.zeros((len(rows), BINS))
    for row, filled in zip(counts, rows, strict=True):
        for key, count in filled.items():
            row[LAG_0 + key] = count
    return counts


def test_histograms_count_each_lag_in_its_bin_and_keep_the_very_edge() -> None:
    evidence = PairEvidence({})
    for lag_us in (-8_000_000, 150_000, 199_999, 8_000_000):
        evidence.add((10_000_000, 10_500_000), (10_000_000 + lag_us, 19_000_000), 100_000)
    counts = histograms([PairEvidence({}), evidence], CONFIG)
    assert counts.shape == (2, BINS)
    assert counts[0].sum() == 0
    assert (counts[1, 0], counts[1, LAG_0 + 1], counts[1, -1]) == (1, 2, 1)


def test_a_tight_lag_is_found_where_it_is() -> None:
    (peak,) = narrow_peaks(_rows({14: 3, 15: 4, -40: 1}), np.array([0.02]), CONFIG)
    assert peak is not None
    assert (peak.low, peak.high, peak.support) == (14, 16, 7)
    assert peak.p < 1e-6
    assert peak.expected >= 2 * 0.02


def test_a_shared_burst_does_not_surprise_though_the_homogeneous_rate_is_far_exceeded() -> None:
    rng = np.random.default_rng(3)
    burst = np.zeros((1, BINS))
    burst[0] = rng.poisson(0.7, BINS)
    peak = narrow_peaks(burst, np.array([0.05]), CONFIG)[0]
    assert peak is None or peak.p > 0.05


def test_independent_streams_are_rarely_called_related() -> None:
    rng = np.random.default_rng(5)
    rows, chance = [], []
    for _ in range(2_000):
        a, b = rng.uniform(0, 300, 12), rng.uniform(0, 300, 15)
        lags = (b[None, :] - a[:, None]).ravel()
        rows.append(np.histogram(lags, bins=BINS, range=(-8, 8))[0])
        chance.append(12 * 15 * 0.1 / 300)
    peaks = narrow_peaks(np.array(rows, dtype=np.float64), np.array(chance), CONFIG)
    p = np.array([peak.p if peak else 1.0 for peak in peaks])
    for level in (0.1, 0.03, 0.01):
        assert (p <= level).mean() <= level


def test_a_row_is_judged_alone() -> None:
    rows = _rows({14: 3, 15: 4}, {-30: 6}, {})
    together = narrow_peaks(rows, np.array([0.02, 0.05, 0.01]), CONFIG)
    for at, chance in enumerate((0.02, 0.05, 0.01)):
        alone = narrow_peaks(rows[at : at + 1], np.array([chance]), CONFIG)[0]
        assert alone == together[at]
    assert together[2] is None


def test_too_few_are_no_evidence() -> None:
    assert narrow_peaks(_rows({14: 2}), np.array([0.001]), CONFIG) == [None]


@pytest.mark.parametrize(("after", "sign"), [(True, 1), (False, -1)])
def test_a_part_anywhere_inside_its_whole_is_found_by_the_wide_window(
    after: bool, sign: int
) -> None:
    inside = {sign * key - (not after): 1 for key in (1, 6, 9, 13, 18, 22)}
    rows = _rows(inside | {60 * sign: 1})
    room = np.array([2.5])
    peak = extent_peaks(rows, room, after, np.array([0.02]), CONFIG)[0]
    assert peak is not None
    assert (peak.low, peak.high) == ((0, 25) if after else (-25, 0))
    assert peak.support == 6
    assert peak.p < 1e-3
    assert extent_peaks(rows, room, not after, np.array([0.02]), CONFIG) == [None]
