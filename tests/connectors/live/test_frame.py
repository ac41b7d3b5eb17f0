"""The frame: what it says, and that it fits whatever terminal there is."""

from itertools import pairwise, product

import pytest

from connectors.live.figures import lane
from connectors.live.frame import opening, render
from connectors.live.glyphs import glyphs_of
from connectors.live.inputs import condition, ranked
from connectors.live.spells import Spell
from connectors.live.tail import Heard
from operators.vitals import LaneVitals, SourceVitals, Vitals
from tests.connectors.live.conftest import Given

UNICODE, ASCII = glyphs_of("utf-8"), glyphs_of("ascii")
HEARD = Heard(
    (
        Spell(("dead", "queue_full"), 4, 1, "roof", "12:04:01", "12:04:02"),
        Spell(("gated", ""), 137, 3, "", "12:03:01", "12:04:02"),
        Spell(("silent", ""), 12, 1, "yard", "12:03:01", "12:04:02"),
        Spell(("once", ""), 6, 1, "roof", "12:04:01", "12:04:01"),
    ),
    {"dead": "queue_full"},
)


def shown(vitals: Vitals, width: int, height: int, heard: Heard = HEARD) -> list[str]:
    lines = render(vitals, heard, width=width, height=height, glyphs=UNICODE)
    return [line.plain.rstrip() for line in lines]


def many(given: Given, count: int) -> list[SourceVitals]:
    return [given.source(f"mic:{number}", level_db=-60.0 + number) for number in range(count)]


def test_everything_of_a_run_is_there_at_80_columns(given: Given) -> None:
    assert shown(given.vitals(given.source("roof", "lagging", lag_s=3.14)), 80, 24) == [
        "12:04:02  roof  4 windows dead since 12:04:01: queue full",
        "12:04:02  137 windows of 3 streams gated since 12:03:01: nothing stands out …",
        "12:04:02  yard  12 windows silent since 12:03:01: hardly any signal",
        "12:04:01  roof  6 sounds heard once since the last finding",
        "─" * 77,
        " roof  lagging    ███▉      -31 dB  lag 3.1 s",
        " aisfx closed   queue 0   batch 0 of 8",
        " windows 1204: 900 stored, 200 gated, 90 silent, 10 shed, 4 dead (queue full)",
        " 9 patterns heard 33 times, 1 relation   p95 62 ms   CPU 24 %   530 MB",
        " 2:50 heard in 3:02",
    ]


def test_a_wide_terminal_has_models_beside_sources_and_totals_in_a_line(given: Given) -> None:
    assert shown(given.vitals(), 200, 50, Heard())[1:] == [
        " mic:0  live       ███▉      -31 dB  lag 40 ms       "
        " aisfx closed   queue 0   batch 0 of 8",
        " windows 1204: 900 stored, 200 gated, 90 silent, 10 shed, 4 dead"
        "   9 patterns heard 33 times, 1 relation   p95 62 ms   CPU 24 %   530 MB"
        "   2:50 heard in 3:02",
    ]


@pytest.mark.parametrize("width", [1, 2, 10, 40, 80, 120, 200, 400])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_no_frame_is_as_tall_or_a_line_as_wide_as_the_terminal(
    given: Given, width: int, count: int
) -> None:
    sources = [*many(given, count - 1), given.source("höhle [red]日本語の音\x1b[2J" * 3)]
    for glyphs, height in product((UNICODE, ASCII), (1, 2, 3, 5, 10, 24, 50, 200)):
        lines = render(given.vitals(*sources), HEARD, width=width, height=height, glyphs=glyphs)
        assert len(lines) < height
        assert all(line.cell_len < width or width == 1 for line in lines)
        assert not any("\n" in line.plain or "\x1b" in line.plain for line in lines)
        if glyphs is ASCII:
            assert all(line.plain.isascii() for line in lines)


