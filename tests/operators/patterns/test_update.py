"""What a template learns from its occurrences, and from which of them."""

import numpy as np
import pytest

from operators.patterns.canvas import from_region
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.config import DetectorConfig
from operators.patterns.refit import faith, refit
from operators.patterns.update import FAITHFUL, refitted
from operators.records import BANDS, Floats
from tests.operators.patterns.conftest import template_of

CONFIG = DetectorConfig()
MOTOR_FRAMES, MOTOR_DB, HELD = 130, 24.0, 60
"""Of a steady sound, how long and how loud it is; in it, the other one begins so late."""


def motor() -> Floats:
    """A steady sound with energy in every band."""
    ripple = 4.0 * np.sin(np.arange(BANDS))
    return np.tile(ripple - ripple.max(), (MOTOR_FRAMES, 1)).astype(np.float32)


def heard(world, levels: Floats, at: int, *, within: bool) -> Clip:
    """One occurrence at an absolute frame, alone or while the motor runs."""
    placed = [(HELD, levels, 30.0)]
    placed += [(0, motor(), MOTOR_DB)] if within else []
    canvas = from_region(world.region(at - HELD, placed, 150, seed=at), 420)
    return cut_clip(canvas, at, 40, 100, mask=False, score=0.9, gain=-60.0 + 30.0)


@pytest.mark.parametrize(("lonely", "many"), [(2, 5), (3, 7)])
def test_a_sound_mostly_heard_while_another_goes_on_stays_what_it_is_alone(
    world, lonely: int, many: int
) -> None:
    levels = world.sound(6, 24)
    clear = [1_000 * (n + 1) for n in range(lonely)]
    covered = [10_000 + 1_000 * n for n in range(many)]
    clips = [heard(world, levels, at, within=False) for at in clear]
    clips += [heard(world, levels, at, within=True) for at in covered]
    part = template_of(levels, recent=[*clear, *covered])
    whole = template_of(motor(), 1, recent=[at - HELD for at in covered])

    def like(level: Floats, grown: int) -> float:
        return float(np.mean([faith(level, grown, clip) for clip in clips[:lonely]]))

    drifted = refit(part.level, clips, part.lead, CONFIG)
    assert drifted is not None
    assert like(drifted.level, drifted.grown) < FAITHFUL < like(part.level, 0)
    assert refitted(part, clips, [part], CONFIG) is not None
    made = refitted(part, clips, [part, whole], CONFIG)
    if lonely < CONFIG.confirm_count:
        assert made is None
    else:
        assert made is not None
        assert like(made.level, made.grown) > FAITHFUL


def test_what_is_as_faithful_is_learnt_from_all(world) -> None:
    levels = world.sound(6, 24)
    places = [1_000, 2_000, 3_000, 11_000]
    clips = [heard(world, levels, at, within=False) for at in places]
    part = template_of(levels[4:18], recent=places)
    whole = template_of(motor(), 1, recent=[11_000 - HELD, 12_000, 13_000])
    made = refitted(part, clips, [part, whole], CONFIG)
    alone = refit(part.level, clips, part.lead, CONFIG)
    assert made is not None
    assert alone is not None
    assert np.array_equal(made.level, alone.level)
