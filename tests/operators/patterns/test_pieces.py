"""Where one sound lies in a longer one."""

import numpy as np
import pytest

from operators.patterns.pieces import alone, may_contain
from operators.patterns.template import Template
from operators.records import BANDS
from tests.operators.patterns.conftest import template_of


def _of(number: int, frames: int, rows: list[int]) -> Template:
    return template_of(np.zeros((frames, BANDS), dtype=np.float32), number, recent=rows)


WHOLE = _of(0, 100, [1_000, 2_000, 3_000])


@pytest.mark.parametrize(
    ("frames", "rows", "may"),
    [
        (20, [1_050, 1_500, 2_500], True),
        (20, [1_050, 2_050, 2_500], False),
        (60, [1_050, 1_500, 2_500], False),
    ],
)
def test_what_is_short_and_also_heard_by_itself_may_be_a_part(
    frames: int, rows: list[int], may: bool
) -> None:
    assert may_contain(WHOLE, _of(1, frames, rows)) == may


def test_a_whole_has_to_be_known_and_is_no_part_of_itself() -> None:
    part = _of(1, 20, [1_050, 1_500, 2_500])
    assert not may_contain(_of(0, 100, [1_000, 2_000]), part)
    assert not may_contain(WHOLE, WHOLE)


def test_a_part_is_alone_where_no_whole_goes_on() -> None:
    part = _of(1, 20, [1_050, 1_500, 2_500])
    rows = [900, 985, 1_050, 1_090, 1_120, 1_500]
    assert alone(part, rows, [part, WHOLE]) == [True, False, False, False, True, True]
    piece = _of(2, 20, [1_050, 2_050, 3_050])
    assert alone(piece, [1_050, 2_050], [piece, WHOLE]) == [True, True]
