"""Played a little faster: partials move to where the spectrum of real audio has them."""

import numpy as np
import pytest

from operators.patterns.levels import EMPTY
from operators.patterns.match import coarse, exact
from operators.patterns.pitch import FINE_SPEEDS, SHARED, SPEEDS, played, tonal
from operators.patterns.propose import Candidate
from operators.records import ANALYSIS_RATE_HZ, BANDS, HOP_SAMPLES
from operators.spectrum import band_powers, levels_db
from tests.operators.patterns.conftest import template_of
from tests.operators.patterns.test_match import CONFIG, PAD, View, from_region

FRAMES = 24


def levels_of(audio):
    """(FRAMES, BANDS) dB relative to the loudest cell, EMPTY 28 dB below it."""
    level = levels_db(band_powers(audio.astype(np.float64)))
    level -= level.max()
    return np.where(level > -28, level, EMPTY).astype(np.float32)


def chord(speed: float = 1.0, seed: int = 0):
    """Levels of partials somewhere between 300 Hz and 9 kHz, played that fast."""
    rng = np.random.default_rng(seed)
    hz = np.exp(rng.uniform(np.log(300), np.log(9_000), 4))
    time = np.arange((FRAMES + 3) * HOP_SAMPLES) / ANALYSIS_RATE_HZ
    return levels_of(sum(np.sin(2 * np.pi * f * speed * time) for f in hz))


def error_db(one, other) -> float:
    """How far they lie apart in the cells that are loud in either, 12 dB at most."""
    loud = np.maximum(one, other) > -20
    return float(np.clip(np.abs(one - other), 0, 12)[loud].mean())


@pytest.mark.parametrize("speed", [*SPEEDS[1:], *FINE_SPEEDS])
def test_it_comes_near_to_what_is_heard_at_that_speed(speed: float) -> None:
    as_it_was, as_played = [], []
    for seed in range(12):
        heard = chord(speed, seed)
        as_it_was.append(error_db(chord(1.0, seed), heard))
        as_played.append(error_db(played(chord(1.0, seed), speed), heard))
    assert np.mean(as_played) < 0.8 * np.mean(as_it_was)


def test_what_a_band_gives_its_neighbour_gets_and_rows_stay() -> None:
    level = np.full((3, BANDS), EMPTY, np.float32)
    level[1, 30] = 0.0
    for speed in SPEEDS[1:]:
        moved = played(level, speed)
        assert (moved[[0, 2]] == EMPTY).all()
        held = 10 ** (moved[1, moved[1] > EMPTY] / (10 * SHARED))
        assert np.sum(held) == pytest.approx(1.0, rel=1e-5)
        assert moved[1, 31 if speed > 1 else 29] > EMPTY
        assert moved[1, 29 if speed > 1 else 31] == EMPTY
    assert played(level, 1.0) is level


def test_noise_and_what_is_short_have_no_pitch() -> None:
    noise = levels_of(np.random.default_rng(0).standard_normal((FRAMES + 3) * HOP_SAMPLES))
    level = chord()
    for levels, has_one in ((level, True), (level[:12], False), (noise, False)):
        assert tonal(levels, template_of(levels).shape.weight) is has_one


def test_a_match_says_at_which_speed_it_fits_and_expects_the_cells_there(world) -> None:
    template = template_of(chord())
    assert template.speeds == SPEEDS
    for speed in SPEEDS:
        region = world.region(0, [(10, chord(speed), 30)], 60)
        view = View.of(from_region(region, 420), PAD)
        (place,) = coarse(view, [template], [Candidate(0, PAD + 10, 1.0, True)], CONFIG.coarse)
        assert place.speed == speed
        assert place.plain == (speed == 1.0)
        fit = exact(view, template, place, CONFIG)
        assert fit.raw > 0.8
        assert np.array_equal(fit.predicted > -200, template.shape_at(speed).level > EMPTY + 5)


def test_a_new_shape_is_asked_anew_whether_it_has_a_pitch() -> None:
    template = template_of(chord())
    before = template.shape_at(SPEEDS[1])
    template.reshape(np.zeros((FRAMES, BANDS), np.float32), template.floor, 0)
    assert template.speeds == SPEEDS[:1]
    assert template.shape_at(SPEEDS[1]) is not before
