"""Measures on cases small enough to be worked out by hand."""

import math
from dataclasses import replace

import pytest

from bench.discovery.measures import (
    confirmed_of,
    judged,
    measure,
    onset_recall,
    recognised_from,
    reliability,
    reported,
    standing,
    strict,
)
from operators.records import Occurrence, Pattern, Relation
from operators.revision import Revision
from operators.scene.truth import PlantedEvent, PlantedRelation, Truth

STARTS_S = {"a": (10.0, 20.0, 30.0, 40.0), "b": (13.0, 23.0, 33.0, 43.0)}


def truth_of(**starts_s: tuple[float, ...]) -> Truth:
    events = [PlantedEvent(s, at, at + 1) for s, starts in starts_s.items() for at in starts]
    return Truth(tuple(sorted(events, key=lambda event: event.start_s)), ())


def told(
    pattern: str, start_s: float, score: float = 0.9, emitted_s: float | None = None
) -> Occurrence:
    at = start_s + 2 if emitted_s is None else emitted_s
    return Occurrence(
        "s", pattern, start_s, start_s + 1, round(start_s * 1e9), score, at, backfilled=False
    )


def all_told(**starts_s: tuple[float, ...]) -> list[Occurrence]:
    return [told(pattern, at) for pattern, starts in starts_s.items() for at in starts]


def state(pattern: str, status: str = "confirmed", into: str = "") -> Pattern:
    return Pattern("s", pattern, pattern, 4, 0, 0, 0, 0, 1.0, status, into)  # type: ignore[arg-type]


TRUTH = truth_of(**STARTS_S)
PERFECT = all_told(p=STARTS_S["a"], q=STARTS_S["b"])


def test_what_is_perfect() -> None:
    found = measure(TRUTH, (), PERFECT)
    assert (found.b_cubed, found.ari, found.event_f1, found.found) == (1.0, 1.0, 1.0, 1.0)
    assert (found.extra, found.one_offs, found.onset_ms) == (0, 0, 0.0)
    assert math.isnan(found.relation_recall)


def test_all_missed() -> None:
    found = measure(TRUTH, (), [])
    # Eight events alone: precision 1, recall 1/4.
    assert found.b_cubed == pytest.approx(0.4)
    assert (found.ari, found.event_f1, found.found, found.extra) == (0.0, 0.0, 0.0, 0.0)
    assert math.isnan(found.onset_ms)


def test_two_sounds_in_one_pattern() -> None:
    found = measure(TRUTH, (), all_told(p=STARTS_S["a"] + STARTS_S["b"]))
    # Precision 1/2, recall 1; four of the eight reported events are hits.
    assert found.b_cubed == pytest.approx(2 / 3)
    assert (found.ari, found.event_f1, found.found) == (0.0, 0.5, 0.5)


def test_a_pattern_too_many_and_onsets_that_are_late() -> None:
    late = [replace(o, start_s=o.start_s + 0.1) for o in PERFECT]
    found = measure(TRUTH, (), late + all_told(r=(50.0, 55.0)))
    assert found.extra == 1
    assert found.event_f1 == pytest.approx(16 / 18)
    assert found.onset_ms == pytest.approx(100.0)


def test_what_was_heard_once_and_taken_for_a_pattern() -> None:
    truth = truth_of(**STARTS_S, **{"once-1": (60.0,), "once-2": (70.0,)})
    found = measure(truth, (), [*PERFECT, told("p", 60.1)])
    assert (found.one_offs, found.found) == (1, 1.0)
    assert found.event_f1 == pytest.approx(16 / 17)


def test_events_of_classes_are_left_out_on_both_sides() -> None:
    truth = truth_of(**STARTS_S, **{"L.1-x": (50.0, 60.0), "L.2-y": (55.0, 65.0)})
    fused = all_told(r=(50.0, 55.0, 60.0, 65.0))
    classes = {"L.1-x": "L", "L.2-y": "L"}
    for heard in (PERFECT, PERFECT + fused):
        found = measure(truth, classes, heard)
        assert (found.event_f1, found.b_cubed, found.extra) == (1.0, 1.0, 0)
    assert measure(truth, (), PERFECT + fused).event_f1 < 1.0


def test_relations_of_mapped_patterns() -> None:
    planted = (
        PlantedRelation("sequential", "a", "b", lag_s=3.0),
        PlantedRelation("periodic", "a", "", period_s=10.0),
    )
    truth = replace(TRUTH, relations=planted)
    right = Relation("s", "sequential", "p", "q", 4, lag_s=3.0)
    wrong = Relation("s", "overlapping", "p", "q", 4)
    found = measure(truth, (), PERFECT, [right, wrong])
    assert (found.relation_precision, found.relation_recall) == (0.5, 0.5)
    found = measure(truth, (), PERFECT, [right, wrong, replace(wrong, withdrawn=True)])
    assert (found.relation_precision, found.relation_recall) == (1.0, 0.5)
    found = measure(truth, (), PERFECT, [])
    assert (found.relation_precision, found.relation_recall) == (1.0, 0.0)


