"""Steady patterns raise no alarm, changed ones do: on simulated streams of hours."""

import itertools
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from operators.rates import RateChange, RateConfig, RateTracker, Reached
from operators.records import ANALYSIS_RATE_HZ, Occurrence, Pattern, PatternStatus, StreamEnd
from operators.revision import Revision

HOUR_S = 3_600.0
Onsets = list[tuple[float, str]]


def heard(pattern: str, start_s: float, later_s: float = 1.0) -> Occurrence:
    start_ns = round(start_s * 1e9)
    emitted_s = start_s + later_s
    return Occurrence("s", pattern, start_s, start_s + 0.5, start_ns, 0.9, emitted_s, later_s > 9)


def news(pattern: str, status: PatternStatus, into: str = "") -> Pattern:
    return Pattern("s", pattern, pattern, 3, 0.0, 1.0, 0, 10**9, 0.5, status, into)


def stream(onsets: Onsets, end_s: float) -> list[Any]:
    """What the step is fed with: occurrences, and marks once a minute."""
    items = [(item.emitted_s, item) for item in (heard(name, at_s) for at_s, name in onsets)]
    marks = [(at_s, Reached("s", at_s)) for at_s in np.arange(0.0, end_s, 60.0)]
    return [item for _, item in sorted([*items, *marks], key=lambda each: each[0])]


def told(items: list[Any], tracker: RateTracker | None = None) -> list[RateChange]:
    tracker = tracker or RateTracker("s")
    return [change for item in items for change in tracker.observe(item)]


def poisson(rng: np.random.Generator, per_h: float, since_s: float, until_s: float) -> list[float]:
    count = rng.poisson(per_h * (until_s - since_s) / HOUR_S)
    return [float(at_s) for at_s in np.sort(rng.uniform(since_s, until_s, count))]


def test_two_hundred_steady_patterns_raise_at_most_one_false_alarm() -> None:
    """24,000 occurrences, 36,000 comparisons: a quarter of an alarm is to be expected."""
    rng = np.random.default_rng(11)
    rates = np.exp(rng.uniform(np.log(6), np.log(120), 200))
    onsets = [
        (at_s, f"p{number:03d}")
        for number, per_h in enumerate(rates)
        for at_s in poisson(rng, float(per_h), rng.uniform(0, 600), 3 * HOUR_S)
    ]
    assert len(onsets) > 20_000
    assert len(told(stream(onsets, 3 * HOUR_S))) <= 1


def test_bursty_patterns_do_not_spam() -> None:
    """Fifty, each in bursts of about eight, twelve bursts an hour, four hours long."""
    rng = np.random.default_rng(12)
    onsets = [
        (float(at_s), f"p{number:02d}")
        for number in range(50)
        for burst_s in poisson(rng, 12.0, 0.0, 4 * HOUR_S)
        for at_s in burst_s + np.cumsum(rng.exponential(2.0, rng.poisson(7) + 1))
    ]
    changes = Counter(change.pattern for change in told(stream(onsets, 4 * HOUR_S)))
    assert changes.total() <= 50
    assert max(changes.values(), default=0) <= 4


@pytest.mark.parametrize(
    ("times", "directions", "within_intervals"),
    [(4.0, {"more"}, 16.0), (0.0, {"silent", "fewer"}, 24.0), (0.2, {"fewer", "silent"}, 80.0)],
)
def test_a_changed_rate_is_told_within_so_many_intervals(
    times: float, directions: set[str], within_intervals: float
) -> None:
    """Of 20 patterns that came 50 times, once a minute: nine of ten in time, none too early."""
    rng = np.random.default_rng(13)
    since_s, end_s = 3_000.0, 9_000.0
    onsets = [
        (at_s, f"p{number:02d}")
        for number in range(20)
        for at_s in (
            *poisson(rng, 60.0, 0.0, since_s),
            *poisson(rng, 60.0 * times, since_s, end_s),
        )
    ]
    first: dict[str, RateChange] = {}
    for change in told(stream(onsets, end_s)):
        first.setdefault(change.pattern, change)
    assert all(change.emitted_s > since_s for change in first.values())
    in_time = [c for c in first.values() if c.emitted_s <= since_s + 60.0 * within_intervals]
    assert len(in_time) >= 18
    assert {change.direction for change in in_time} <= directions
    assert float(np.median([abs(c.at_s - since_s) for c in in_time])) < 240.0
    assert float(np.median([c.rate_before_per_h for c in in_time])) == pytest.approx(60, rel=0.2)
    assert max(change.p for change in in_time) < 1e-5


