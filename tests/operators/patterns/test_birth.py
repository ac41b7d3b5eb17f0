import numpy as np
import pytest

from operators.patterns.birth import align, reach, relative_template
from operators.patterns.canvas import from_region
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.config import DetectorConfig
from operators.patterns.levels import EMPTY

CONFIG = DetectorConfig()


def event(world, placed, frames=70, onset=13, start=100) -> Clip:
    region = world.region(start, placed, frames, seed=start)
    return cut_clip(from_region(region, 420), start + onset, 40, 150, mask=False)


def test_two_renderings_at_different_levels_are_aligned(world) -> None:
    levels = world.sound(1)
    earlier = event(world, [(13, levels, 34)])
    later = event(world, [(14, levels, 24)], start=900)
    pair = align(earlier, later, CONFIG)
    assert pair is not None
    assert pair.score > 0.9
    assert pair.shift == -1
    assert pair.gain == pytest.approx(-10, abs=1.5)
    level, floor = relative_template(pair)
    assert level.max() == 0
    assert floor.shape == (48,)
    assert np.abs(level[: len(levels)] - 0).size
    assert ((level == EMPTY) | (level > EMPTY)).all()


def test_a_pair_found_in_its_middle_reaches_back_to_its_start(world) -> None:
    levels = world.sound(6, 50)
    earlier = event(world, [(13, levels, 32)], 90, onset=33)
    later = event(world, [(13, levels, 30)], 90, onset=33, start=900)
    pair = align(earlier, later, CONFIG)
    assert pair is not None
    assert pair.first <= -18
    assert pair.last >= 20


def test_different_sounds_share_too_little(world) -> None:
    scores = []
    for seed in range(12):
        pair = align(
            event(world, [(13, world.sound(seed), 30)]),
            event(world, [(13, world.sound(seed + 100), 30)], start=900),
            CONFIG,
        )
        scores.append(0.0 if pair is None else pair.score)
    assert max(scores) < CONFIG.birth


def test_masked_cells_have_no_say(world) -> None:
    levels, other = world.sound(1), world.sound(2)
    covered = world.region(900, [(13, levels, 24), (13, other, 40)], 70, seed=5)
    canvas = from_region(covered, 420)
    rows = slice(13, 13 + len(other))
    canvas.known[rows] = np.where(other > -40, -60 + 40 + other, -200)
    later = cut_clip(canvas, 913, 40, 150, mask=True)
    earlier = event(world, [(13, levels, 30)])
    pair = align(earlier, later, CONFIG)
    blind = align(earlier, cut_clip(canvas, 913, 40, 150, mask=False), CONFIG)
    assert pair is not None
    assert pair.score > 0.85
    assert blind is None or blind.score < pair.score


def test_reach_ends_where_it_no_longer_pays_or_in_silence() -> None:
    profit = np.array([1, 1, -0.5, 1, -1, -1, 0.5], dtype=np.float32)
    assert reach(profit, profit > 9) == 4
    gap = np.concatenate([np.ones(5), np.zeros(20), np.ones(5)])
    assert reach(gap, gap == 0) == 5
    assert reach(np.zeros(0), np.zeros(0, dtype=bool)) == 0
    assert reach(np.array([-1.0, -1.0]), np.zeros(2, dtype=bool)) == 0


def test_too_little_to_compare_gives_no_pair(world) -> None:
    short = event(world, [], 16)
    assert align(short, short, CONFIG) is None
