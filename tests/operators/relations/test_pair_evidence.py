"""Counts of two patterns together can be added, taken back and folded without a trace."""

from hypothesis import given
from hypothesis import strategies as st

from operators.relations.pair_evidence import (
    A_IN_B,
    B_IN_A,
    COUNT,
    LAG,
    LAG_SQUARED,
    OVERLAP,
    PairEvidence,
    inside,
    overlaps,
)

BIN_US = 100_000
extents = st.tuples(st.integers(0, 8_000_000), st.integers(1, 3_000_000)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
both = st.lists(st.tuples(extents, extents), max_size=12)


def _filled(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> PairEvidence:
    evidence = PairEvidence({})
    for a, b in pairs:
        evidence.add(a, b, BIN_US)
    return evidence


@given(both, both)
def test_taking_back_restores_every_count_and_sum(kept, passing) -> None:
    evidence = _filled([*kept, *passing])
    for a, b in passing:
        evidence.add(a, b, BIN_US, -1)
    expected = _filled(kept)
    assert {k: c[:6] for k, c in evidence.bins.items()} == {
        k: c[:6] for k, c in expected.bins.items()
    }
    assert evidence.total == expected.total


@given(both, both)
def test_folding_adds_up(one, other) -> None:
    evidence = _filled(one)
    change = evidence.fold(_filled(other), flipped=False)
    assert evidence == _filled([*one, *other])
    assert change == len(evidence.bins) - len(_filled(one).bins)


@given(both)
def test_folding_a_flipped_pair_turns_lags_and_containment_round(pairs) -> None:
    evidence = PairEvidence({})
    evidence.fold(_filled(pairs), flipped=True)
    turned = _filled([(b, a) for a, b in pairs]).window(-1_000, 1_000)
    folded = evidence.window(-1_000, 1_000)
    for field in (COUNT, LAG, LAG_SQUARED, OVERLAP, B_IN_A, A_IN_B):
        assert folded[field] == turned[field]


def test_taking_back_what_was_never_there_changes_nothing() -> None:
    evidence = PairEvidence({})
    assert evidence.add((0, 5), (1_000_000, 1_000_005), BIN_US, -1) == 0
    assert evidence == PairEvidence({})


def test_a_reverberant_tail_running_into_the_next_sound_is_no_overlap() -> None:
    first = (0, 1_100_000)
    assert not overlaps(first, (1_000_000, 2_000_000))
    assert overlaps(first, (700_000, 1_700_000))


def test_a_part_may_stand_out_of_its_whole_by_a_tenth_of_a_second() -> None:
    whole = (1_000_000, 3_000_000)
    assert inside((950_000, 3_050_000), whole)
    assert not inside((850_000, 2_000_000), whole)
    assert not inside((2_000_000, 3_150_000), whole)
