import json
from dataclasses import replace

import pytest

from operators.records import Occurrence, Pattern, Relation
from operators.scene.score import score
from operators.scene.truth import PlantedEvent, PlantedRelation, Truth

TIMES = {
    "A": [10, 40, 70, 100, 130, 160],
    "B": [11.5, 41.5, 71.5, 101.5, 145, 175],
    "X": [13, 43, 73, 103, 120, 190],
    "C": [20, 32, 44, 56, 68, 80],
    "D": [15, 47, 85, 108, 135, 165],
    "E": [16, 48.5, 85.7, 109, 150, 180],
    "G": [25, 60, 90, 115, 140, 170],
    "H": [26, 61, 91, 116, 155, 185],
    "once-1": [36],
}
PLANTED = (
    PlantedRelation("sequential", "A", "B", lag_s=1.5),
    PlantedRelation("sequential", "B", "X", lag_s=1.5),
    PlantedRelation("overlapping", "D", "E"),
    PlantedRelation("composite", "G", "H", lag_s=1.0),
    PlantedRelation("periodic", "C", "", period_s=12.0),
)
TRUTH = Truth(
    tuple(
        sorted(
            (PlantedEvent(sound, t, t + 1.0) for sound, ts in TIMES.items() for t in ts),
            key=lambda event: event.start_s,
        )
    ),
    PLANTED,
)
SOUNDS = [sound for sound in TIMES if sound != "once-1"]


def heard(pattern, start_s):
    return Occurrence("s", pattern, start_s, start_s + 1, round(start_s * 1e9), 1, start_s, False)


def all_of(sound, pattern=None, late_s=0.0):
    return [heard(pattern or f"p{sound}", t + late_s) for t in TIMES[sound]]


def everything(*without):
    return [o for sound in SOUNDS if sound not in without for o in all_of(sound)]


def related(kind, source, target="", **fields):
    return Relation("s", kind, source, target, 5, **fields)


def all_relations():
    return [
        related("sequential", "pA", "pB", lag_s=1.52),
        related("sequential", "pB", "pX", lag_s=1.5),
        related("overlapping", "pD", "pE"),
        related("composite", "pG", "pH", lag_s=1.04),
        related("periodic", "pC", period_s=12.0),
    ]


def state(pattern, status="confirmed", into=""):
    return Pattern("s", pattern, "", 6, 0.0, 1.0, 0, 1, 1.0, status, into)


def verdict(occurrences=None, relations=(), patterns=()):
    heard_all = everything() if occurrences is None else occurrences
    return score(TRUTH, heard_all, list(patterns), list(relations))


def test_a_perfect_result_scores_full_marks():
    result = score(TRUTH, everything(), [], all_relations())
    assert (result.patterns_planted, result.patterns_found, result.patterns_merged) == (8, 8, 0)
    assert (result.relations_planted, result.relations_found, result.relations_false) == (5, 5, 0)
    assert (result.event_f1, result.b_cubed_f, result.patterns_extra) == (1, 1, 0)
    assert result.onset_error_ms == 0
    assert result.lag_error_ms == pytest.approx(20)
    assert result.sounds["A"] == ("pA", 1.0)


def test_nothing_found_scores_nothing():
    result = score(TRUTH, [], [], [])
    assert (result.patterns_found, result.relations_found, result.relations_false) == (0, 0, 0)
    assert (result.event_f1, result.onset_error_ms, result.lag_error_ms) == (0, None, None)
    assert result.sounds["A"] == ("", 0.0)


def test_an_empty_truth_scores_nothing():
    result = score(Truth((), ()), [], [], [])
    assert (result.patterns_planted, result.event_f1, result.b_cubed_f) == (0, 0, 0)


def test_the_event_has_the_stated_fields_and_is_plain_json():
    event = json.loads(json.dumps(score(TRUTH, everything(), [], all_relations()).as_event()))
    stated = ["event", "patterns_planted", "patterns_found", "patterns_merged"]
    stated += ["relations_planted", "relations_found", "relations_false", "by_kind"]
    assert list(event)[: len(stated)] == stated
    assert event["event"] == "score"
    assert event["by_kind"] == {
        "sequential": {"planted": 2, "found": 2},
        "overlapping": {"planted": 1, "found": 1},
        "composite": {"planted": 1, "found": 1},
        "periodic": {"planted": 1, "found": 1},
    }
    assert event["lag_error_ms"] == 20.0


def test_a_missing_sound_is_neither_found_nor_merged():
    result = verdict(everything("X"))
    assert (result.patterns_found, result.patterns_merged) == (7, 0)
    assert result.event_f1 == pytest.approx(2 * 42 / (48 + 42))


def test_half_the_events_are_not_enough_and_more_are():
    assert verdict(everything("X") + all_of("X")[:2]).patterns_found == 7
    assert verdict(everything("X") + all_of("X")[:3]).patterns_found == 8
    late = [heard("pX", t + 1) for t in (200, 210)]
    # Three hits, six planted, six reported: exactly one half.
    assert verdict(everything("X") + all_of("X")[:3] + late + [heard("pX", 5)]).patterns_found == 7


