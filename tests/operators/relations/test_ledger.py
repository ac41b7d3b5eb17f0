"""What is remembered: once each, in any order, within bounds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.relations.config import RelationConfig
from operators.relations.ledger import Ledger

S = 1_000_000
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


@given(heard, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(items, rng: random.Random) -> None:
    shuffled = list(items)
    rng.shuffle(shuffled)
    assert _counts(_ledger(items)) == _counts(_ledger(shuffled))


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
