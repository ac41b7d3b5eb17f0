"""A part that has its place in a whole."""

from types import SimpleNamespace

import numpy as np
import pytest

from operators.patterns.placed import Place, own, placed, standing_out

FRAMES = 20


def _fit(raw: float, gain: float, row: int, explained: float = 0.5, audible: float = 1.0):
    place = SimpleNamespace(row=row)
    return SimpleNamespace(raw=raw, gain=gain, explained=explained, audible=audible, place=place)


@pytest.mark.parametrize(
    ("elsewhere", "top", "stands_out"),
    [
        ((0.5, 0.54), 0.66, True),
        ((0.4, 0.52), 0.66, False),
        ((0.4, 0.52), 0.7, True),
        ((0.3, 0.32), 0.5, False),
    ],
    ids=["many-deviations", "few-deviations", "few-deviations-far-above", "unlike"],
)
def test_a_place_stands_out_by_deviations_or_far_above_the_next_best(
    elsewhere: tuple[float, float], top: float, stands_out: bool
) -> None:
    likeness = np.resize(np.repeat(elsewhere, 3), (6, 120)).astype(np.float32)
    likeness[:, 60] = top
    place = standing_out(likeness, FRAMES)
    assert (place is not None and place.at == 60) is stands_out


def test_where_there_is_no_elsewhere_nothing_stands_out() -> None:
    assert standing_out(np.full((6, 12), 0.9, dtype=np.float32), FRAMES) is None


@pytest.mark.parametrize(
    ("raw", "deviations", "is_own"), [(0.75, 5.0, True), (0.65, 5.0, False), (0.65, 9.0, True)]
)
def test_where_a_place_stands_out_clearly_the_fits_may_be_poorer(
    raw: float, deviations: float, is_own: bool
) -> None:
    fits = [_fit(raw, 20.0 + n % 3, 40 + n % 4) for n in range(8)]
    assert own(fits, 8, Place(60, deviations)) is is_own


@pytest.mark.parametrize(
    ("fits", "why"),
    [
        ([_fit(0.8, 20.0 + n % 3, 40) for n in range(8)], "to the frame"),
        ([_fit(0.8, 9.0 * (n % 3), 40 + n % 4) for n in range(8)], "at any level"),
        ([_fit(0.8, 20.0, 40 + n % 4) for n in range(5)], "not often"),
        ([_fit(0.8, 20.0, 40 + n % 4, audible=0.6) for n in range(8)], "mostly unheard"),
    ],
)
def test_a_piece_is_no_sound_of_its_own(fits, why: str) -> None:
    assert not own(fits, 8, Place(60, 9.0)), why


def test_the_part_is_looked_for_around_its_place_in_every_occurrence() -> None:
    rng = np.random.default_rng(1)
    likeness = rng.uniform(0.4, 0.45, (8, 120)).astype(np.float32)
    at = [60 + n % 4 for n in range(8)]
    likeness[range(8), at] = 0.9
    likeness[3] = 0.4
    found = placed(
        likeness, FRAMES, lambda number, place: _fit(0.2 if number == 3 else 0.9, 20.0, place)
    )
    assert [(number, place) for number, place, _ in found] == [
        (number, place) for number, place in enumerate(at) if number != 3
    ]
    assert placed(likeness, FRAMES, lambda _, place: _fit(0.9, 20.0, place, 0.1)) == []
    assert placed(likeness[:, ::-1] * 0.5, FRAMES, lambda _, place: _fit(0.9, 20.0, place)) == []
