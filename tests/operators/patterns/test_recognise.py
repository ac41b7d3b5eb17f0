from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.patterns import encode
from operators.patterns.birth import align, relative_template
from operators.patterns.canvas import Canvas
from operators.patterns.clip import cut_clip
from operators.patterns.config import DetectorConfig
from operators.patterns.recognise import TRUST, fused, hear, recognised
from operators.records import ANALYSIS_RATE_HZ, BANDS, Floats

RATE = ANALYSIS_RATE_HZ
Render = Callable[..., Floats]


def sound(seed: int, length_s: float = 0.7) -> NDArray[np.float64]:
    """A struck bar: a few decaying partials nobody would mistake for another seed's."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(length_s * RATE)) / RATE
    wave = np.zeros(len(time))
    for _ in range(6):
        start = 0.0 if rng.uniform() < 0.6 else rng.uniform(0.0, 0.3)
        phase = 2 * np.pi * np.exp(rng.uniform(np.log(150), np.log(9_000))) * time
        envelope = np.where(time >= start, np.exp(-rng.uniform(4, 12) * (time - start)), 0)
        wave += rng.uniform(0.3, 1.0) * np.sin(phase) * envelope
    return wave / np.abs(wave).max()


def heard(seed: int, *, at_s: float = 0.3, gain: float = 0.3, noise: float = 1e-3, take: int = 0,
          length_s: float = 1.5) -> Floats:  # fmt: skip
    """A clip with the sound at a time, at a gain, in white noise."""
    clip = np.random.default_rng([seed, take]).normal(0, noise, round(length_s * RATE))
    wave = gain * sound(seed)[: max(0, len(clip) - round(at_s * RATE))]
    clip[round(at_s * RATE) : round(at_s * RATE) + len(wave)] += wave
    return clip.astype(np.float32)


def learnt(seed: int) -> bytes:
    """The template that two renditions found."""
    clips = []
    for take in (1, 2):
        view = hear(heard(seed, take=take))
        assert view is not None
        inner = slice(view.pad, -view.pad)
        level, floor = view.level[inner], view.floor[inner]
        canvas = Canvas(0, level, floor, floor, np.full_like(level, -200), [], 0, False, 0)
        clips.append(cut_clip(canvas, 12, 3, 80, mask=False))
    pair = align(clips[0], clips[1], DetectorConfig())
    assert pair is not None
    return encode(*relative_template(pair), 2)


@pytest.fixture(scope="module")
def templates() -> dict[str, bytes]:
    return {str(seed): learnt(seed) for seed in range(6)}


def matches(clip: Floats, templates: dict[str, bytes]) -> dict[str, float]:
    view = hear(clip)
    assert view is not None
    return recognised(view, templates)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"at_s": 0.013},
        {"at_s": 0.71},
        {"gain": 0.02},
        {"noise": 0.01},
        {"length_s": 6.0, "at_s": 3.21},
    ],
    ids=["as learnt", "at once", "late", "soft", "in noise", "in a long clip"],
)
def test_a_clip_is_the_sound_it_is_and_no_other(
    templates: dict[str, bytes], change: dict[str, float]
) -> None:
    for seed in range(6):
        found = matches(heard(seed, take=9, **change), templates)
        others = [value for name, value in found.items() if name != str(seed)]
        assert found[str(seed)] > 0.5, seed
        assert found[str(seed)] > max(others) + 0.2, seed


def test_a_clip_cut_off_in_the_middle_of_the_sound_is_still_it(
    templates: dict[str, bytes],
) -> None:
    for seed in range(6):
        found = matches(heard(seed, at_s=0.1, length_s=0.4, take=9), templates)
        assert max(found, key=lambda name: found[name]) == str(seed)
        assert found[str(seed)] > 0.5


def test_a_clip_without_a_moment_of_background_has_a_floor_all_the_same() -> None:
    time = np.arange(RATE) / RATE
    hum = sum(np.sin(2 * np.pi * f * time) for f in (220, 700, 1_500, 4_000)).astype(np.float32)
    view = hear((0.1 * hum).astype(np.float32))
    assert view is not None
    level = view.level[view.pad : -view.pad]
    template = np.where(level > level.max() - 30, level - level.max(), -60).astype(np.float32)
    found = recognised(view, {"hum": encode(template, np.full(BANDS, -40, np.float32), 0)})
    assert found["hum"] > 0.5


def test_noise_is_no_sound_and_a_template_of_noise_is_not_every_sound(
    templates: dict[str, bytes],
) -> None:
    dense = encode(np.full((40, BANDS), -3, np.float32), np.full(BANDS, -20, np.float32), 0)
    noise = np.random.default_rng(5).normal(0, 0.1, RATE).astype(np.float32)
    assert max(matches(noise, templates).values()) < 0.5
    assert all(matches(heard(seed), {"dense": dense})["dense"] < 0.5 for seed in range(6))


def test_templates_that_cannot_be_compared_are_left_out(templates: dict[str, bytes]) -> None:
    good = templates["0"]
    long = encode(np.zeros((400, BANDS), np.float32), np.full(BANDS, -20, np.float32), 0)
    silent = encode(np.full((9, BANDS), -60, np.float32), np.full(BANDS, -20, np.float32), 0)
    narrow = encode(np.zeros((9, 4), np.float32), np.full(4, -20, np.float32), 0)
    rest = {"none": b"", "cut": good[:-1], "long": long, "silent": silent, "narrow": narrow}
    clip = heard(0, take=9)
    assert set(matches(clip, rest | {"good": good})) == {"good"}
    assert matches(clip, rest) == {}
    assert matches(clip, {}) == {}


@pytest.mark.parametrize("samples", [0, 1, 500, RATE])
def test_silence_and_nothing_are_not_heard(samples: int) -> None:
    assert hear(np.zeros(samples, np.float32)) is None


def test_odd_clips_match_nothing_and_break_nothing(templates: dict[str, bytes]) -> None:
    broken = heard(0, take=9)
    broken[::7] = np.nan
    broken[5] = np.inf
    click = np.zeros(1_200, np.float32)
    click[600] = 1.0
    for clip in (broken, click, heard(0)[:3_000], np.full(RATE, 1e30, np.float32)):
        view = hear(clip)
        values = [] if view is None else list(recognised(view, templates).values())
        assert all(0 <= value <= 1 for value in values)


def test_a_match_only_ever_raises_a_score_and_likeness_orders_equals() -> None:
    assert fused(0.4, None) == fused(0.4, 0.0) == 0.4
    assert fused(0.4, 0.5) < fused(0.4, 1.0) < fused(0.5, 1.0) < 1.0
    assert fused(1.0, 1.0) == 1.0
    assert fused(-1.0, 1.0) == pytest.approx(1 - 2 * (1 - TRUST))
