"""Events: the objects that scripts rely on, key by key."""

import errno
import io
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from connectors.events import as_event
from connectors.terminal import JsonLines, ReadableLines, describe
from operators.rates import RateChange
from operators.records import (
    BreakerTransition,
    Centroid,
    Embedding,
    Failure,
    Novel,
    Occurrence,
    Pattern,
    Relation,
    RungChange,
    Verdict,
)
from operators.remarks import Description, Tag
from operators.revision import Revision

TRACED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

REVISION = Revision("s", 61.25, 61_250_000_000, "pa", "pb", "hindsight", 900.0)
OCCURRENCE = Occurrence("s", "pa", 61.25, 62.0, 61_250_000_000, 0.91234, 62.5, backfilled=False)
PATTERN = Pattern("s", "pa", "", 2, 1.0, 61.25, 1, 2, 0.75, "born")
RELATION = Relation("s", "sequential", "pa", "pb", 7, lag_s=1.5, lag_sd_s=0.1, lift=4.12345)
FAILURE = Failure("s", "source", "truncated", "[x].flac ends early", "copy it again", 3.0)
VECTOR = np.ones(2, np.float32)
DESCRIPTION = Description("s", "pa", "a dog barks", "teller", 61.25, 62.0, 1, "pa.flac")
TAG = Tag("s", 44_100, 10**9, 1.0, "speech", 0.98765)
RATE = RateChange("s", "pa", 61.25, "more", 12.0, 61.5, 1e-7, 12, 20, 90.0)
RUNG = RungChange("wav2vec2", "wav2vec2", "aisfx", 5.0, "breaker_open")
EMBEDDING = Embedding("s", 44_100, 10**9, 1.0, True, -20.0, "m-00000000-2", VECTOR)

KEYS = {
    OCCURRENCE: "event stream pattern start_s end_s start_ns score emitted_s backfilled",
    PATTERN: "event stream pattern name count first_s last_s duration_s status into",
    RELATION: (
        "event stream kind source target lag_s lag_sd_s period_s support probability lift q "
        "first_s last_s indirect"
    ),
    REVISION: "event stream start_s start_ns pattern_from pattern reason",
    Novel("s", 1.0, 2.0): "event stream start_s end_s",
    RATE: "event stream pattern at_s direction rate_before_per_h rate_per_h p emitted_s",
    FAILURE: "event stream stage reason detail remedy start_s",
    Verdict("s", 0, 0, "m", "gated"): "event stream start_s space verdict reason",
    DESCRIPTION: "event stream pattern text model start_s end_s clip",
    TAG: "event stream start_s kind score",
    RUNG: "event model from to reason",
}


@pytest.mark.parametrize("item", KEYS, ids=lambda item: type(item).__name__)
def test_an_event_has_exactly_the_keys_that_were_promised(item: object) -> None:
    event = as_event(item)
    assert event is not None
    assert sorted(event) == sorted(KEYS[item].split())  # type: ignore[index]
    json.dumps(event, allow_nan=False)


def test_a_stored_window_is_told_with_its_place_and_space() -> None:
    assert as_event(EMBEDDING) == {
        "event": "window",
        "stream": "s",
        "start_s": 1.0,
        "space": "m-00000000-2",
        "verdict": "stored",
        "reason": None,
    }


def test_remarks_are_told_with_what_is_not_there_as_nothing() -> None:
    assert as_event(DESCRIPTION) == {
        "event": "description",
        "stream": "s",
        "pattern": "pa",
        "text": "a dog barks",
        "model": "teller",
        "start_s": 61.25,
        "end_s": 62.0,
        "clip": "pa.flac",
    }
    kept = as_event(Description("s", "pa", "", "", 61.25, 62.0, 1))
    assert kept is not None
    assert (kept["text"], kept["model"], kept["clip"]) == (None, None, None)
    assert as_event(TAG) == {
        "event": "tag",
        "stream": "s",
        "start_s": 1.0,
        "kind": "speech",
        "score": 0.9877,
    }


