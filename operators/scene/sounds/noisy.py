"""Short sounds made of noise: whooshes, hisses, rattles, scrapes.

Every maker is ``(rng, duration_s, pitch_hz) -> signal``; ``pitch_hz`` is the middle of the band.
"""

import numpy as np

from operators.scene.sounds.shaping import Signal, axis, coloured, contour, ring, semitones, swell


def whoosh(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Something passing: a band of noise that rises and falls in pitch and in level."""
    time = axis(duration_s)
    peak = rng.uniform(0.25, 0.6)
    path = np.exp(-0.5 * ((time / duration_s - peak) / rng.uniform(0.14, 0.25)) ** 2)
    centre = semitones(pitch_hz, rng.uniform(8, 20) * rng.choice([-1, 1]) * (path - 0.5))
    return np.asarray(coloured(rng, centre, rng.uniform(0.25, 0.5)) * path)


def hiss(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Steam or a spray can: bright noise, sudden or swelling, with a resonance."""
    time = axis(duration_s)
    steady = coloured(rng, np.full(len(time), pitch_hz), rng.uniform(0.35, 0.8))
    edge = coloured(rng, np.full(len(time), pitch_hz * rng.uniform(0.35, 0.6)), 0.08)
    shape = swell(time, rng.uniform(0.005, 0.08), duration_s * rng.uniform(0.3, 0.8))
    return np.asarray((steady + rng.uniform(0.2, 0.8) * edge) * shape)


def rattle(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Keys, coins, dice: many small hard grains, thinning out, each with its own resonance."""
    time = axis(duration_s)
    grains = round(duration_s * rng.uniform(18, 40))
    starts = np.concatenate([[0.0], duration_s * rng.beta(0.9, 1.6, grains) * 0.95])
    total = np.zeros(len(time))
    for start in starts:
        since = time - start
        hz = semitones(pitch_hz, rng.choice([-9, -4, 0, 3, 7, 10]) + rng.normal(0, 0.4))
        grain = np.sin(2 * np.pi * hz * since) * ring(since, rng.uniform(0.012, 0.06))
        total += rng.uniform(0.15, 1.0) * grain
    return total


def scrape(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """A chair over the floor: noise through two drifting resonances, chopped by stick and slip."""
    time = axis(duration_s)
    low = semitones(pitch_hz, contour(time, rng.uniform(-4, 4, 4)))
    high = semitones(pitch_hz * rng.uniform(2.2, 3.5), contour(time, rng.uniform(-4, 4, 4)))
    body = coloured(rng, low, 0.12) + rng.uniform(0.3, 0.9) * coloured(rng, high, 0.1)
    stick = contour(time, rng.uniform(0.05, 1.0, max(4, round(duration_s * rng.uniform(16, 30)))))
    return np.asarray(body * stick * swell(time, 0.015, 0.1))
