from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.scene.assignment import assign


def best_sum(benefit):
    """By trying everything; worthless pairs count nothing."""
    rows, columns = benefit.shape
    if rows > columns:
        return best_sum(benefit.T)
    gain = np.maximum(benefit, 0)
    return max(
        (sum(gain[row, column] for row, column in enumerate(order)))
        for order in permutations(range(columns), rows)
    )


@st.composite
def matrices(draw):
    rows, columns = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    entry = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-10, 10)
    values = draw(st.lists(entry, min_size=rows * columns, max_size=rows * columns))
    return np.array(values, dtype=np.float64).reshape(rows, columns)


@settings(max_examples=150, deadline=None)
@given(matrices())
def test_no_assignment_is_worth_more(benefit):
    pairs = assign(benefit)
    assert sum(benefit[pair] for pair in pairs) == pytest.approx(best_sum(benefit))
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(benefit[pair] > 0 for pair in pairs)
    assert list(pairs) == sorted(pairs)


def test_the_greedy_choice_is_given_up_where_it_costs_more_than_it_brings():
    assert assign(np.array([[1.0, 0.9], [0.9, 0.0]])) == ((0, 1), (1, 0))


@pytest.mark.parametrize("benefit", [np.zeros(3), np.array([[np.nan]]), np.array([[np.inf]])])
def test_what_is_not_a_finite_matrix_is_refused(benefit):
    with pytest.raises(ValueError, match="finite matrix"):
        assign(benefit)