def test_three_occurrences_are_reported_and_only_of_what_is_confirmed() -> None:
    heard = all_told(p=(1.0, 2.0, 3.0), q=(1.0, 2.0), r=(5.0, 6.0, 7.0))
    assert {o.pattern for o in reported(heard)} == {"p", "r"}
    said = [state("p"), state("r"), state("q"), state("r", "retired")]
    assert confirmed_of(said) == {"p", "q"}
    assert {o.pattern for o in reported(heard, confirmed_of(said))} == {"p"}


def revision(start_s: float, gone: str, now: str, emitted_s: float) -> Revision:
    return Revision("s", start_s, round(start_s * 1e9), gone, now, "hindsight", emitted_s)


def test_what_stands_in_the_end_and_what_stood_after_a_while() -> None:
    said = [
        told("p", 10.0),
        told("p", 20.0),
        told("p", 30.0),
        # Moved in time, moved too late, and added too late.
        told("q", 20.0, emitted_s=100.0),
        revision(20.0, "p", "q", 100.0),
        told("q", 30.0, emitted_s=200.0),
        revision(30.0, "p", "q", 200.0),
        told("q", 40.0, emitted_s=200.0),
        revision(40.0, "", "q", 200.0),
    ]
    final = [(o.pattern, o.start_s) for o in standing(said)]
    assert final == [("p", 10.0), ("q", 20.0), ("q", 30.0), ("q", 40.0)]
    frozen = [(o.pattern, o.start_s) for o in standing(said, 120.0)]
    assert frozen == [("p", 10.0), ("q", 20.0), ("p", 30.0)]


def test_what_is_withdrawn_is_gone_and_what_is_merged_counts_once() -> None:
    said = [
        told("p", 10.0),
        told("q", 10.0),
        told("q", 20.0),
        told("p", 30.0),
        revision(30.0, "p", "", 90.0),
        state("q", "merged", "p"),
    ]
    assert [(o.pattern, o.start_s) for o in standing(said)] == [("p", 10.0), ("p", 20.0)]


def test_recognised_from_the_third_occurrence_on() -> None:
    view = strict(TRUTH, (), PERFECT)
    late = [replace(o, backfilled=True) for o in PERFECT if o.start_s < 30]
    at_once = [o for o in PERFECT if o.start_s >= 30]
    assert recognised_from(TRUTH, PERFECT, view) == 1
    assert recognised_from(TRUTH, [*late, *at_once], view) == 3
    assert recognised_from(TRUTH, late, view) == 5  # never: one more than there are
    hindsight = [replace(o, emitted_s=o.end_s + 60) for o in PERFECT]
    assert recognised_from(TRUTH, hindsight, view) == 5
    # What was said under another name counts for the survivor.
    other = [replace(o, pattern="x" if o.pattern == "p" else o.pattern) for o in at_once]
    assert recognised_from(TRUTH, [*other, state("x", "merged", "p")], view) == 3
    assert math.isnan(recognised_from(TRUTH, [], strict(TRUTH, (), [])))


def test_onsets_near_events() -> None:
    near = [10.1, 13.3, 20.0, 22.9, 29.0, 33.0, 40.15, 43.5]
    assert onset_recall(TRUTH, near) == pytest.approx(5 / 8)
    assert onset_recall(TRUTH, [26.0]) == 0.0


def test_claims_are_held_against_what_was_right() -> None:
    heard = [
        told("p", at, score) for at, score in zip(STARTS_S["a"], (0.9, 0.8, 0.7, 0.6), strict=True)
    ]
    heard += [told("p", 13.0, 0.3), told("p", 60.0, 0.2)]
    assert judged(strict(TRUTH, (), heard)) == [
        (0.9, True), (0.8, True), (0.7, True), (0.6, True), (0.3, False), (0.2, False),
    ]  # fmt: skip


def test_reliability_and_calibration_error() -> None:
    found = reliability([(0.95, True)] * 3 + [(0.95, False)] + [(0.25, True), (0.25, False)])
    assert found.rows == ((0.2, 2, 0.25, 0.5), (0.9, 4, pytest.approx(0.95), 0.75))
    assert found.ece == pytest.approx((2 * 0.25 + 4 * 0.2) / 6)
    sure = reliability([(1.0, True), (0.0, False)])
    assert (sure.ece, [row[0] for row in sure.rows]) == (0.0, [0.0, 0.9])
    assert reliability([]).ece == 0.0
