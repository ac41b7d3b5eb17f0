"""The tracker as the flow uses it: news in time, withdrawals, merges, restarts."""

import json
import random
from dataclasses import replace

import pytest

from operators.records import ANALYSIS_RATE_HZ, Occurrence, Pattern, Relation, StreamEnd
from operators.relations import RelationConfig, RelationTracker
from operators.revision import Revision

END = StreamEnd("s", 600 * ANALYSIS_RATE_HZ, 0)


def _heard(pattern: str, start_s: float, length_s: float = 0.5, later_s: float = 0.3) -> Occurrence:
    end_s = start_s + length_s
    return Occurrence(
        "s", pattern, start_s, end_s, round(start_s * 1e9), 0.9, end_s + later_s, later_s > 5
    )


def _news(pattern: str, status: str, into: str = "") -> Pattern:
    return Pattern("s", pattern, pattern, 3, 0.0, 1.0, 0, 10**9, 0.5, status, into)  # type: ignore[arg-type]


def _pairs(count: int, leader: str = "a", follower: str = "b") -> list[Occurrence]:
    rng = random.Random(2)
    items = []
    for number in range(count):
        onset = 10.0 + 27.0 * number + rng.uniform(0, 9)
        items += [_heard(leader, onset), _heard(follower, onset + 1.5 + rng.gauss(0, 0.1))]
    return items


def _final(
    tracker: RelationTracker, items: list[Occurrence | Pattern | Revision]
) -> dict[str, Relation]:
    """What a store holds after the stream: upserts and deletions by key."""
    rows: dict[str, Relation] = {}
    said = [relation for item in items for relation in tracker.observe(item)]
    for relation in [*said, *tracker.finish(END)]:
        if relation.withdrawn:
            del rows[relation.key]
        else:
            rows[relation.key] = relation
    return rows


def test_a_relation_is_told_within_the_stream_and_confirmed_at_its_end() -> None:
    tracker = RelationTracker("s")
    told = [relation for item in _pairs(20) for relation in tracker.observe(item)]
    assert told
    assert {relation.key for relation in told} == {"a|sequential|b"}
    (last,) = tracker.finish(END)
    assert last.support == 20
    assert last.probability == 1.0
    assert last.q is not None
    assert last.q < 1e-6
    assert last.lag_s == pytest.approx(1.5, abs=0.1)
    assert last.period_s is None


def test_nothing_is_told_again_unless_it_moved() -> None:
    tracker = RelationTracker("s")
    for item in _pairs(20):
        tracker.observe(item)
    assert tracker.finish(END)
    assert tracker.finish(END) == []


def test_late_and_repeated_occurrences_end_in_the_same_rows() -> None:
    items = _pairs(20)
    in_order = _final(RelationTracker("s"), list(items))
    late = [replace(item, emitted_s=item.start_s + 90.0, backfilled=True) for item in items[::3]]
    others = [item for number, item in enumerate(items) if number % 3]
    mixed = sorted([*others, *late, *late], key=lambda item: item.emitted_s)
    assert _final(RelationTracker("s"), list(mixed)) == in_order


def _back(item: Occurrence, emitted_s: float, now: str = "") -> Revision:
    return Revision("s", item.start_s, item.start_ns, item.pattern, now, "hindsight", emitted_s)


def test_a_relation_whose_occurrences_are_taken_back_is_withdrawn() -> None:
    tracker = RelationTracker("s")
    items = _pairs(20)
    assert [r.key for item in items for r in tracker.observe(item) if not r.withdrawn]
    last_s = items[-1].emitted_s
    for item in items:
        if item.pattern == "b":
            assert tracker.observe(_back(item, last_s)) == []
    (gone,) = tracker.finish(END)
    assert (gone.key, gone.withdrawn) == ("a|sequential|b", True)
    assert tracker.ledger.patterns.keys() == {"a"}


def test_an_event_that_goes_to_another_pattern_counts_there_as_if_it_always_had() -> None:
    right = _pairs(20)
    wrong = [replace(i, pattern="z") if n % 5 == 1 else i for n, i in enumerate(right)]
    corrected: list[Occurrence | Revision] = []
    for was, now in zip(wrong, right, strict=True):
        if was != now:
            told = replace(now, emitted_s=590.0, backfilled=True)
            corrected += [told, _back(was, 590.0, now.pattern)]
    added = Revision("s", 1.0, 10**9, "", "a", "hindsight", 590.0)
    rows = _final(RelationTracker("s"), [*wrong, *corrected, added])
    assert rows == _final(RelationTracker("s"), list(right))


def test_a_merge_and_what_it_corrects_may_come_in_either_order() -> None:
    items = [*_pairs(12), *(replace(i, pattern="z") for i in _pairs(12) if i.pattern == "b")]
    items.sort(key=lambda item: item.emitted_s)
    back = [_back(item, 590.0, "b") for item in items if item.pattern == "z"]
    merged = _news("z", "merged", "b")
    expected = _final(RelationTracker("s"), list(_pairs(12)))
    assert _final(RelationTracker("s"), [*items, merged, *back]) == expected
    assert _final(RelationTracker("s"), [*items, *back, merged]) == expected


def test_a_merge_hands_the_evidence_to_the_survivor_and_withdraws_the_alias() -> None:
    tracker = RelationTracker("s")
    old = [replace(i, pattern="z") if i.pattern == "b" else i for i in _pairs(12)]
    new = _pairs(20)[24:]
    rows = _final(tracker, [*old, _news("z", "merged", into="b"), *new])
    assert set(rows) == {"a|sequential|b"}
    assert rows["a|sequential|b"].support == 20