def test_a_beat_that_stops_is_missed_after_a_few_beats_and_its_return_is_told() -> None:
    rng = np.random.default_rng(14)
    beats = [*np.arange(5.0, 2_400.0, 60.0), *np.arange(5_000.0, 9_000.0, 60.0)]
    onsets = [(float(at_s + rng.normal(0, 0.5)), "p") for at_s in beats]
    silent, again = told(stream(onsets, 9_000.0))
    assert (silent.direction, again.direction) == ("silent", "again")
    assert silent.at_s == pytest.approx(2_345.0, abs=5)
    assert silent.emitted_s <= 2_345.0 + 7 * 60.0
    assert (silent.rate_per_h, again.rate_before_per_h) == (0.0, 0.0)
    assert again.at_s == pytest.approx(5_000.0, abs=5)
    assert again.emitted_s <= 5_300.0


def steps_of(items: list[Any]) -> list[list[Any]]:
    """Items between two evaluations."""
    return [
        list(group)
        for _, group in itertools.groupby(
            items, key=lambda i: (i.at_s - 5.0 if isinstance(i, Reached) else i.emitted_s) // 60.0
        )
    ]


@pytest.fixture
def changing() -> list[Any]:
    rng = np.random.default_rng(15)
    onsets = [
        (at_s, name)
        for name, times in (("p1", 4.0), ("p2", 0.0), ("p3", 1.0))
        for at_s in (*poisson(rng, 60.0, 0.0, 2_400.0), *poisson(rng, 60.0 * times, 2_400.0, 6e3))
    ]
    return stream(onsets, 6_000.0)


def test_order_repetitions_and_marks_change_nothing(changing: list[Any]) -> None:
    whole = told(changing)
    assert {change.direction for change in whole} == {"more", "silent"}
    rng = np.random.default_rng(16)
    shuffled = []
    for step in steps_of(changing):
        repeated = [*step, *step[:2]]
        shuffled += [repeated[at] for at in rng.permutation(len(repeated))]
    assert told(shuffled) == whole
    occurrences = [item for item in changing if isinstance(item, Occurrence)]
    unmarked = [*told(occurrences)]
    assert [c for c in whole if c.emitted_s <= occurrences[-1].emitted_s] == unmarked


def test_a_tracker_goes_on_where_its_snapshot_was_taken(changing: list[Any]) -> None:
    whole = told(changing)
    for at in (50, 120, 200):
        tracker = RateTracker("s")
        parts = told(changing[:at], tracker)
        state = json.loads(json.dumps(tracker.snapshot()))
        parts += told(changing[at:], RateTracker.restore(state))
        assert parts == whole
    with pytest.raises(ValueError, match="version 9"):
        RateTracker.restore({**tracker.snapshot(), "version": 9})


def test_the_end_of_a_stream_evaluates_what_is_due() -> None:
    tracker = RateTracker("s")
    beats = [heard("p", float(at_s)) for at_s in np.arange(5.0, 1_000.0, 30.0)]
    assert told(beats, tracker) == []
    (change,) = tracker.finish(StreamEnd("s", 2_000 * ANALYSIS_RATE_HZ, 0))
    assert change.direction == "silent"


def test_nothing_is_told_of_a_pattern_that_is_no_more() -> None:
    tracker = RateTracker("s")
    told([heard("p", float(at_s)) for at_s in np.arange(5.0, 1_000.0, 30.0)], tracker)
    tracker.observe(news("p", "retired"))
    assert told([Reached("s", 9_000.0)], tracker) == []


def test_a_merged_pattern_goes_on_in_the_survivor() -> None:
    tracker = RateTracker("s")
    onsets = np.arange(5.0, 1_000.0, 30.0)
    told([heard("ab"[n % 2], float(at_s)) for n, at_s in enumerate(onsets)], tracker)
    tracker.observe(news("a", "merged", into="b"))
    changes = told([Reached("s", 2_000.0)], tracker)
    assert [(change.pattern, change.direction) for change in changes] == [("b", "silent")]
    assert changes[0].count_before == len(onsets) - 1


def test_an_occurrence_taken_back_or_filled_in_late_counts_accordingly() -> None:
    onsets = [float(at_s) for at_s in np.arange(5.0, 1_000.0, 30.0)]
    wrong = [1_060.0, 1_090.0, 1_120.0]
    taken_back = [
        Revision("s", at_s, round(at_s * 1e9), "p", "", "hindsight", 1_150.0) for at_s in wrong
    ]
    late = heard("p", onsets[7], later_s=1_150.0 - onsets[7])
    rest = [heard("p", at_s) for at_s in (*onsets[:7], *onsets[8:], *wrong)]
    changes = told([*rest, *taken_back, late, Reached("s", 3_000.0)])
    plain = told([*[heard("p", at_s) for at_s in onsets], Reached("s", 3_000.0)])
    assert [change.at_s for change in changes] == [change.at_s for change in plain]
    assert changes[0].count_before == plain[0].count_before


def test_memory_is_bounded() -> None:
    config = RateConfig(max_onsets=16, max_patterns=3)
    tracker = RateTracker("s", config)
    told([heard(f"p{at_s % 7}", float(at_s)) for at_s in range(500)], tracker)
    courses = tracker.snapshot()["courses"]
    assert len(courses) == 3
    assert max(len(course[0]) for course in courses.values()) <= 32