def test_a_change_of_rung_names_who_serves_now_or_nobody() -> None:
    assert as_event(RUNG) == {
        "event": "rung",
        "model": "wav2vec2",
        "from": "wav2vec2",
        "to": "aisfx",
        "reason": "breaker_open",
    }
    none_left = as_event(RungChange("wav2vec2", "logmel", "", 5.0, "breaker_open"))
    assert none_left is not None
    assert none_left["to"] is None


def test_a_revision_says_what_is_gone_and_what_came_instead() -> None:
    assert as_event(REVISION) == {
        "event": "revision",
        "stream": "s",
        "start_s": 61.25,
        "start_ns": 61_250_000_000,
        "pattern_from": "pa",
        "pattern": "pb",
        "reason": "hindsight",
    }
    added = as_event(replace(REVISION, pattern_from=""))
    withdrawn = as_event(replace(REVISION, pattern="", traceparent=TRACED))
    assert added is not None
    assert withdrawn is not None
    assert (added["pattern_from"], added["pattern"]) == (None, "pb")
    assert (withdrawn["pattern_from"], withdrawn["pattern"]) == ("pa", None)
    assert withdrawn["trace_id"] == TRACED[3:35]


def test_every_revision_is_told_in_order() -> None:
    items = [OCCURRENCE, REVISION, PATTERN, REVISION]
    told = [line["event"] for line in lines_of(items, windows=False)]
    assert told == ["occurrence", "revision", "pattern", "revision"]


def test_a_withdrawn_relation_says_so() -> None:
    event = as_event(Relation("s", "periodic", "pa", "", 3, withdrawn=True))
    assert event is not None
    assert event["withdrawn"] is True


def test_what_nobody_waits_for_is_not_announced() -> None:
    assert as_event(Centroid("s", "pa", "m-0-2", VECTOR, 3)) is None


def lines_of(items: list[object], *, windows: bool) -> list[dict[str, object]]:
    out = io.StringIO()
    lines = JsonLines(out, windows=windows, gone=lambda: None)
    for item in items:
        lines(item)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_pattern_is_announced_once_a_status_and_windows_only_when_asked_for() -> None:
    items = [PATTERN, PATTERN, EMBEDDING, Pattern("s", "pa", "", 3, 1, 9, 1, 9, 0.75, "confirmed")]
    quiet = lines_of(items, windows=False)
    assert [line["status"] for line in quiet] == ["born", "confirmed"]
    assert len(lines_of(items, windows=True)) == 3


def test_a_reader_that_went_away_stops_the_run_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    gone: list[bool] = []
    with os.fdopen(writing, "w", buffering=1) as out:
        lines = JsonLines(out, windows=False, gone=lambda: gone.append(True))
        lines(OCCURRENCE)
        lines(OCCURRENCE)
    assert gone == [True]
    assert lines.lost is None


def test_a_disk_that_is_full_stops_the_run_and_is_remembered() -> None:
    gone: list[bool] = []
    with Path("/dev/full").open("w") as out:
        lines = JsonLines(out, windows=False, gone=lambda: gone.append(True))
        lines(OCCURRENCE)
    assert gone == [True]
    assert lines.lost is not None
    assert lines.lost.errno == errno.ENOSPC


def test_a_number_that_is_none_is_null_and_a_name_is_ascii() -> None:
    odd = Relation("höhle", "sequential", "pa", "pb", 7, lag_s=math.nan, lift=math.inf)
    out = io.StringIO()
    JsonLines(out, windows=False, gone=lambda: None)(odd)
    assert out.getvalue().isascii()
    event = json.loads(out.getvalue())
    assert (event["stream"], event["lag_s"], event["lift"]) == ("höhle", None, None)


def readable(items: list[object], *, quiet: bool = False, windows: bool = False) -> str:
    out = io.StringIO()
    lines = ReadableLines(Console(file=out, width=200), windows=windows, quiet=quiet)
    for item in items:
        lines(item)
    lines.close()
    return out.getvalue()


