import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.patterns.accept import acceptance
from operators.patterns.canvas import View, from_region
from operators.patterns.config import DetectorConfig
from operators.patterns.match import Placement, coarse, exact
from operators.patterns.propose import Candidate, cosines, print_rows, propose
from operators.patterns.select import judged, plausible, select
from operators.records import BANDS, Floats
from tests.operators.patterns.conftest import template_of

CONFIG = DetectorConfig()
PAD = 174


def fitted(world, template, placed, frames=60, seed=0, at=10):
    view = View.of(from_region(world.region(0, placed, frames, seed=seed), 420), PAD)
    places = coarse(view, [template], [Candidate(0, PAD + at, 1.0, True)], 0.3)
    assert places
    fit = exact(view, template, places[0], CONFIG)
    return fit, acceptance(fit, template, CONFIG.acceptance)


@settings(max_examples=25, deadline=None)
@given(snr=st.floats(18, 45), row=st.integers(9, 11), seed=st.integers(0, 50))
def test_a_sound_is_accepted_at_any_gain_and_one_frame_off(world, snr, row, seed) -> None:
    levels = world.sound(seed)
    fit, score = fitted(world, template_of(levels), [(row, levels, snr)], seed=seed)
    assert score > 0.9
    assert fit.place.row == PAD + row
    assert fit.gain == pytest.approx(-60 + snr, abs=1.5)


def test_a_sound_half_covered_by_a_louder_one_is_still_accepted(world) -> None:
    levels, other = world.sound(1), world.sound(2)
    fit, score = fitted(world, template_of(levels), [(10, levels, 28), (22, other, 34)])
    assert score > 0.5
    assert fit.gain == pytest.approx(-32, abs=1.5)
    assert fit.occlusion > 0


@pytest.mark.parametrize("tempo", [0.95, 1.05])
def test_a_slower_or_faster_rendering_is_matched_at_its_tempo(world, stretched, tempo) -> None:
    levels = world.phrase(4)
    fit, score = fitted(world, template_of(levels), [(10, stretched(levels, tempo), 30)], 110)
    assert fit.place.tempo == tempo
    assert score > 0.9


def test_the_same_spectrum_in_another_order_of_time_is_refused(world) -> None:
    for seed in range(8):
        levels = world.phrase(seed, 4)
        fit, score = fitted(world, template_of(levels), [(10, levels[::-1].copy(), 30)])
        assert score < 0.5, seed
        assert fit.raw < 0.8


@pytest.mark.parametrize("seed", range(6))
def test_a_prefix_of_a_longer_sound_is_that_sound_only_where_it_is_alone(world, seed) -> None:
    """A prefix fits wherever its whole is heard: it is the whole, if known, that explains more."""
    levels = world.phrase(seed)
    prefix, whole = template_of(levels[:20]), template_of(levels)
    templates = [prefix, whole]

    def best(heard: Floats) -> int:
        view = View.of(from_region(world.region(0, [(10, heard, 30)], 100), 420), PAD)
        places = [Placement(index, PAD + 10, 1.0, True, 1.0) for index in range(2)]
        hits = plausible(judged(view, templates, places, CONFIG), CONFIG, second=False)
        taken = np.zeros((len(view.level), BANDS), dtype=np.bool_)
        (chosen,) = select(view, hits, taken, CONFIG)
        return chosen.index

    assert best(levels) == 1
    assert best(levels[:20]) == 0


def test_a_dense_template_needs_more_than_a_sparse_one(world) -> None:
    levels = world.sound(5)
    fit, score = fitted(world, template_of(levels), [(10, levels, 30)])
    noise = template_of(np.zeros((24, BANDS), dtype=np.float32))
    assert acceptance(fit, noise, CONFIG.acceptance) < score


def test_noise_alone_is_no_match(world) -> None:
    view = View.of(from_region(world.region(0, [], 60), 420), PAD)
    fit = exact(view, template_of(world.sound(1)), Placement(0, PAD + 10, 1.0, True, 1.0), CONFIG)
    assert acceptance(fit, template_of(world.sound(1)), CONFIG.acceptance) < 0.1


def test_what_goes_on_after_the_expected_end_is_measured(world) -> None:
    steady = np.where(np.arange(BANDS) % 6 == 0, 0.0, -80.0) * np.ones((60, 1))
    short = template_of(steady[:20].astype(np.float32))
    on, _ = fitted(world, short, [(10, steady.astype(np.float32), 30)], 90)
    off, _ = fitted(world, short, [(10, steady[:20].astype(np.float32), 30)], 90)
    assert on.tail > 0.5
    assert off.tail == 0


def test_only_templates_that_resemble_the_onset_are_proposed(world) -> None:
    sounds = [world.sound(seed) for seed in range(6)]
    templates = [template_of(levels) for levels in sounds]
    view = View.of(from_region(world.region(0, [(10, sounds[3], 30)], 50), 420), PAD)
    prints = np.stack([t.shape.print_ for t in templates], axis=1)
    masks = np.stack([t.shape.print_mask for t in templates], axis=1)
    score = cosines(print_rows(view.level, view.floor), prints, masks, PAD, PAD + 40)
    leads = np.zeros(6, dtype=np.intp)
    found = propose(score, PAD, [PAD + 10], leads, CONFIG)
    assert found[0].index == 3
    assert found[0].row == PAD + 10
    assert found[0].on_onset
    assert propose(np.zeros((0, 6), dtype=np.float32), PAD, [], leads, CONFIG) == []


def test_cells_that_are_accounted_for_do_not_decide_a_cosine(world) -> None:
    levels, other = world.sound(1), world.sound(2)
    template = template_of(levels)
    prints, masks = template.shape.print_[:, None], template.shape.print_mask[:, None]
    view = View.of(from_region(world.region(0, [(10, levels, 25), (10, other, 40)], 50), 420), PAD)
    rows = print_rows(view.level, view.floor)
    usable = np.ones_like(rows)
    usable[PAD + 10 : PAD + 34] = (other > -35).reshape(24, 24, 2).any(axis=2) == 0
    plain = cosines(rows, prints, masks, PAD + 10, PAD + 11)[0, 0]
    masked = cosines(rows, prints, masks, PAD + 10, PAD + 11, usable)[0, 0]
    assert masked > plain
