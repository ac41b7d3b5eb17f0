import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.patterns.cells import agreement, mode_gain, occluded


@settings(max_examples=40, deadline=None)
@given(st.floats(-60, 40), st.integers(0, 1000))
def test_the_gain_is_found_although_a_third_of_the_cells_is_covered(gain: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    difference = gain + rng.normal(0, 1, 300)
    difference[:100] += rng.uniform(8, 40, 100)
    found = mode_gain(difference[None].astype(np.float32), np.ones((1, 300), dtype=np.float32))
    assert abs(float(found[0]) - gain) < 1.2


def test_cells_without_weight_have_no_influence_on_the_gain() -> None:
    difference = np.array([[5.0, 5.2, 4.8, -30.0, -30.0, -30.0, -30.0]], dtype=np.float32)
    weight = np.array([[1, 1, 1, 0, 0, 0, 0]], dtype=np.float32)
    assert abs(float(mode_gain(difference, weight)[0]) - 5.0) < 0.01


def test_rows_are_judged_on_their_own() -> None:
    rng = np.random.default_rng(3)
    difference = rng.normal(0, 10, (5, 80)).astype(np.float32)
    weight = rng.uniform(0, 1, (5, 80)).astype(np.float32)
    together = mode_gain(difference, weight)
    alone = [float(mode_gain(difference[i : i + 1], weight[i : i + 1])[0]) for i in range(5)]
    assert together.tolist() == alone


def test_agreement_is_full_to_two_decibels_and_gone_at_nine() -> None:
    values = agreement(np.array([0, 2, -2, 5.5, 9, -20], dtype=np.float32))
    assert values.tolist() == [1, 1, 1, 0.5, 0, 0]


def test_only_louder_cells_count_as_covered() -> None:
    assert occluded(np.array([9.5, 8.5, -30], dtype=np.float32)).tolist() == [True, False, False]
