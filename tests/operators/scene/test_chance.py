import math

import numpy as np
import pytest

from operators.scene.chance import looks_related, poisson_tail

EXTENTS = {"A": 0.5, "B": 0.5}


def test_the_tail_agrees_with_the_closed_form():
    assert poisson_tail(0, 0.3) == 1
    assert poisson_tail(1, 0.3) == pytest.approx(1 - math.exp(-0.3))
    assert poisson_tail(3, 2.0) == pytest.approx(1 - math.exp(-2) * (1 + 2 + 2))


def test_a_kept_lag_is_noticed_unless_it_is_known():
    leaders = [10.0, 40.0, 75.0, 120.0, 160.0, 220.0]
    starts = {"A": leaders, "B": [start + 1.5 for start in leaders]}
    assert looks_related(starts, EXTENTS, 300, frozenset())
    assert not looks_related(starts, EXTENTS, 300, frozenset({frozenset("AB")}))


def test_frequent_overlap_at_changing_lags_is_noticed():
    starts = {"A": [10.0, 60.0, 110.0, 160.0], "B": [10.1, 61.3, 112.5, 163.9]}
    assert not looks_related(starts, {"A": 0.2, "B": 0.2}, 300, frozenset())
    assert looks_related(starts, {"A": 4.0, "B": 0.2}, 300, frozenset())


def test_sounds_far_apart_are_unrelated():
    starts = {"A": [10.0, 60.0, 110.0, 160.0], "B": [30.0, 85.0, 131.0, 199.0], "once-1": [60.1]}
    assert not looks_related(starts, EXTENTS | {"once-1": 1.0}, 300, frozenset())


def test_uniform_placement_is_rarely_suspected():
    rng = np.random.default_rng(0)
    suspected = sum(
        looks_related(
            {role: sorted(rng.uniform(0, 300, 10)) for role in "AB"}, EXTENTS, 300, frozenset()
        )
        for _ in range(300)
    )
    assert suspected <= 10
