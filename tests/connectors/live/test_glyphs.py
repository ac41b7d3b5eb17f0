"""Characters that a terminal can show."""

import pytest
from rich.cells import cell_len

from connectors.live.glyphs import METER_CELLS, glyphs_of

UNICODE, ASCII, LATIN = glyphs_of("utf-8"), glyphs_of("US-ASCII"), glyphs_of("latin-1")


@pytest.mark.parametrize(
    ("level_db", "shown", "in_ascii"),
    [
        (-120.0, "        ", "........"),
        (-60.0, "        ", "........"),
        (-30.0, "████    ", "####...."),
        (-29.0, "████▏   ", "####...."),
        (0.0, "████████", "########"),
        (3.0, "████████", "########"),
    ],
)
def test_a_meter_goes_from_60_db_below_full_scale_to_it(
    level_db: float, shown: str, in_ascii: str
) -> None:
    assert (UNICODE.meter(level_db), ASCII.meter(level_db)) == (shown, in_ascii)
    assert cell_len(UNICODE.meter(level_db)) == METER_CELLS


def test_text_from_outside_moves_no_cursor_and_fits_the_encoding() -> None:
    assert UNICODE.plain("a\x1b[2Jb\r\n\x07c\u202ed\ud800") == "a [2Jb   c d "
    assert UNICODE.plain("höhle 日本") == "höhle 日本"
    assert LATIN.plain("höhle 日本") == "höhle \\u65e5\\u672c"
    assert ASCII.plain("höhle") == "h\\xf6hle"
    assert glyphs_of("no such encoding").plain("ö") == "\\xf6"


@pytest.mark.parametrize("width", range(1, 9))
def test_text_is_cut_by_cells_not_by_characters(width: int) -> None:
    for glyphs in (UNICODE, ASCII):
        assert cell_len(glyphs.fit("日本語の音", width)) <= width
        assert cell_len(glyphs.padded("日本語の音", width)) == width
    assert UNICODE.fit("short", 5) == "short"
    assert UNICODE.fit("longer", 5) == "long…"