def test_a_person_reads_one_line_of_what_hindsight_corrected() -> None:
    late = Occurrence("s", "pb", 61.25, 62.0, 61_250_000_000, 0.8, 900.0, backfilled=True)
    text = readable([OCCURRENCE, OCCURRENCE, late, REVISION, OCCURRENCE, late]).splitlines()
    assert [line.split(maxsplit=2)[2] for line in text] == [
        "pa  no. 1  score 0.91",
        "pa  no. 2  score 0.91",
        "hindsight: 1 moved",
        "pa  no. 2  score 0.91",
        "pb  no. 2  score 0.80  late",
    ]
    assert text[2].startswith("s 15:00.0")
    assert readable([late, REVISION], quiet=True) == ""


def test_a_person_reads_where_what_and_how_sure() -> None:
    text = readable([OCCURRENCE, OCCURRENCE, PATTERN, RELATION, FAILURE])
    assert "s  1:01.2  pa  no. 1  score 0.91" in text
    assert "no. 2" in text
    assert "new pattern, 0.75 s long" in text
    assert "sequential  pa -> pb  lag 1.50 s  lift 4.1  n=7" in text
    assert "source: truncated  [x].flac ends early - copy it again" in text


def test_a_person_reads_who_serves_and_what_patterns_sound_like() -> None:
    none_left = RungChange("wav2vec2", "aisfx", "", 9.0, "breaker_open")
    kept = Description("s", "pa", "", "", 61.25, 62.0, 1, "pa.flac")
    odd = Description("s", "pa", "[bold]loud", "teller", 61.25, 62.0, 1)
    text = readable([RUNG, none_left, DESCRIPTION, kept, odd, TAG])
    assert "model wav2vec2: aisfx serves (breaker open)" in text
    assert "model wav2vec2: nobody serves (breaker open)" in text
    assert "1:01.2  pa  teller: a dog barks" in text
    assert "1:01.2  pa  clip pa.flac" in text
    assert "teller: [bold]loud" in text
    assert "speech" not in text
    assert "0:01.0  speech 0.99" in readable([TAG], windows=True)


def test_quiet_keeps_only_what_went_wrong() -> None:
    text = readable([OCCURRENCE, PATTERN, FAILURE], quiet=True)
    assert text.strip().startswith("s  0:03.0  source: truncated")


def test_every_announced_record_has_a_line_of_its_own() -> None:
    merged = Pattern("s", "pb", "", 4, 1.0, 7_300.0, 1, 2, 0.5, "merged", into="pa")
    split = replace(merged, pattern="pa", status="split", into="pc")
    late = Occurrence("s", "pa", 5.0, 6.0, 5, 0.8, 9.0, backfilled=True)
    opened = BreakerTransition("aisfx", "closed", "open", 0.0, "failure rate")
    dead = Verdict("s", 0, 0, "m", "dead", "timeout")
    text = readable([merged, split, late, opened, dead, EMBEDDING], windows=True)
    assert "2:01:40.0  pb turned out to be pa" in text
    assert "2:01:40.0  pa turned out to be two sounds: also pc" in text
    assert "late" in text
    assert "breaker of aisfx: closed -> open failure rate" in text
    assert "window dead (timeout)" in text
    assert "window stored" in text


@pytest.mark.parametrize(
    ("relation", "said"),
    [
        (Relation("s", "periodic", "pa", "", 9, period_s=12.0), "pa every 12.00 s"),
        (Relation("s", "composite", "pa", "pb", 9), "pa contains pb"),
        (Relation("s", "similar", "pa", "pb", 9, indirect=True), "pa similar pb"),
        (Relation("s", "sequential", "pa", "pb", 9, withdrawn=True), "no longer:"),
    ],
)
def test_a_relation_reads_as_a_sentence(relation: Relation, said: str) -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(describe(relation))
    assert said in out.getvalue()
