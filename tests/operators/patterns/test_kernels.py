"""The compiled comparisons give what plain numpy gives, and so do their Python functions."""

import numpy as np
import pytest

from operators.patterns import kernels
from operators.patterns.kernels import (
    BIN_DB,
    BINS,
    COARSE_AUDIBLE,
    DISAGREE_DB,
    EMPTY,
    HEARD_DB,
    LOUDEST_DB,
    LOWEST_DB,
    NOTHING,
    REFINED_DB,
    SLACK_DB,
    TAIL_FRAMES,
)
from operators.records import BANDS

ROWS, LENGTH = 40, 12
FORMS = ("compiled", "python")


def form(name: str, how: str):
    function = getattr(kernels, name)
    return function if how == "compiled" else function.py_func


def agreement(error):
    return np.clip((DISAGREE_DB - np.abs(error)) / 7.0, 0, 1)


def mode(difference, weight) -> float:
    used = weight > 0
    at = np.clip((difference[used] - LOWEST_DB) / BIN_DB, 0, BINS - 1).astype(int)
    counts = np.bincount(at, weights=weight[used], minlength=BINS)
    centre = LOWEST_DB + (np.argmax(np.convolve(counts, [0.5, 1, 0.5], "same")) + 0.5) * BIN_DB
    near = used & (np.abs(difference - centre) <= REFINED_DB)
    return float(np.average(difference[near], weights=weight[near])) if near.any() else centre


