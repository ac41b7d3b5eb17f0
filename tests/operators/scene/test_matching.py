from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.records import Occurrence
from operators.scene.matching import TOLERANCE_S, match, paired
from operators.scene.truth import PlantedEvent, Truth

onsets = st.lists(st.floats(0, 4).map(lambda t: round(t, 2)), max_size=5)


def heard(pattern, start_s):
    return Occurrence("s", pattern, start_s, start_s + 0.5, round(start_s * 1e9), 1, start_s, False)


def truth_of(**sounds):
    events = [PlantedEvent(sound, t, t + 0.5) for sound, times in sounds.items() for t in times]
    return Truth(tuple(sorted(events, key=lambda event: event.start_s)), ())


def most_pairs(left, right):
    small, large = sorted((left, right), key=len)
    for size in range(len(small), 0, -1):
        for some in combinations(small, size):
            for others in permutations(large, size):
                if all(abs(a - b) <= TOLERANCE_S for a, b in zip(some, others, strict=True)):
                    return size
    return 0


@settings(max_examples=200, deadline=None)
@given(onsets, onsets)
def test_as_many_onsets_are_paired_as_can_be(left, right):
    assert paired(left, right) == most_pairs(left, right)


@settings(max_examples=100, deadline=None)
@given(onsets, onsets)
def test_every_event_and_every_occurrence_is_matched_once_and_in_tolerance(left, right):
    truth = truth_of(a=left)
    reports = [heard("p", start) for start in right]
    matching = match(truth, reports)
    assert len(matching.pairs) == most_pairs(left, right)
    assert len({event for event, _ in matching.pairs}) == len(matching.pairs)
    assert len({report for _, report in matching.pairs}) == len(matching.pairs)
    for event, report in matching.pairs:
        assert abs(truth.events[event].start_s - reports[report].start_s) <= TOLERANCE_S


def test_half_a_second_is_still_the_same_event_and_more_is_not():
    assert paired([1.0], [1.5]) == 1
    assert paired([1.0], [1.51]) == 0


def test_patterns_are_mapped_so_that_all_sounds_together_fare_best():
    truth = truth_of(a=[1, 11, 21, 31], b=[5, 15, 25, 35])
    # p fits both, q fits a only: a has to do with q.
    reports = [heard("p", t) for t in (1, 11, 21, 31, 5, 15, 25, 35)]
    reports += [heard("q", t) for t in (1, 11, 21)]
    assert match(truth, reports).mapping == {"a": "q", "b": "p"}


def test_f1_counts_misses_and_false_alarms():
    truth = truth_of(a=[1, 11, 21, 31])
    matching = match(truth, [heard("p", t) for t in (1.1, 11.1, 50)])
    assert matching.f1["a"] == pytest.approx(2 * 2 / (4 + 3))


def test_the_nearest_occurrence_is_taken_where_several_fit():
    matching = match(truth_of(a=[10, 20]), [heard("p", t) for t in (9.6, 10.1, 20)])
    assert matching.pairs == ((0, 1), (1, 2))


def test_the_own_pattern_goes_before_a_nearer_one():
    truth = truth_of(whole=[10, 30, 50], part=[10.2, 30.2, 60])
    reports = [heard("w", t) for t in (10.3, 30.3, 50.3)]
    reports += [heard("x", t) for t in (10.1, 30.1, 60.1)]
    matching = match(truth, reports)
    assert matching.mapping == {"whole": "w", "part": "x"}
    for event, report in matching.pairs:
        assert matching.mapping[truth.events[event].sound] == reports[report].pattern
    assert len(matching.pairs) == 6


def test_a_distractor_is_never_mapped_though_it_may_be_matched():
    matching = match(truth_of(a=[1, 11], once=[30]), [heard("p", t) for t in (30, 60)])
    assert matching.mapping == {}
    assert matching.pairs == ((2, 0),)


def test_nothing_heard_matches_nothing():
    matching = match(truth_of(a=[1, 11]), [])
    assert (matching.mapping, matching.f1, matching.pairs) == ({}, {}, ())
