"""Whole and part together against the whole alone."""

import numpy as np
import pytest

from operators.patterns import masked
from operators.patterns.canvas import NOTHING, Canvas
from operators.patterns.clip import cut_clip
from operators.patterns.levels import EMPTY
from operators.patterns.masked import (
    BESIDE,
    Backdrop,
    _around,
    _others,
    backdrops,
    gains_of,
)
from operators.patterns.template import Template
from operators.records import BANDS

ROWS, LENGTH, EDGE = 100, 12, 8
GAINS = (-30.0, -26.0, -22.0)


def _template(seed: int, length: int, loudest: float = 0.0) -> Template:
    rng = np.random.default_rng(seed)
    level = rng.uniform(-30, 0, (length, BANDS)).astype(np.float32) + loudest
    level[rng.uniform(size=level.shape) < 0.5] = EMPTY
    floor = np.full(BANDS, -60, dtype=np.float32)
    return Template(number=seed, pattern="p", level=level, floor=floor, lead=2, origin_ns=0)


def _canvas(level) -> Canvas:
    floor = np.full_like(level, -70.0)
    return Canvas(
        start=0,
        level=level,
        floor=floor,
        noise=floor + 3,
        known=np.full_like(level, NOTHING),
        onsets=[],
        due=0,
        open=False,
        origin_ns=0,
    )


class Heard:
    """Steady wholes at -30 dB, each with a part at its row, unless that is None."""

    def __init__(self, rows, part: Template, gain: float = -26.0) -> None:
        rng = np.random.default_rng(1)
        shape = (ROWS - 2 * EDGE, BANDS)
        self.whole = _template(9, shape[0])
        self.whole.reshape(np.zeros(shape, dtype=np.float32), self.whole.floor, 2)
        self.canvases = []
        for row in rows:
            power = 10 ** ((-30 + rng.normal(0, 1, (ROWS, BANDS))) / 10)
            if row is not None:
                heard = np.where(part.level > EMPTY, 10 ** ((part.level + gain) / 10), 0)
                power[row : row + part.frames] += heard
            self.canvases.append(_canvas((10 * np.log10(power)).astype(np.float32)))

    def weigh(self, part: Template, first: int = EDGE, places: int = ROWS - 2 * EDGE - LENGTH):
        both = backdrops(self.canvases, self.whole, EDGE)
        return [backdrop.weigh(part, GAINS, first, places) for backdrop in both]


@pytest.mark.parametrize("gain", GAINS)
def test_a_masked_part_is_worth_most_where_it_is(gain: float) -> None:
    part, rows = _template(1, LENGTH), [20, 40, 61, None, 33, 71]
    for weighed in Heard(rows, part, gain).weigh(part):
        for number, row in enumerate(rows):
            if row is None:
                assert weighed.share[number].max() < 0.3
            else:
                assert abs(int(weighed.worth[number].argmax()) + EDGE - row) <= 1
                assert weighed.share[number].max() > 0.5


def test_another_sound_is_worth_less() -> None:
    part, other, rows = _template(1, LENGTH), _template(2, LENGTH), [20, 40, 61, 52, 33, 71]
    heard = Heard(rows, part)
    for right, wrong in zip(heard.weigh(part), heard.weigh(other), strict=True):
        assert (wrong.worth.max(axis=1) < 0.5 * right.worth.max(axis=1)).all()


def test_what_every_whole_has_at_one_place_is_in_the_others_too() -> None:
    part = _template(1, LENGTH)
    others, around = Heard([40] * 6, part).weigh(part)
    assert others.share[:, 40 - EDGE].max() < 0.2
    assert around.share[:, 40 - EDGE].min() > 0.6


def test_what_is_louder_than_both_together_speaks_for_neither() -> None:
    part = _template(1, LENGTH)
    heard = Heard([None] * 5, part)
    heard.canvases[2].level[30:60] = 0.0
    others, _ = heard.weigh(part)
    assert abs(others.worth[2, 35 - EDGE]) < 0.1 * others.possible[2, 35 - EDGE]


def test_levels_add_up_as_power_does() -> None:
    """To a quarter of a dB: it is the price of a formula without logarithms."""
    under = np.full((1, BANDS, 1 + BESIDE), -30.0, dtype=np.float32)
    one = np.ones(1, dtype=np.float32)
    for apart in np.linspace(-20, 20, 81):
        exact = 10 * np.log10(1 + 10 ** (apart / 10))
        _, possible = masked.weigh_cells(
            np.zeros_like(under),
            under,
            np.ones(BANDS, dtype=np.float32) / 10,
            np.zeros(1, np.intp),
            np.zeros(1, np.intp),
            np.float32([apart]),
            -30 * one,
            0,
            1,
        )
        assert 10 * np.sqrt(2 * possible[0, 0]) == pytest.approx(exact, abs=0.3)


def test_what_it_is_compiled_from_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    part = _template(1, LENGTH)
    heard = Heard([20, 40, None], part)
    expected = heard.weigh(part)
    for name in ("weigh_cells", "weigh_cell"):
        monkeypatch.setattr(masked, name, getattr(masked, name).py_func)
    for found, known in zip(heard.weigh(part), expected, strict=True):
        assert found.worth == pytest.approx(known.worth, rel=1e-3, abs=1e-2)
        assert found.possible == pytest.approx(known.possible, rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("count", [3, 4, 7, 16])
def test_the_others_are_all_but_the_one(count: int) -> None:
    level = np.random.default_rng(count).normal(0, 5, (count, 6, BANDS)).astype(np.float32)
    found = _others(level)
    for n in range(count):
        rest = np.sort(np.delete(level, n, axis=0), axis=0)
        assert np.array_equal(found[n], rest[(count - 2) // 2])


def test_a_little_earlier_and_later() -> None:
    level = np.zeros((2, 90, BANDS), dtype=np.float32)
    level[:, 30:40] = 20.0
    assert not _around(level).any()
    assert _around(level[:, :3]).shape == (2, 3, BANDS)


def test_cells_beyond_the_rows_are_left_out() -> None:
    part = _template(1, LENGTH)
    level = np.zeros((3, LENGTH // 2, BANDS), dtype=np.float32)
    weighed = Backdrop.of(level, level, level - 40).weigh(part, GAINS, 0, 2)
    assert weighed.worth.shape == (3, 2)
    assert np.isfinite(weighed.worth).all()


def test_the_gains_that_are_tried_lie_around_those_that_were_heard() -> None:
    part = _template(1, LENGTH)
    assert gains_of(part) == []
    canvas = _canvas(np.zeros((40, BANDS), dtype=np.float32))
    for gain in (-20.0, -12.0):
        part.exemplars.append(cut_clip(canvas, 10, 5, 15, mask=False, score=1.0, gain=gain))
    assert gains_of(part) == [-22.0, -19.0, -16.0, -13.0, -10.0]
