import numpy as np
import pytest

from operators.patterns.canvas import from_region
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.config import DetectorConfig
from operators.patterns.levels import EMPTY
from operators.patterns.refit import faith, refit
from operators.records import BANDS

CONFIG = DetectorConfig()


def exemplars(world, levels, others=(), row=50, lead_in=20, snr=(30, 26, 34, 28)) -> list[Clip]:
    """Clips anchored ``lead_in`` rows after the sound's first row."""
    made = []
    for n, level in enumerate(snr):
        extra = [others[n]] if n < len(others) else []
        region = world.region(1000 * n, [(row, levels, level), *extra], 150, seed=n)
        canvas = from_region(region, 420)
        anchor = 1000 * n + row + lead_in
        made.append(cut_clip(canvas, anchor, 40, 100, mask=False, score=0.9, gain=-60.0 + level))
    return made


def fragment(levels, first=20, last=35):
    part = levels[first:last]
    return np.where(part > -25, part, EMPTY).astype(np.float32)


def test_a_fragment_grows_to_both_sides(world) -> None:
    levels = world.sound(6, 60)
    made = refit(fragment(levels), exemplars(world, levels), 2, CONFIG)
    assert made is not None
    assert made.grown >= 16
    assert len(made.level) >= 45
    assert made.level.max() > -3


def test_what_covers_one_exemplar_does_not_enter_the_template(world) -> None:
    levels = world.sound(1, 40)
    other = [(60, world.sound(2, 30), 42)]
    clean = refit(fragment(levels), exemplars(world, levels), 2, CONFIG)
    covered = refit(fragment(levels), exemplars(world, levels, other), 2, CONFIG)
    assert clean is not None
    assert covered is not None
    assert abs(len(clean.level) - len(covered.level)) <= 6
    assert covered.level.max() < 6


def test_neighbours_that_differ_are_not_grown_into(world) -> None:
    levels = world.sound(6, 30)
    others = [(80 + 3 * n, world.sound(50 + n, 30), 30) for n in range(4)]
    made = refit(fragment(levels, 0, 28), exemplars(world, levels, others, lead_in=0), 2, CONFIG)
    assert made is not None
    assert len(made.level) <= 40


SILENT = -90.0


def phrase(world, pause: int, words: tuple[int, int] = (6, 7)):
    """Two words with a pause of some frames between them."""
    between = np.full((pause, 48), SILENT)
    return np.concatenate([world.sound(words[0], 16), between, world.sound(words[1], 20)])


@pytest.mark.parametrize("pause", [4, 16, 22])
def test_a_sound_that_falls_silent_and_goes_on_is_one_sound(world, pause: int) -> None:
    levels = phrase(world, pause)
    for known in (slice(0, 16), slice(16 + pause, None)):
        made = refit(
            fragment(levels, known.start, known.stop),
            exemplars(world, levels, row=40, lead_in=known.start),
            2,
            CONFIG,
        )
        assert made is not None
        assert len(made.level) == pytest.approx(len(levels) + 2, abs=5)
        assert made.grown == pytest.approx(known.start + 2, abs=4)


def test_after_a_longer_pause_another_sound_begins(world) -> None:
    levels = phrase(world, 34)
    made = refit(fragment(levels, 0, 16), exemplars(world, levels, row=40, lead_in=0), 2, CONFIG)
    assert made is not None
    assert len(made.level) < 24


def test_what_follows_at_another_distance_each_time_is_another_sound(world) -> None:
    word = world.sound(6, 16)
    others = [(50 + 36 + 4 * n, world.sound(7, 20), 30) for n in range(4)]
    made = refit(fragment(word, 0, 16), exemplars(world, word, others, lead_in=0), 2, CONFIG)
    assert made is not None
    assert len(made.level) < 24


@pytest.mark.parametrize("frames", [12, 16, 26, 34, 44])
@pytest.mark.parametrize("seed", [6, 7, 9])
def test_a_beat_is_not_a_phrase(world, frames: int, seed: int) -> None:
    beat, pause = world.sound(seed, frames), np.full((20, 48), SILENT)
    levels = np.concatenate([beat, pause, beat, pause, beat])
    first = frames + len(pause)
    known = fragment(levels, first, first + frames)
    made = refit(known, exemplars(world, levels, row=8, lead_in=first), 2, CONFIG)
    assert made is not None
    assert len(made.level) == pytest.approx(frames + 2, abs=3)


def test_two_sounds_in_turn_are_not_a_phrase(world) -> None:
    tick, tock, pause = world.sound(6, 12), world.sound(7, 12), np.full((18, 48), SILENT)
    levels = np.concatenate([tick, pause, tock, pause, tick, pause, tock])
    made = refit(fragment(levels, 30, 42), exemplars(world, levels, row=8, lead_in=30), 2, CONFIG)
    assert made is not None
    assert len(made.level) == pytest.approx(14, abs=3)


def test_two_exemplars_prove_nothing(world) -> None:
    levels = world.sound(6, 60)
    assert refit(fragment(levels), exemplars(world, levels)[:2], 2, CONFIG) is None


def test_exemplars_of_nothing_leave_the_template_alone(world) -> None:
    nothing = np.full((20, 48), EMPTY, dtype=np.float32)
    assert refit(nothing, exemplars(world, np.full((4, 48), -90.0)), 2, CONFIG) is None


def test_faith_is_agreement_with_what_was_heard_wherever_a_shape_begins(world) -> None:
    levels = world.sound(3, 40)
    (clip,) = exemplars(world, levels, snr=(34,))
    whole = np.where(levels > -22, levels, EMPTY).astype(np.float32)
    assert faith(whole, 20, clip) > 0.9
    assert faith(whole[20:], 0, clip) > 0.9
    assert faith(whole, 8, clip) < 0.7
    assert faith(np.where(whole > EMPTY, EMPTY, whole), 0, clip) == 0.0
    beyond = np.zeros((20, BANDS), dtype=np.float32)
    assert faith(beyond, -len(clip.codes), clip) < 0.1