def test_what_is_still_told_of_an_alias_counts_for_the_last_survivor() -> None:
    tracker = RelationTracker("s")
    items: list[Occurrence | Pattern] = [_news("y", "confirmed"), _news("y", "merged", into="z")]
    items += [_news("z", "merged", into="b"), _news("b", "merged", into="y")]
    items += [replace(i, pattern="y") if i.pattern == "b" else i for i in _pairs(10)]
    assert set(_final(tracker, items)) == {"a|sequential|b"}


def test_a_retired_pattern_takes_its_relations_with_it() -> None:
    tracker = RelationTracker("s")
    told = [relation for item in _pairs(20) for relation in tracker.observe(item)]
    assert told
    assert tracker.observe(_news("b", "retired")) == []
    (gone,) = tracker.finish(END)
    assert gone.withdrawn
    assert gone.key == "a|sequential|b"


def test_a_beat_is_periodic_with_an_empty_target() -> None:
    rng = random.Random(3)
    beats = [_heard("c", 5 + 15 * k + rng.gauss(0, 0.08)) for k in range(38)]
    (relation,) = _final(RelationTracker("s"), list(beats)).values()
    assert relation.key == "c|periodic|"
    assert relation.period_s == pytest.approx(15.0, abs=0.1)
    assert relation.lag_s is None
    assert relation.support >= 35


def test_what_follows_a_beat_inherits_it_indirectly() -> None:
    rng = random.Random(4)
    items = []
    for k in range(38):
        onset = 5 + 15 * k + rng.gauss(0, 0.08)
        items.append(_heard("c", onset))
        if k % 5:
            items.append(_heard("d", onset + 2 + rng.gauss(0, 0.1)))
    rows = _final(RelationTracker("s"), list(items))
    assert set(rows) == {"c|periodic|", "c|sequential|d", "d|periodic|"}
    assert rows["d|periodic|"].indirect
    assert not rows["c|periodic|"].indirect
    assert not rows["c|sequential|d"].indirect


def test_a_confirmed_pattern_that_merges_confirms_its_survivor() -> None:
    config = RelationConfig(enough=9)
    news = [_news("a", "confirmed"), _news("y", "confirmed"), _news("y", "merged", into="b")]
    assert set(_final(RelationTracker("s", config), [*news, *_pairs(6)])) == {"a|sequential|b"}


def test_fragments_of_one_sound_are_not_told() -> None:
    rng = random.Random(5)
    items = []
    for k in range(15):
        onset = 10 + 30 * k + rng.uniform(0, 10)
        items += [_heard("a", onset, 0.9), _heard("b", onset + 1.0 + rng.gauss(0, 0.01))]
    assert _final(RelationTracker("s"), list(items)) == {}


def test_too_few_occurrences_take_part_only_once_confirmed() -> None:
    config = RelationConfig(enough=6)
    assert _final(RelationTracker("s", config), list(_pairs(5))) == {}
    news = [_news("a", "confirmed"), _news("b", "confirmed")]
    assert set(_final(RelationTracker("s", config), [*news, *_pairs(5)])) == {"a|sequential|b"}


def test_a_restart_anywhere_changes_nothing_and_the_state_is_plain() -> None:
    items: list[Occurrence | Pattern] = [_news("a", "confirmed"), *_pairs(20)]
    items.insert(21, _news("z", "merged", into="b"))
    straight = RelationTracker("s")
    said = [relation for item in items for relation in straight.observe(item)]
    said += straight.finish(END)
    for cut in (0, 5, 22, 35):
        first = RelationTracker("s")
        parts = [relation for item in items[:cut] for relation in first.observe(item)]
        state = json.loads(json.dumps(first.snapshot()))
        second = RelationTracker.restore(state)
        assert second.snapshot() == first.snapshot()
        parts += [relation for item in items[cut:] for relation in second.observe(item)]
        assert [*parts, *second.finish(END)] == said


def test_a_merge_that_leads_back_to_itself_changes_nothing() -> None:
    tracker = RelationTracker("s")
    items: list[Occurrence | Pattern] = [_news("b", "merged", into="z"), *_pairs(12)]
    items.insert(9, _news("z", "merged", into="b"))
    assert set(_final(tracker, items)) == {"a|sequential|z"}


def test_the_names_of_confirmed_patterns_are_bounded() -> None:
    tracker = RelationTracker("s", RelationConfig(max_patterns=4))
    for number in range(20):
        tracker.observe(_news(f"p{number}", "confirmed"))
    assert len(tracker.snapshot()["confirmed"]) <= 5


def test_a_state_of_another_version_is_refused_with_the_remedy() -> None:
    state = RelationTracker("s").snapshot() | {"version": 7}
    with pytest.raises(ValueError, match=r"version 7.*start without the recovery state"):
        RelationTracker.restore(state)


def test_evaluation_depends_on_stream_position_not_on_how_items_arrive() -> None:
    every = RelationConfig(evaluate_every_s=30.0)
    said = [r for t in [RelationTracker("s", every)] for i in _pairs(20) for r in t.observe(i)]
    again = [r for t in [RelationTracker("s", every)] for i in _pairs(20) for r in t.observe(i)]
    assert said == again
    seldom = RelationTracker("s", RelationConfig(evaluate_every_s=1e9))
    assert [r for item in _pairs(20) for r in seldom.observe(item)] == []
    assert [r.support for r in seldom.finish(END)] == [20]
