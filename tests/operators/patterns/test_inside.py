"""A known sound inside a longer known one: found by all occurrences of the whole together."""

from types import SimpleNamespace

import numpy as np
import pytest

from operators.patterns import Detector
from operators.patterns.inside import _own, _Place, _place
from operators.records import FRAME_S, Occurrence

APART = 400


def _heard(world, placements, part_snr=30.0, wander_db=1.0):
    """Wholes with a part at the given rows (None = without), then the part alone, four times.

    Returns:
        Where else the pattern heard alone was found: number of the whole and row + 20 in it.
    """
    part, whole = world.sound(5, 18), world.phrase(4, 10)
    detector, found, at = Detector("s"), [], 500
    for n, row in enumerate(placements):
        placed = [(3, whole, 30.0)]
        if row is not None:
            placed.append((3 + row, part, part_snr - wander_db * (n % 3)))
        found += detector.hear(world.region(at - 3, placed, len(whole) + 12, seed=n, onsets=[3]))
        at += APART
    alone = at
    for n in range(4):
        found += detector.hear(world.alone(at, part, seed=50 + n))
        at += APART
    occurrences = [item for item in found if isinstance(item, Occurrence)]
    name = next(o.pattern for o in reversed(occurrences) if o.start_s > (alone - 50) * FRAME_S)
    onsets = {round(o.start_s / FRAME_S) - 500 for o in occurrences if o.pattern == name}
    return {divmod(onset + 20, APART) for onset in onsets if onset + 500 < alone - 50}


def test_a_part_that_keeps_its_place_is_found_in_every_whole_it_was_in(world) -> None:
    rows = [42, 45, 43, None, 46, 44, 42, 45]
    inside = {n: row - 20 for n, row in _heard(world, rows)}
    assert set(inside) == {n for n, row in enumerate(rows) if row is not None}
    assert all(abs(inside[n] - row) <= 3 for n, row in enumerate(rows) if row is not None)


def test_a_part_that_lies_anywhere_is_found_where_it_stands_out(world) -> None:
    rows = [12, None, 70, None, 38, None, 55]
    inside = {n: row - 20 for n, row in _heard(world, rows, 32.0)}
    assert set(inside) == {0, 2, 4, 6}
    assert all(abs(row - rows[n]) <= 3 for n, row in inside.items())


def test_what_keeps_its_place_to_the_frame_is_a_piece_of_the_whole(world) -> None:
    assert _heard(world, [44] * 8, wander_db=0.0) == set()


def test_a_whole_without_the_part_gives_away_nothing(world) -> None:
    assert _heard(world, [None] * 8) == set()


@pytest.mark.parametrize(
    ("elsewhere", "top", "stands_out"),
    [((0.5, 0.54), 0.66, True), ((0.4, 0.52), 0.66, False), ((0.4, 0.52), 0.7, True)],
    ids=["many-deviations", "few-deviations", "few-deviations-far-above"],
)
def test_a_place_stands_out_by_deviations_or_far_above_the_next_best(
    world, elsewhere: tuple[float, float], top: float, stands_out: bool
) -> None:
    part = _template(world)
    likeness = np.resize(np.repeat(elsewhere, 3), (6, 120)).astype(np.float32)
    likeness[:, 60] = top
    place = _place(likeness, part)
    assert (place is not None and place.lag == 60) is stands_out


@pytest.mark.parametrize(
    ("raw", "deviations", "own"), [(0.75, 5.0, True), (0.65, 5.0, False), (0.65, 9.0, True)]
)
def test_where_a_place_stands_out_clearly_the_fits_may_be_poorer(
    raw: float, deviations: float, own: bool
) -> None:
    fits = [
        (n, SimpleNamespace(raw=raw, gain=20.0 + n % 3, place=SimpleNamespace(row=40 + n % 4)))
        for n in range(8)
    ]
    assert _own(fits, 8, _Place(60, deviations)) is own


def _template(world):
    detector = Detector("s")
    for n in range(2):
        detector.hear(world.alone(500 + APART * n, world.sound(5, 18)))
    return detector.templates[0]
