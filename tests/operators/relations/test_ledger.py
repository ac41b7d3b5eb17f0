"""What is remembered: once each, in any order, within bounds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.relations.config import RelationConfig
from operators.relations.ledger import Ledger

S = 1_000_000
claims = st.lists(
    st.tuples(
        st.integers(0, 2_000).map(lambda n: 5 * n), st.integers(100, 3_000), st.sampled_from("abc")
    ),
    max_size=25,
    unique_by=lambda item: (item[0], item[2]),
)
"""Close enough together for several of one event, also of one pattern."""
heard = st.lists(
    st.tuples(st.integers(0, 40_000), st.integers(100, 3_000), st.sampled_from("abcd")),
    max_size=25,
    unique_by=lambda item: (item[0] // 100, item[2]),
).map(lambda items: [item for item in items if item[0] % 100 < 40])


def _ledger(items, config: RelationConfig | None = None) -> Ledger:
    ledger = Ledger(config or RelationConfig())
    for onset_ms, length_ms, name in items:
        ledger.add(onset_ms * 1_000, (onset_ms + length_ms) * 1_000, name)
    return ledger


def _shuffled(items, rng: random.Random) -> list:
    shuffled = list(items)
    rng.shuffle(shuffled)
    return shuffled


def _whole(ledger: Ledger) -> dict:
    """Everything but the hulls of pairs, and counters of what was refused."""
    state = ledger.snapshot()
    assert sum(len(pair.bins) for pair in ledger.pairs.values()) == ledger._bins
    return {
        "events": state["events"],
        "patterns": state["patterns"],
        "pairs": {
            (a, b): (total, sorted(tuple(cell[:7]) for cell in cells))
            for a, b, total, _, cells in state["pairs"]
        },
    }


def _counts(ledger: Ledger) -> dict:
    """Everything that decides what is reported."""
    return {
        "patterns": {n: (e.count, e.extents) for n, e in ledger.patterns.items()},
        "pairs": {
            pair: {key: cell[:6] for key, cell in e.bins.items()}
            for pair, e in ledger.pairs.items()
            if e.total
        },
    }


@given(claims, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(items, rng: random.Random) -> None:
    assert _whole(_ledger(items)) == _whole(_ledger(_shuffled(items, rng)))


@given(claims, claims, st.randoms(use_true_random=False))
def test_what_is_taken_back_is_as_if_it_had_never_been_told(stay, go, rng: random.Random) -> None:
    """In any order of arrival, with others taken back in between."""
    stay = [item for item in stay if (item[0], item[2]) not in {(t, name) for t, _, name in go}]
    ledger = Ledger(RelationConfig())
    gone = set(go)
    for onset_ms, length_ms, name in _shuffled([*stay, *go, *go], rng):
        if (onset_ms, length_ms, name) not in gone:
            ledger.add(onset_ms * 1_000, (onset_ms + length_ms) * 1_000, name)
            if (onset_ms, length_ms, name) in go:
                gone.add((onset_ms, length_ms, name))
        elif ledger.remove(onset_ms * 1_000, name):
            gone.discard((onset_ms, length_ms, name))
        else:
            ledger.add(onset_ms * 1_000, (onset_ms + length_ms) * 1_000, name)
    for onset_ms, _, name in go:
        ledger.remove(onset_ms * 1_000, name)
    assert _whole(ledger) == _whole(_ledger(stay))


@given(claims, claims, st.randoms(use_true_random=False))
def test_what_is_taken_back_of_a_merged_pattern_goes_under_its_old_name(
    stay, go, rng: random.Random
) -> None:
    stay = [item for item in stay if (item[0], item[2]) not in {(t, name) for t, _, name in go}]
    items = _shuffled([*stay, *go], rng)
    ledger = _ledger(items[: len(items) // 2])
    ledger.fold("b", "a")
    renamed = Ledger(RelationConfig())
    for one, told in ((ledger, items[len(items) // 2 :]), (renamed, stay)):
        for onset_ms, length_ms, name in told:
            into = "a" if name == "b" else name
            one.add(onset_ms * 1_000, (onset_ms + length_ms) * 1_000, into, name)
    for onset_ms, _, name in go:
        assert ledger.remove(onset_ms * 1_000, "a" if name == "b" else name, name)
    ledger.patterns = {name: e for name, e in ledger.patterns.items() if e.count}
    assert _whole(ledger) == _whole(renamed)


def test_an_onset_that_moves_a_little_is_told_first_and_then_taken_back() -> None:
    ledger = _ledger([(1_000, 500, "a"), (2_000, 300, "x"), (1_020, 500, "a")])
    assert ledger.patterns["a"].extents == [(1 * S, 1_500_000)]
    assert ledger.remove(1 * S, "a")
    assert ledger.patterns["a"].extents == [(1_020_000, 1_520_000)]
    assert ledger.pairs["a", "x"].bins[9][:2] == [1, 980_000]
    assert not ledger.remove(1 * S, "a")
    assert (ledger.unknown, ledger.repeated) == (1, 1)


def test_a_pattern_that_loses_all_that_is_remembered_keeps_what_it_forgot() -> None:
    ledger = _ledger([(t * 1_000, 300, "a") for t in range(6)], RelationConfig(max_onsets=4))
    for second in (2, 3, 4, 5):
        assert ledger.remove(second * S, "a")
    assert not ledger.remove(1 * S, "a")
    assert (ledger.patterns["a"].count, ledger.patterns["a"].extents) == (2, [])
    assert not ledger.add(1 * S, 2 * S, "a")
    assert ledger.add(9 * S, 10 * S, "a")


def test_claims_on_one_event_are_bounded() -> None:
    ledger = Ledger(RelationConfig(max_onsets=4))
    for number in range(100):
        ledger.add(1_000 + number, 500_000, "a")
    assert len(ledger.patterns["a"].told) == 8
    assert (ledger.patterns["a"].count, ledger.repeated) == (1, 99)


@given(heard)
def test_hearing_everything_twice_counts_once(items) -> None:
    assert _counts(_ledger([*items, *items])) == _counts(_ledger(items))


@given(heard)
def test_merging_equals_having_heard_the_survivor_all_along(items) -> None:
    ledger = _ledger(items)
    ledger.fold("b", "a")
    renamed = _ledger([(t, d, "a" if n == "b" else n) for t, d, n in items])
    assert {n: e.count for n, e in ledger.patterns.items()} == {
        n: e.count for n, e in renamed.patterns.items()
    }
    assert {p: e.total for p, e in ledger.pairs.items() if e.total} == {
        p: e.total for p, e in renamed.pairs.items() if e.total
    }


@given(heard)
def test_a_dropped_pattern_leaves_no_trace(items) -> None:
    ledger = _ledger(items)
    ledger.drop("c")
    assert _counts(ledger) == _counts(_ledger([item for item in items if item[2] != "c"]))


@given(heard)
def test_a_restored_ledger_is_the_same_and_goes_on_the_same(items) -> None:
    ledger = _ledger(items)
    restored = Ledger.restore(ledger.snapshot(), RelationConfig())
    assert restored.snapshot() == ledger.snapshot()
    for one in (ledger, restored):
        one.add(20 * S, 21 * S, "a")
        one.fold("b", "c")
    assert restored.snapshot() == ledger.snapshot()


def test_two_claims_on_one_event_count_once_after_the_merge() -> None:
    ledger = _ledger([(1_000, 500, "a"), (1_020, 500, "b"), (9_000, 500, "b"), (2_000, 300, "x")])
    ledger.fold("b", "a")
    assert ledger.patterns["a"].count == 2
    assert ledger.pairs["a", "x"].total == 2
    assert set(ledger.patterns) == {"a", "x"}


def test_merging_keeps_evidence_older_than_the_remembered_events() -> None:
    items = [(t * 1_000, 300, name) for t in range(0, 400, 20) for name in ("b", "x")]
    config = RelationConfig(max_events=6, max_onsets=4)
    ledger = _ledger([(t + 500 * (name == "x"), d, name) for t, d, name in items], config)
    ledger.fold("b", "a")
    assert ledger.patterns["a"].count == 20
    assert ledger.patterns["a"].first_us == 0
    assert ledger.pairs["a", "x"].total == 20


def test_merging_an_unknown_pattern_or_one_into_itself_changes_nothing() -> None:
    ledger = _ledger([(1_000, 500, "a")])
    before = ledger.snapshot()
    ledger.fold("nobody", "a")
    ledger.fold("a", "a")
    assert ledger.snapshot() == before


def test_what_is_too_old_to_be_told_from_a_repetition_is_refused_and_counted() -> None:
    ledger = _ledger([(t * 1_000, 300, "a") for t in range(10)], RelationConfig(max_onsets=4))
    assert not ledger.add(2 * S, 3 * S, "a")
    assert (ledger.stale, ledger.patterns["a"].count) == (1, 10)
    assert not ledger.add(8 * S, 9 * S, "a")
    assert ledger.repeated == 1


def test_the_weakest_pairs_are_forgotten_first() -> None:
    strong = [(t * 20_000 + k * 500, 300, name) for t in range(5) for k, name in enumerate("ab")]
    weak = [
        (200_000 + t * 20_000 + k * 500, 300, f"{name}{t}")
        for t in range(30)
        for k, name in enumerate("xy")
    ]
    ledger = _ledger([*strong, *weak], RelationConfig(max_pairs=10))
    assert len(ledger.pairs) <= 10
    assert ledger.pairs["a", "b"].total == 5
    assert ledger.evicted == 31 - len(ledger.pairs)


def test_filled_bins_are_bounded_too() -> None:
    rng = random.Random(1)
    items = [(rng.randrange(200_000), 300, name) for _ in range(60) for name in "abcd"]
    ledger = _ledger(sorted(items), RelationConfig(max_bins=200))
    assert sum(len(pair.bins) for pair in ledger.pairs.values()) <= 200
    assert ledger.evicted > 0


def test_the_pattern_not_heard_for_longest_makes_room() -> None:
    ledger = _ledger([(t * 1_000, 300, f"p{t}") for t in range(5)], RelationConfig(max_patterns=3))
    assert sorted(ledger.patterns) == ["p2", "p3", "p4"]


def test_a_state_of_another_version_is_refused_with_the_remedy() -> None:
    state = Ledger(RelationConfig()).snapshot() | {"version": 99}
    with pytest.raises(ValueError, match=r"version 99.*start without the recovery state"):
        Ledger.restore(state, RelationConfig())
