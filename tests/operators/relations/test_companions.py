"""Occurrences that have company, each counted once."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.relations.companions import companions, sharpened
from operators.relations.lag_peak import Peak
from operators.relations.ledger import PatternEvidence


def _heard(onsets: list[int], keep: int = 512) -> PatternEvidence:
    evidence = PatternEvidence()
    for onset in onsets:
        evidence.add((onset, onset + 5), keep)
    return evidence


few = st.lists(st.integers(0, 40), max_size=5, unique=True)


@given(few, few, st.integers(-10, 10), st.integers(1, 12))
def test_as_many_are_paired_as_any_pairing_can(
    a: list[int], b: list[int], low: int, width: int
) -> None:
    fits = [(x, y) for x in a for y in b if low <= y - x < low + width]
    best = (
        max(
            (
                size
                for size in range(len(fits) + 1)
                for chosen in itertools.combinations(fits, size)
                if len({x for x, _ in chosen}) == len({y for _, y in chosen}) == size
            ),
            default=0,
        )
        if len(fits) <= 10
        else None
    )
    found = companions(_heard(a), _heard(b), low, low + width)
    assert found is not None
    assert best is None or found == best


def test_four_coincidences_of_two_and_two_are_two() -> None:
    assert companions(_heard([100, 110]), _heard([105, 115]), -20, 21) == 2


def test_where_occurrences_were_forgotten_the_peak_keeps_its_p() -> None:
    peak = Peak(0, 2, 6, 0.5, 0.01, 10.0)
    forgotten = _heard(list(range(0, 800, 100)), keep=4)
    assert companions(forgotten, forgotten, 0, 10) is None
    assert sharpened(peak, forgotten, forgotten, 100) == 0.01


def test_single_occurrences_sharpen_a_peak_that_is_not_made_of_repetitions() -> None:
    a, b = _heard([1_000 * k for k in range(8)]), _heard([1_000 * k + 50 for k in range(8)])
    poisson = 3e-4
    peak = Peak(0, 1, 8, 1.2, poisson, 1.0)
    assert sharpened(peak, a, b, 100) == pytest.approx((1.2 / 8) ** 8)
    crowded = Peak(0, 1, 8, 7.0, 0.4, 1.0)
    assert sharpened(crowded, a, b, 100) == 0.4
