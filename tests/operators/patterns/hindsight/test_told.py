import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.patterns.hindsight import told as module
from operators.patterns.hindsight.told import Entry, Told, entry_of
from operators.records import HOP_SAMPLES, Occurrence, to_ns, to_s

ENTRY = st.builds(
    Entry,
    pattern=st.sampled_from(["a", "b", "c"]),
    onset=st.integers(0, 500),
    frames=st.integers(1, 90),
    start_ns=st.integers(0, 40),
    score=st.floats(0, 1),
)


def entry(pattern: str, onset: int) -> Entry:
    return Entry(pattern, onset, 10, to_ns(0, onset * HOP_SAMPLES), 0.9)


@settings(max_examples=50, deadline=None)
@given(onset=st.integers(0, 10_000_000), frames=st.integers(1, 150))
def test_an_entry_holds_what_was_told_to_the_frame(onset: int, frames: int) -> None:
    sample = onset * HOP_SAMPLES
    end_s = to_s(sample + frames * HOP_SAMPLES)
    heard = Occurrence("s", "a", to_s(sample), end_s, to_ns(5, sample), 0.75, 0.0, False)
    made = entry_of(heard)
    assert made == Entry("a", onset, frames, to_ns(5, sample), 0.75)
    assert made.start_s == to_s(sample)


def test_what_is_told_again_takes_the_place_of_what_was_told() -> None:
    told = Told()
    told.add(Entry("a", 7, 10, 7, 0.5))
    told.add(Entry("b", 7, 10, 7, 0.6))
    told.add(Entry("a", 7, 10, 7, 0.7))
    assert [(e.pattern, e.score) for e in told.within(0, 100)] == [("a", 0.7), ("b", 0.6)]
    told.remove(entry("z", 3))
    told.remove(Entry("a", 7, 10, 7, 0.7))
    assert [e.pattern for e in told.within(0, 100)] == ["b"]


def test_it_is_bounded_and_the_oldest_go_first(monkeypatch) -> None:
    monkeypatch.setattr(module, "ENTRIES", 5)
    told = Told()
    for onset in range(12):
        told.add(entry("a", onset))
    assert [e.onset for e in told.within(0, 100)] == [7, 8, 9, 10, 11]


def test_entries_of_merged_patterns_belong_to_the_survivor_however_long_the_chain() -> None:
    told = Told()
    told.add(entry("a", 1))
    told.merged("a", "b")
    told.merged("b", "c")
    assert told.owner(entry("a", 1)) == told.owner(entry("b", 2)) == "c"
    assert told.owner(entry("x", 3)) == "x"
    # What was told keeps its name: it is the key under which a reader holds it.
    assert [e.pattern for e in told.within(0, 9)] == ["a"]


def test_what_is_settled_is_forgotten_with_the_aliases_only_it_needed() -> None:
    told = Told()
    told.add(entry("a", 10))
    told.add(entry("b", 20))
    told.merged("a", "c")
    told.merged("b", "c")
    told.settle(11)
    assert [e.onset for e in told.within(0, 100)] == [20]
    assert told.alias.snapshot() == [["b", "c"]]


def test_the_borders_of_a_stretch() -> None:
    told = Told()
    for onset in (30, 10, 20):
        told.add(entry("a", onset))
    assert [e.onset for e in told.within(10, 30)] == [10, 20]


@settings(max_examples=50, deadline=None)
@given(entries=st.lists(ENTRY, max_size=20), merges=st.sets(st.sampled_from("ab")))
def test_a_restored_one_goes_on_identically(entries: list[Entry], merges: set[str]) -> None:
    told = Told()
    for one in entries:
        told.add(one)
    for pattern in sorted(merges):
        told.merged(pattern, "c")
    again = Told.restore(pickle.loads(pickle.dumps(told.snapshot())))  # noqa: S301
    assert again == told
    assert list(again.entries) == list(told.entries)
