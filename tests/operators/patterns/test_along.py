"""Likeness along a sound is, bit for bit, that of every place alone."""

import numpy as np
import pytest

from operators.patterns import along, kernels
from operators.patterns.along import BESIDE, Laid
from operators.patterns.canvas import NOTHING, Canvas, View
from operators.patterns.levels import EMPTY
from operators.patterns.template import Template
from operators.records import BANDS

ROWS, LENGTH, PAD = 90, 12, 20


def _template(seed: int, length: int = LENGTH) -> Template:
    rng = np.random.default_rng(seed)
    level = rng.uniform(-40, 0, (length, BANDS)).astype(np.float32)
    level[rng.uniform(size=level.shape) < 0.4] = EMPTY
    floor = np.full(BANDS, -60, dtype=np.float32)
    return Template(number=0, pattern="p", level=level, floor=floor, lead=2, origin_ns=0)


def _canvas(template: Template, row: int, seed: int) -> Canvas:
    rng = np.random.default_rng(seed)
    floor = rng.uniform(-65, -55, (ROWS, BANDS)).astype(np.float32)
    level = floor + rng.exponential(5, (ROWS, BANDS)).astype(np.float32)
    here = slice(row, row + template.frames)
    level[here] = np.maximum(level[here], template.level - 18)
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


def _laid(canvases: list[Canvas]) -> Laid:
    return Laid.of([View.of(canvas, PAD) for canvas in canvases])


def _alone(canvas: Canvas, template: Template, row: int) -> np.float32:
    view, shape = View.of(canvas, PAD), template.shape
    cells = shape.coarse_row, shape.coarse_band, shape.coarse_level, shape.coarse_weight
    score = kernels.coarse_score(view.level, view.floor, view.known, view.seen, *cells, row, 1.0)
    return np.float32(score)


@pytest.mark.parametrize("length", [3, LENGTH, 60])
@pytest.mark.parametrize("places", [1, BESIDE - 1, BESIDE, BESIDE + 1, ROWS - 60])
def test_every_place_is_compared_as_it_is_alone(places: int, length: int) -> None:
    """Short sounds have fewer loud cells than are compared at most, long ones more."""
    template = _template(1, length)
    canvases = [_canvas(template, 15 + n, 7 + n) for n in range(3)]
    found = _laid(canvases).likeness(template, PAD, places)
    rows = range(PAD, PAD + places)
    expected = [[_alone(canvas, template, row) for row in rows] for canvas in canvases]
    assert np.array_equal(found, np.array(expected, dtype=np.float32))


def test_it_is_most_like_where_it_is() -> None:
    template = _template(2)
    laid = _laid([_canvas(template, row, 3 * row) for row in (11, 40, 66)])
    found = laid.likeness(template, PAD - 5, ROWS)
    assert (found.argmax(axis=1) - 5).tolist() == [11, 40, 66]
    assert (found.max(axis=1) > 0.8).all()


def test_what_it_is_compiled_from_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    template = _template(3)
    laid = _laid([_canvas(template, 30, 4)])
    expected = laid.likeness(template, PAD + 20, 40)
    for name in ("differences", "modes"):
        monkeypatch.setattr(along, name, getattr(along, name).py_func)
    monkeypatch.setattr(along, "likeness_of", along.likeness_of.py_func)
    assert laid.likeness(template, PAD + 20, 40) == pytest.approx(expected, abs=1e-6)


def test_silence_and_an_empty_template_are_like_nothing() -> None:
    template = _template(5)
    canvas = _canvas(template, 20, 1)
    canvas.level = canvas.floor.copy()
    assert not _laid([canvas]).likeness(template, PAD, 40).any()
    empty = _template(5)
    empty.reshape(np.full_like(empty.level, EMPTY), empty.floor, 2)
    assert not _laid([_canvas(template, 20, 1)]).likeness(empty, PAD, 40).any()


@pytest.mark.parametrize(("first", "places"), [(-1, 4), (PAD, ROWS + PAD)])
def test_places_beyond_the_rows_are_refused(first: int, places: int) -> None:
    template = _template(6)
    with pytest.raises(ValueError, match=f"places {first} to {first + places} "):
        _laid([_canvas(template, 20, 1)]).likeness(template, first, places)