def test_where_there_is_no_room_those_that_need_attention_come_first(given: Given) -> None:
    sources = many(given, 40)
    sources[7] = given.source("mic:7", "lagging", lag_s=9.0)
    sources[8] = given.source("mic:8", "degraded", level_db=None)
    sources[39] = given.source("mic:39", done=True)
    lines = shown(given.vitals(*sources), 80, 24)
    names = [line.split()[0] for line in lines if line.startswith(" mic:")]
    assert names[:2] == ["mic:8", "mic:7"]
    assert set(names[2:]) <= {f"mic:{number}" for number in range(33, 39)}
    assert f" … and {40 - len(names)} more, {39 - len(names)} live, 1 done" in lines


def test_many_sources_stand_side_by_side_where_there_is_width(given: Given) -> None:
    lines = shown(given.vitals(*many(given, 40)), 200, 50)
    assert sum(line.count("mic:") for line in lines) == 40
    assert not any("more" in line for line in lines)


def test_an_order_that_was_given_is_kept(given: Given) -> None:
    vitals = given.vitals(*many(given, 40))
    order = list(range(40))
    lines = render(vitals, HEARD, width=80, height=24, glyphs=UNICODE, order=order)
    names = [line.plain.split()[0] for line in lines if line.plain.startswith(" mic:")]
    assert names == [f"mic:{number}" for number in range(len(names))]
    assert ranked(vitals.sources)[0] >= 33


def test_what_a_source_is_doing_in_a_word(given: Given) -> None:
    of = given.source
    assert [
        condition(each)
        for each in (
            of(state="degraded"),
            of(state="live", done=True),
            of(state=None, total_s=120.0),
            of(state=None),
            of(state=None, position_s=0.0),
        )
    ] == ["degraded", "done", "reading", "hearing", "waiting"]


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"lag_s": 0.04}, "lag 40 ms"),
        ({"lag_s": 3.14}, "lag 3.1 s"),
        ({"lag_s": 725.0}, "lag 12:05"),
        ({"lag_s": None}, "1:02"),
        ({"lag_s": None, "total_s": 3_725.0}, "1:02 of 1:02:05"),
        ({"lag_s": 0.04, "streams": 12}, "lag 40 ms, 12 str."),
        ({"lag_s": 0.04, "done": True}, "1:02"),
    ],
)
def test_how_far_a_source_is(given: Given, figures: dict[str, float | None], said: str) -> None:
    (line,) = [
        line for line in shown(given.vitals(given.source(**figures)), 80, 24) if "mic:0" in line
    ]
    assert line.endswith(UNICODE.fit(said, 16))


def test_a_ladder_says_who_serves_and_what_is_wrong(given: Given) -> None:
    first = given.rung("wav2vec2", breaker="half_open", batch_cap=4, hanging=1)
    second = given.rung("aisfx", waiting=3, calling=8)
    opened = given.rung("logmel", breaker="open")

    def line(serving: str, *rungs: object) -> str:
        return lane(LaneVitals("wav2vec2", serving, rungs), UNICODE).plain  # type: ignore[arg-type]

    assert line("aisfx", first, second) == (
        " wav2vec2 half-open -> aisfx serves   queue 3   batch 8 of 8   1 call hangs"
    )
    assert line("aisfx", second, opened) == " aisfx closed, logmel open   queue 3   batch 8 of 8"
    assert line("", opened) == " logmel open nobody serves   queue 0   batch 0 of 8"


def test_a_level_that_is_no_number_is_the_lowest(given: Given) -> None:
    for level_db in (float("-inf"), float("nan"), -300.0):
        assert any(
            "-99 dB" in line
            for line in shown(given.vitals(given.source(level_db=level_db)), 80, 24)
        )


def test_rows_do_not_change_their_places_with_the_figures(given: Given) -> None:
    levels = [-61.0, -31.4, -0.2, None]
    lines = [
        next(
            line
            for line in shown(given.vitals(given.source(level_db=each)), 80, 24)
            if "mic" in line
        )
        for each in levels
    ]
    assert all(one.index("lag") == other.index("lag") for one, other in pairwise(lines))


def test_before_there_are_figures_it_says_what_is_being_done() -> None:
    (line,) = opening("loading [weights]", width=80, height=24, glyphs=UNICODE)
    assert line.plain == " loading [weights]"
    assert opening("loading", width=80, height=1, glyphs=UNICODE) == []