def test_two_sounds_in_one_pattern_are_merged_and_one_of_them_at_most_is_found():
    shared = all_of("A", "p") + all_of("C", "p")
    result = verdict(everything("A", "C") + shared)
    assert result.patterns_merged == 2
    assert result.patterns_found == 7
    assert result.b_cubed_f < 1


def test_a_pattern_that_takes_little_of_another_sound_is_no_merge():
    stolen = [heard("pA", t) for t in TIMES["C"][:2]]
    result = verdict(everything("C") + stolen + all_of("C")[2:])
    assert result.patterns_merged == 0


def test_a_pattern_that_swallowed_a_near_part_is_not_taken_for_a_merge():
    whole_and_part = Truth(
        tuple(
            PlantedEvent(s, t + off, t + 3)
            for t in (10, 30, 50)
            for s, off in (("G", 0), ("H", 0.3))
        ),
        (),
    )
    result = score(whole_and_part, [heard("p", t) for t in (10, 30, 50)], [], [])
    assert (result.patterns_found, result.patterns_merged) == (1, 0)


def test_a_fragment_is_extra_and_its_relations_are_false():
    fragment = all_of("D", "tail", 0.7)
    result = verdict(everything() + fragment, [related("sequential", "pD", "tail", lag_s=0.7)])
    assert (result.patterns_found, result.patterns_extra) == (8, 1)
    assert (result.relations_found, result.relations_false) == (0, 1)
    assert result.event_f1 < 1


def test_a_distractor_taken_for_a_pattern_is_extra():
    result = verdict([*everything(), heard("pq", 36), heard("pq", 220)])
    assert result.patterns_extra == 1


@pytest.mark.parametrize(
    "relation",
    [
        related("sequential", "pB", "pA"),
        related("sequential", "pA", "pD"),
        related("sequential", "pD", "pE"),
        related("composite", "pD", "pE"),
        related("overlapping", "pG", "pH"),
        related("composite", "pH", "pG"),
        related("periodic", "pA"),
        related("sequential", "pA", "unknown"),
        related("absent", "pA"),
    ],
    ids=lambda relation: relation.key,
)
def test_what_is_not_planted_is_false(relation):
    result = verdict(relations=[relation])
    assert (result.relations_found, result.relations_false) == (0, 1)


@pytest.mark.parametrize(
    "relation",
    [
        related("sequential", "pA", "pX", indirect=True),
        related("similar", "pA", "pC"),
        related("variant", "pA", "pC"),
        related("absent", "pC"),
        related("sequential", "pA", "pD", withdrawn=True),
    ],
    ids=lambda relation: relation.key,
)
def test_what_is_indirect_similar_withdrawn_or_a_missed_beat_is_neither(relation):
    result = verdict(relations=[relation])
    assert (result.relations_found, result.relations_false) == (0, 0)


def test_an_overlap_is_found_in_either_direction_and_counted_once():
    result = verdict(
        relations=[related("overlapping", "pE", "pD"), related("overlapping", "pD", "pE")]
    )
    assert (result.by_kind["overlapping"].found, result.relations_found) == (1, 1)
    assert result.relations_false == 0


def test_the_last_state_of_a_relation_holds():
    relation = related("sequential", "pA", "pD")
    assert verdict(relations=[relation, replace(relation, withdrawn=True)]).relations_false == 0
    assert verdict(relations=[replace(relation, withdrawn=True), relation]).relations_false == 1


def test_a_planted_relation_called_indirect_is_not_found():
    indirect = related("sequential", "pA", "pB", indirect=True)
    assert verdict(relations=[indirect]).relations_found == 0


def test_merged_patterns_count_as_their_survivor_through_chains():
    pieces = all_of("A", "old")[:2] + all_of("A", "older")[2:4] + all_of("A")[4:]
    states = [state("older"), state("older", "merged", "old"), state("old", "merged", "pA")]
    result = verdict(
        everything("A") + pieces, [related("sequential", "older", "pB", lag_s=1.5)], states
    )
    assert (result.patterns_found, result.patterns_extra, result.relations_found) == (8, 0, 1)
    assert result.event_f1 == 1


def test_one_relation_under_two_aliases_counts_once_and_its_direct_form_holds():
    states = [state("old", "merged", "pA")]
    direct = related("sequential", "pA", "pB", lag_s=1.5)
    alias = related("sequential", "old", "pB", indirect=True)
    for order in ([direct, alias], [alias, direct]):
        assert verdict(relations=order, patterns=states).relations_found == 1
    false = [related("sequential", end, "pD") for end in ("old", "pA")]
    assert verdict(relations=false, patterns=states).relations_false == 1


def test_aliases_that_run_in_a_circle_end():
    states = [state("p1", "merged", "p2"), state("p2", "merged", "p1")]
    assert verdict([heard("p1", 10), heard("p2", 40)], patterns=states).patterns_planted == 8


def test_an_occurrence_reported_again_counts_once():
    assert verdict(everything() + everything()).event_f1 == 1


def test_the_onset_error_is_the_median_distance_of_the_hits():
    late = [o for sound in SOUNDS for o in all_of(sound, late_s=0.03)]
    assert verdict(late).onset_error_ms == pytest.approx(30)
