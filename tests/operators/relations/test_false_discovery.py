"""Tails of chance and their correction for many tests."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.relations.false_discovery import binomial_tail, poisson_tail, q_values


@given(count=st.integers(0, 60), expected=st.floats(0.001, 80.0))
def test_the_tail_is_what_the_lower_terms_leave(count: int, expected: float) -> None:
    below = sum(
        math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(count)
    )
    assert poisson_tail(count, expected) == pytest.approx(1.0 - below, abs=1e-9)


def test_tiny_tails_keep_their_digits() -> None:
    # To leading order lambda^k / k!: 1 - cdf would be lost in rounding here.
    leading = 0.01**10 / math.factorial(10)
    assert poisson_tail(10, 0.01) == pytest.approx(leading, rel=2e-3)


def test_nothing_seen_is_certain_and_something_where_nothing_may_be_is_impossible() -> None:
    assert poisson_tail(0, 3.0) == 1.0
    assert poisson_tail(1, 0.0) == 0.0


def test_a_count_beyond_floating_point_has_tail_zero_and_far_below_the_mean_one() -> None:
    assert poisson_tail(400, 1e-3) == 0.0
    assert poisson_tail(1, 5_000.0) == 1.0


def test_q_values_match_the_example_worked_by_hand() -> None:
    # p * m / rank = .05, .04, .04, .8 -> made monotone from the largest p down.
    assert q_values([0.01, 0.02, 0.03, 0.8], 5) == pytest.approx([0.05, 0.05, 0.05, 1.0])


def test_tests_that_are_not_listed_count_as_failed() -> None:
    assert q_values([0.001], 100) == pytest.approx([0.1])
    assert q_values([], 10) == []


@given(st.lists(st.floats(0.0, 1.0), max_size=20), st.integers(0, 40))
def test_q_keeps_the_order_of_p_and_is_never_below_it(p: list[float], tests: int) -> None:
    q = q_values(p, tests)
    order = sorted(range(len(p)), key=lambda i: p[i])
    assert all(q[a] <= q[b] for a, b in itertools.pairwise(order))
    assert all(q[i] >= p[i] * (1 - 1e-12) and q[i] <= 1.0 for i in range(len(p)))


@given(trials=st.integers(1, 40), data=st.data(), chance=st.floats(0.001, 0.9))
def test_the_binomial_tail_is_what_the_lower_terms_leave(trials: int, data, chance: float) -> None:
    count = data.draw(st.integers(0, trials))
    below = sum(
        math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(count)
    )
    assert binomial_tail(count, trials, chance) == pytest.approx(1.0 - below, abs=1e-9)


def test_what_cannot_happen_has_no_binomial_tail() -> None:
    assert binomial_tail(1, 5, 0.0) == 0.0
    assert binomial_tail(0, 5, 0.0) == 1.0
    assert binomial_tail(8, 8, 0.15) == pytest.approx(0.15**8)