class Seen:
    """A view of random levels with a template somewhere in it, some rows unseen, some known."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        floor = rng.uniform(-65, -55, (ROWS, BANDS))
        level = floor + rng.exponential(5, (ROWS, BANDS))
        template = rng.uniform(-40, 0, (LENGTH, BANDS))
        level[8 : 8 + LENGTH] = np.maximum(level[8 : 8 + LENGTH], template - 18)
        template[rng.uniform(size=template.shape) < 0.4] = EMPTY
        weight = np.where(template > EMPTY, rng.uniform(0.1, 1, template.shape), 0)
        known = np.full(level.shape, NOTHING)
        known[rng.uniform(size=level.shape) < 0.1] = -30
        self.level, self.floor, self.known = (a.astype(np.float32) for a in (level, floor, known))
        self.noise = (floor + 3).astype(np.float32)
        self.seen = np.arange(ROWS) < ROWS - 4
        self.template, self.weight = template.astype(np.float32), weight.astype(np.float32)
        self.row, self.band = np.nonzero(self.template > EMPTY)
        self.row, self.band = self.row[::3].astype(np.intp), self.band[::3].astype(np.intp)

    @property
    def view(self):
        return self.level, self.floor, self.known, self.seen

    @property
    def cells(self):
        at = (self.row, self.band)
        return self.row, self.band, self.template[at], self.weight[at]


def coarse(seen: Seen, start: int, tempo: float) -> float:
    row, band, expected, weight = seen.cells
    level, floor, known, audible = seen.view
    at = np.clip(start + np.rint(row * tempo).astype(int), 0, ROWS - 1)
    observed = level[at, band]
    free = (known[at, band] <= observed - SLACK_DB) & (observed > floor[at, band]) & audible[at]
    gain = mode((observed - expected).astype(float), np.where(free, weight, 0).astype(float))
    heard = audible[at] & (expected + gain > floor[at, band] + HEARD_DB)
    heard &= known[at, band] < expected + gain - HEARD_DB
    error = observed - expected - gain
    counted = np.where(heard, np.where(error > DISAGREE_DB, 0.5, 1.0) * weight, 0)
    if counted.sum() <= COARSE_AUDIBLE * max(weight.sum(), 1e-6):
        return 0.0
    return float((counted * agreement(error)).sum() / counted.sum())


@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("seed", range(4))
def test_the_mode_of_differences(seed: int, how: str) -> None:
    rng = np.random.default_rng(seed)
    difference = np.concatenate([rng.normal(-20, 1, 60), rng.uniform(-300, 300, 40)])
    weight = np.where(rng.uniform(size=100) < 0.2, 0, rng.uniform(size=100))
    found = form("mode_of", how)(difference, weight)
    assert found == pytest.approx(mode(difference, weight), abs=1e-9)
    assert found == pytest.approx(-20, abs=1)


@pytest.mark.parametrize("how", FORMS)
def test_the_mode_of_nothing_is_a_number(how: str) -> None:
    mode_of = form("mode_of", how)
    lowest = LOWEST_DB + BIN_DB / 2
    assert mode_of(np.array([5.0, 6.0]), np.zeros(2)) == lowest
    assert mode_of(np.empty(0), np.empty(0)) == lowest
    # Beyond the bins the outermost one counts; nothing near it refines it.
    assert mode_of(np.array([1e4]), np.ones(1)) == LOWEST_DB + (BINS - 0.5) * BIN_DB
    assert mode_of(np.array([-1e4]), np.ones(1)) == lowest


@pytest.mark.parametrize("how", FORMS)
def test_agreement_falls_from_two_to_nine_db(how: str) -> None:
    agrees = form("agrees", how)
    for error in np.linspace(-12, 12, 49):
        assert agrees(error) == pytest.approx(float(agreement(error)))
    assert (agrees(2.0), agrees(-2.0), agrees(9.0), agrees(5.5)) == (1, 1, 0, 0.5)


@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tempo", [1.0, 0.95, 1.05])
@pytest.mark.parametrize("start", [8, 7, -5, -40, 30, 39, 80])
def test_the_coarse_comparison(seed: int, start: int, tempo: float, how: str) -> None:
    """Rows before the first and after the last are those."""
    seen = Seen(seed)
    found = form("coarse_score", how)(*seen.view, *seen.cells, start, tempo)
    assert found == pytest.approx(coarse(seen, start, tempo), abs=1e-5)
    if start == 8 and tempo == 1.0:
        assert found > 0.8


@pytest.mark.parametrize("how", FORMS)
def test_a_coarse_comparison_of_nothing_is_zero(how: str) -> None:
    seen = Seen(0)
    score = form("coarse_score", how)
    row, band, level, weight = seen.cells
    assert score(*seen.view, row, band, level, np.zeros_like(weight), 8, 1.0) == 0
    empty = np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
    assert score(*seen.view, *empty, np.empty(0, np.float32), 8, 1.0) == 0
    unseen = (*seen.view[:3], np.zeros(ROWS, dtype=np.bool_))
    assert score(*unseen, *seen.cells, 8, 1.0) == 0


@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("row", [6, 7, 8, 9, 10])
def test_the_best_place_is_that_of_the_best_score(row: int, how: str) -> None:
    seen = Seen(1)
    tempi = np.array([1.0, 0.95, 1.05])
    tried = [(t, s) for t in range(3) for s in (0, -1, 1)]
    score = [
        np.rint(1e4 * (coarse(seen, row + s, tempi[t]) - (0.01 if t else 0))) / 1e4
        for t, s in tried
    ]
    number, shift = tried[int(np.argmax(score))]
    args = (*seen.view, *seen.cells, row, tempi)
    found = form("best_place", how)(*args, 0.0, 0.01)
    assert found[0] == pytest.approx(max(score), abs=2e-4)
    assert found[1:] == (shift, number)
    # Too far where it is expected to try the frames beside.
    there = coarse(seen, row, 1.0)
    assert form("best_place", how)(*args, 1.0, 0.01) == (
        pytest.approx(there, abs=2e-4),
        0,
        0,
    )


def exact(seen: Seen, source, row: int, weight):
    """Reference of ``exact_cells``: the numbers, the levels expected, the cells claimed."""
    here = slice(row, row + len(source))
    level, floor, known = (a[here].astype(float) for a in (seen.level, seen.floor, seen.known))
    noise, audible = seen.noise[here].astype(float), seen.seen[here, None]
    template, weight = seen.template[source].astype(float), weight[source].astype(float)
    difference = seen.level[here].astype(np.float32) - seen.template[source]
    free = (known <= level - SLACK_DB) & (level > noise) & audible
    gain = mode(difference.astype(float).ravel(), np.where(free, weight, 0).ravel())
    error = difference - gain
    expected = np.where(template <= EMPTY + 5, NOTHING, template + gain)
    claims = (expected > floor) & (error < SLACK_DB)
    height = np.where(known <= level - SLACK_DB, np.clip(level - noise, 0, LOUDEST_DB), 0)
    heard = audible & (expected > floor + HEARD_DB) & (known < expected - HEARD_DB) & (weight > 0)
    counted = np.where(heard, weight, 0)
    halved = np.where(error > DISAGREE_DB, 0.5, 1.0) * counted
    accounted = height[claims].sum()
    numbers = (
        gain,
        (halved * agreement(error)).sum() / max(halved.sum(), 1e-6),
        heard.sum(),
        accounted / max(height.sum(), 1e-6),
        counted[error > DISAGREE_DB].sum() / max(counted.sum(), 1e-6),
        counted.sum() / max(weight.sum(), 1e-6),
        accounted,
    )
    return numbers, expected, claims


def compared(seen: Seen, source, row: int, weight, how: str):
    predicted = np.empty((len(source), BANDS), dtype=np.float32)
    claims = np.empty((len(source), BANDS), dtype=np.bool_)
    arrays = seen.level, seen.floor, seen.noise, seen.known, seen.seen, seen.template, weight
    source = np.asarray(source, np.intp)
    numbers = form("exact_cells", how)(*arrays, source, row, HEARD_DB, predicted, claims)
    return numbers, predicted, claims


@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("row", "source"),
    [
        pytest.param(8, range(LENGTH), id="in place"),
        pytest.param(11, range(LENGTH), id="beside"),
        pytest.param(0, range(LENGTH), id="first row"),
        pytest.param(ROWS - LENGTH, range(LENGTH), id="last row, partly unseen"),
        pytest.param(8, [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], id="slower"),
        pytest.param(8, range(3), id="a part"),
    ],
)
def test_the_exact_comparison(seed: int, row: int, source, how: str) -> None:
    seen = Seen(seed)
    source = np.array(source)
    found, predicted, claims = compared(seen, source, row, seen.weight, how)
    numbers, expected, mine = exact(seen, source, row, seen.weight)
    assert found == pytest.approx(numbers, rel=1e-4, abs=1e-4)
    assert predicted == pytest.approx(expected, abs=1e-3)
    assert (claims != mine).mean() <= 0.002
    if row == 8 and len(source) == LENGTH:
        assert found[0] == pytest.approx(-18, abs=1)
        assert found[1] > 0.8


@pytest.mark.parametrize("how", FORMS)
def test_an_exact_comparison_without_weight_or_rows_is_finite(how: str) -> None:
    seen = Seen(0)
    for source, weight in ((np.arange(LENGTH), 0 * seen.weight), (np.arange(0), seen.weight)):
        numbers, predicted, _ = compared(seen, source, 8, weight, how)
        assert np.isfinite(numbers).all()
        assert np.isfinite(predicted).all()
        assert numbers[1:3] == (0, 0)


@pytest.mark.parametrize("how", FORMS)
def test_the_share_of_a_sound_that_goes_on(how: str) -> None:
    share = form("tail_share", how)
    floor = np.full((30, BANDS), -60, dtype=np.float32)
    level = floor.copy()
    level[:, ::4] = -20
    level[20:, ::8] = -60
    predicted = np.where(np.arange(BANDS) % 4 == 0, -20, NOTHING) * np.ones((10, 1))
    predicted = predicted.astype(np.float32)
    assert share(level, floor, 20, predicted) == 0.5
    assert share(level, floor, 10, predicted) > 0.5
    assert share(level, floor, 30 - TAIL_FRAMES + 1, predicted) == 0
    assert share(level, floor, 20, np.full_like(predicted, NOTHING)) == 0
    assert share(level, floor, 20, predicted[:0]) == 0
