"""What is remembered of the past, and how much of it is looked at."""

import numpy as np
import pytest

from operators.patterns.archive import Archive, Span
from operators.patterns.canvas import NOTHING
from operators.records import BANDS


def _span(start: int, level_db: float, frames: int, origin_ns: int = 0) -> Span:
    return Span(
        start=start,
        codes=np.full((frames, BANDS), 255, dtype=np.uint8),
        top_db=level_db,
        floor=np.full(BANDS, -60, dtype=np.float32),
        noise=np.full(BANDS, -58, dtype=np.float32),
        explained=np.ones((frames, BANDS), dtype=np.bool_),
        onsets=[],
        origin_ns=origin_ns,
    )


def test_an_excerpt_reads_on_over_spans_and_silence_and_takes_nothing_for_known() -> None:
    archive = Archive(1_000, [_span(10, -20.0, 5), _span(15, -30.0, 5), _span(24, -40.0, 5)])
    canvas = archive.excerpt(8, 27, 0)
    assert canvas is not None
    expected = [-60] * 2 + [-20] * 5 + [-30] * 5 + [-60] * 4 + [-40] * 3
    assert canvas.level[:, 0].tolist() == expected
    assert (canvas.known == NOTHING).all()
    assert canvas.start == 8


@pytest.mark.parametrize(("first", "origin_ns"), [(0, 0), (15, 0), (11, 7)])
def test_what_is_not_remembered_is_no_excerpt(first: int, origin_ns: int) -> None:
    assert Archive(1_000, [_span(10, -20.0, 5)]).excerpt(first, first + 4, origin_ns) is None


@pytest.mark.parametrize(
    ("frame", "rows", "least", "first"),
    [
        (0, 100, 100, 10),
        (11, 100, 100, 20),
        (0, 14, 100, 20),
        (0, 14, 20, 20),
        (0, 4, 20, 20),
        (0, 0, 31, None),
        (31, 100, 0, None),
    ],
    ids=["all", "from-a-frame", "rows", "both", "at-least", "none-fits", "none-there"],
)
def test_the_latest_spans_are_bounded_but_reach_back_far_enough(
    frame: int, rows: int, least: int, first: int | None
) -> None:
    archive = Archive(1_000, [_span(start, -20.0, 5) for start in (10, 20, 30)])
    assert archive.latest(frame, rows, least) == first
