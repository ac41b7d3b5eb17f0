"""Records become lines."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from connectors.live.glyphs import glyphs_of
from connectors.live.moments import Moments
from connectors.live.tail import Tail, sentence
from operators.rates import RateChange
from operators.records import (
    ANALYSIS_RATE_HZ,
    BreakerTransition,
    Embedding,
    Failure,
    Novel,
    Occurrence,
    Outcome,
    Pattern,
    PatternStatus,
    Relation,
    RungChange,
    SourceState,
    Verdict,
)
from operators.remarks import Description, Tag
from operators.revision import Revision

NOON_NS = int(datetime(2026, 5, 1, 12, 4, 11, tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture
def tail() -> Tail:
    return Tail(Moments(lambda: NOON_NS, UTC), glyphs_of("utf-8"))


def occurrence(
    pattern: str, at_s: float, *, origin_ns: int = NOON_NS, stream: str = "roof", late: bool = False
) -> Occurrence:
    start_ns = origin_ns + round(at_s * 1e9)
    return Occurrence(stream, pattern, at_s, at_s + 0.5, start_ns, 0.82, at_s + 1.0, late)


def pattern(
    key: str,
    count: int,
    status: PatternStatus = "born",
    *,
    name: str = "P7",
    origin_ns: int = NOON_NS,
    into: str = "",
) -> Pattern:
    first_ns, last_ns = origin_ns + 10**9, origin_ns + 5 * 10**9
    return Pattern("roof", key, name, count, 1.0, 5.0, first_ns, last_ns, 0.75, status, into)


def window(index_s: int, outcome: Outcome, reason: str = "", stream: str = "roof") -> Verdict:
    start_ns = NOON_NS + index_s * 10**9
    return Verdict(stream, index_s * ANALYSIS_RATE_HZ, start_ns, "m", outcome, reason)


def told(tail: Tail, *items: object) -> list[str]:
    return [line.plain for item in items for line in tail.take(item)]


def test_the_first_two_occurrences_and_their_pattern_are_one_line(tail: Tail) -> None:
    born = told(tail, occurrence("pa", 1.0, late=True), occurrence("pa", 5.0), pattern("pa", 2))
    assert born == ["12:04:16  roof  P7  new pattern, 0.75 s, first 12:04:12  pa"]


def test_a_pattern_goes_by_its_name_and_ordinal(tail: Tail) -> None:
    told(tail, occurrence("pa", 1.0), occurrence("pa", 5.0), pattern("pa", 2))
    assert told(tail, occurrence("pa", 9.0)) == ["12:04:20  roof  P7  3rd  conf 0.82"]
    told(tail, pattern("pa", 10, "confirmed"))
    assert told(tail, occurrence("pa", 12.0)) == ["12:04:23  roof  P7  11th  conf 0.82"]
    said = Description("roof", "pa", "metal squeak", "gama", 1.0, 1.5, NOON_NS + 10**9)
    assert told(tail, said) == ["12:04:12  roof  P7  gama: metal squeak"]
    assert told(tail, occurrence("pa", 13.0, late=True)) == []
    (line,) = told(tail, pattern("pa", 12, "confirmed"))
    assert line == '12:04:24  roof  P7 "metal squeak"  12th  conf 0.82  late'


def test_an_occurrence_of_an_earlier_runs_pattern_waits_for_its_name(tail: Tail) -> None:
    assert told(tail, occurrence("pa", 1.0)) == []
    known = pattern("pa", 14, "confirmed")
    lines = told(tail, known)
    assert lines[0] == "12:04:12  roof  P7  14th  conf 0.82"
    assert lines[1].endswith("P7  confirmed, 0.75 s long")
    assert told(tail, occurrence("pa", 2.0), pattern("pa", 15, "confirmed")) == [
        "12:04:13  roof  P7  15th  conf 0.82"
    ]


def test_an_occurrence_whose_pattern_is_never_named_is_told_all_the_same(tail: Tail) -> None:
    told(tail, occurrence("pa", 1.0), occurrence("pa", 2.0))
    assert [line.plain for line in tail.flush()] == [
        "12:04:12  roof  pa  conf 0.82",
        "12:04:13  roof  pa  conf 0.82",
    ]
    many = [occurrence(f"p{number}", 3.0) for number in range(65)]
    assert len(told(tail, *many)) == 64


def revised(at_s: float, pattern_from: str, now: str, emitted_s: float = 900.0) -> Revision:
    start_ns = NOON_NS + round(at_s * 1e9)
    return Revision("roof", at_s, start_ns, pattern_from, now, "hindsight", emitted_s)


def test_a_look_back_is_one_line_and_the_counts_are_those_that_stand(tail: Tail) -> None:
    told(tail, occurrence("pa", 1.0), occurrence("pa", 5.0), pattern("pa", 2))
    late = replace(occurrence("pa", 3.0, late=True), emitted_s=900.0)
    passed = [late, revised(3.0, "", "pa"), revised(5.0, "pa", ""), revised(1.0, "pa", "pa")]
    assert told(tail, *passed) == []
    assert told(tail, pattern("pa", 2)) == [
        "12:19:11  roof  hindsight: 1 added, 1 moved, 1 withdrawn"
    ]
    assert told(tail, occurrence("pa", 901.0)) == ["12:19:12  roof  P7  3rd  conf 0.82"]
    told(tail, revised(901.0, "pa", "", 1_800.0))
    assert [line.plain for line in tail.flush()] == ["12:34:11  roof  hindsight: 1 withdrawn"]


def test_what_becomes_of_patterns_and_relations_is_told_in_names(tail: Tail) -> None:
    told(tail, pattern("pa", 2), pattern("pb", 2, name="P9"))
    merged = pattern("pb", 3, "merged", name="P9", into="pa")
    assert told(tail, merged) == ["12:04:16  roof  P9 turned out to be P7"]
    split = pattern("pa", 4, "split", into="pb")
    assert told(tail, split) == ["12:04:16  roof  P7 turned out to be two sounds: also P9"]
    link = Relation("roof", "sequential", "pa", "pb", 6, lag_s=1.8, lift=4.1, last_s=2.0)
    assert told(tail, link) == ["12:04:13  roof  sequential  P7 -> P9  lag 1.80 s  lift 4.1  n=6"]


def test_changed_rates_are_told_in_names(tail: Tail) -> None:
    told(tail, occurrence("p1", 1.0), occurrence("p1", 5.0), pattern("p1", 2))
    more = RateChange("roof", "p1", 60.0, "more", 4.26, 61.3, 1e-7, 12, 20, 90.0)
    assert told(
        tail,
        more,
        replace(more, direction="fewer", rate_before_per_h=61.3, rate_per_h=4.26),
        replace(more, direction="silent", rate_per_h=0.0),
        replace(more, direction="again", rate_before_per_h=0.0),
    ) == [
        "12:05:11  roof  P7  comes more often  61 an hour, before 4.3 an hour",
        "12:05:11  roof  P7  comes more rarely  4.3 an hour, before 61 an hour",
        "12:05:11  roof  P7  fell silent  it came 4.3 an hour",
        "12:05:11  roof  P7  comes again  61 an hour",
    ]


def test_a_recording_is_told_by_its_position(tail: Tail) -> None:
    told(tail, pattern("pa", 2, origin_ns=0))
    assert told(tail, occurrence("pa", 61.25, origin_ns=0)) == [
        "  1:01.2  roof  P7  3rd  conf 0.82"
    ]


def test_windows_are_counted_and_a_long_spell_gets_one_line(tail: Tail) -> None:
    assert told(tail, *(window(second, "gated") for second in range(37))) == []
    (spell,) = tail.heard().spells
    assert "37 windows gated since 12:04:11: nothing stands out" in sentence(spell)
    vector = np.ones(2, np.float32)
    rest = [
        Embedding("roof", second * ANALYSIS_RATE_HZ, NOON_NS, 1.0, False, -20.0, "m", vector)
        for second in range(37, 57)
    ]
    (line,) = told(tail, *rest)
    assert line.startswith("12:04:47  roof  37 windows gated since 12:04:11: nothing stands out")
    assert tail.heard().spells == ()


def test_why_windows_died_and_sounds_that_came_once_are_among_what_is_heard(tail: Tail) -> None:
    told(tail, window(1, "dead", "queue_full"), Novel("roof", 1.0, 2.0))
    heard = tail.heard()
    said = [sentence(each) for each in heard.spells]
    assert "1 window dead: queue full" in said[0]
    assert "1 sound heard once since the last finding" in said[1]
    assert heard.reasons == {"dead": "queue_full"}
    told(tail, pattern("pa", 2), occurrence("pa", 3.0))
    assert [each.cause[0] for each in tail.heard().spells] == ["dead"]


def test_windows_have_lines_of_their_own_where_they_are_asked_for() -> None:
    tail = Tail(Moments(lambda: NOON_NS, UTC), glyphs_of("utf-8"), windows=True)
    assert told(
        tail, window(1, "dead", "timeout"), Tag("roof", 0, NOON_NS, 1.0, "speech", 0.9)
    ) == [
        "12:04:12  roof  window dead (timeout)",
        "12:04:11  roof  speech 0.90",
    ]


def test_what_goes_wrong_is_told_with_its_remedy_and_models_by_the_clock(tail: Tail) -> None:
    assert told(
        tail,
        Failure("roof", "source", "truncated", "[x].flac ends early", "copy it again", 3.0),
        BreakerTransition("aisfx", "closed", "open", 0.0, "failure rate"),
        RungChange("wav2vec2", "wav2vec2", "aisfx", 5.0, "breaker_open"),
        SourceState("roof", "lagging", "behind", 3.1),
    ) == [
        "  0:03.0  roof  source: truncated  [x].flac ends early - copy it again",
        "12:04:11        breaker of aisfx: closed -> open failure rate",
        "12:04:11        model wav2vec2: aisfx serves (breaker open)",
        "12:04:11  roof  lagging  3.1 s behind  behind",
    ]


def test_names_can_neither_colour_nor_break_a_line(tail: Tail) -> None:
    odd = SourceState("höhle [red]日本\x1b[2J", "live", "a\nb")
    (line,) = tail.take(odd)
    assert line.plain == "12:04:11  höhle [red]日本 [2J  live  a b"


def test_the_latest_lines_are_kept_and_no_more(tail: Tail) -> None:
    told(tail, *(SourceState("s", "live", str(number)) for number in range(500)))
    assert len(tail.lines) == 200
    assert tail.lines[-1].plain.endswith("499")
    assert tail.say("store  a.db").plain == tail.lines[-1].plain
