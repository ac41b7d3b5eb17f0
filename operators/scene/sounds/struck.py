"""Sounds of things that are struck, plucked or dripping: an impulse, then what it sets ringing.

Every maker is ``(rng, duration_s, pitch_hz) -> signal``; two generators give two instruments.
"""

import numpy as np

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.sounds.shaping import (
    Signal,
    axis,
    coloured,
    ring,
    semitones,
    turns,
)

_BELL_RATIOS = np.array([0.5, 1.0, 1.19, 1.56, 2.0, 2.51, 2.66, 3.01, 4.1, 5.4])


def pluck(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """String by the Karplus-Strong loop (Computer Music Journal 7(2), 1983).

    The loop is linear and circular, so round m is the excitation's spectrum times the loop
    filter to the power m: all rounds at once, no sample loop.
    """
    length = round(ANALYSIS_RATE_HZ / pitch_hz)
    rounds = int(duration_s * ANALYSIS_RATE_HZ / length) + 1
    spectrum = np.fft.rfft(rng.standard_normal(length))
    turn = 2 * np.pi * np.arange(len(spectrum)) / length
    spectrum[0] = 0
    spectrum *= np.exp(-turn * rng.uniform(0.2, 1.2))
    mix = rng.uniform(0.25, 0.5)
    loop = np.abs(1 - mix + mix * np.exp(-1j * turn)) * np.exp(-4.0 / rounds)
    string = np.fft.irfft(spectrum * loop ** np.arange(rounds)[:, None], length, axis=1)
    return np.asarray(string.reshape(-1)[: len(axis(duration_s))])


def bell(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Bell: inharmonic partials, the higher the shorter, each a slowly beating pair."""
    time = axis(duration_s)
    total = np.zeros(len(time))
    for ratio in _BELL_RATIOS * rng.uniform(0.94, 1.06, len(_BELL_RATIOS)):
        hz = pitch_hz * ratio
        life = 1.4 * duration_s / max(ratio, 0.8) ** rng.uniform(0.5, 1.0)
        pair = np.sin(2 * np.pi * hz * time + rng.uniform(0, 6.28)) + 0.6 * np.sin(
            2 * np.pi * (hz + rng.uniform(0.5, 6)) * time + rng.uniform(0, 6.28)
        )
        total += rng.uniform(0.15, 1.0) * pair * ring(time, life)
    return total


def knock(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Knuckles on wood: two to four strokes, each a burst of noise and a few damped modes."""
    time = axis(duration_s)
    strokes = int(rng.integers(2, 5))
    starts = np.arange(strokes) * (duration_s - 0.15) / (strokes - 1) * rng.uniform(0.8, 1.0)
    modes = pitch_hz * np.array([1.0, 1.58, 2.24, 3.1, 4.7]) * rng.uniform(0.9, 1.12, 5)
    weights = rng.uniform(0.2, 1.0, 5)
    lives = rng.uniform(0.08, 0.3, 5)
    noise = coloured(rng, np.full(len(time), pitch_hz * 5), 1.0)
    total = np.zeros(len(time))
    for start, force in zip(starts, rng.uniform(0.5, 1.0, strokes), strict=True):
        since = time - start
        body = sum(
            weight * np.sin(2 * np.pi * hz * since) * ring(since, life)
            for hz, weight, life in zip(modes, weights, lives, strict=True)
        )
        total += force * (body + 0.6 * noise * ring(since, 0.03))
    return total


def drip(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Water drops: short sines that rise as the bubble closes (van den Doel, 2005)."""
    time = axis(duration_s)
    drops = max(2, round(duration_s * rng.uniform(4, 8)))
    starts = np.concatenate([[0.0], np.sort(rng.uniform(0.04, duration_s - 0.08, drops - 1))])
    total = np.zeros(len(time))
    for start in starts:
        since = time - start
        hz = float(semitones(pitch_hz, rng.uniform(-5, 5)))
        rise = hz * (1 + rng.uniform(2, 6) * np.clip(since, 0, 0.25))
        total += rng.uniform(0.4, 1.0) * np.sin(turns(rise)) * ring(since, rng.uniform(0.06, 0.15))
    return total


def ratchet(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Clicks of a mechanism: a row of hard, very short resonances whose pace changes."""
    time = axis(duration_s)
    gap = rng.uniform(0.025, 0.09)
    growth = rng.uniform(0.88, 1.14)
    first = np.sin(2 * np.pi * pitch_hz * time + 1) * ring(time, 0.012)
    second_hz = pitch_hz * rng.uniform(1.3, 2.4)
    second = np.sin(2 * np.pi * second_hz * time + 2) * ring(time, 0.008)
    total = np.zeros(len(time))
    start, accent = 0.0, rng.uniform(0.35, 1.0, 40)
    for number in range(40):
        at = round(start * ANALYSIS_RATE_HZ)
        if start > duration_s - 0.02:
            break
        click = first + (second if number % 2 else 0.4 * second)
        total[at:] += accent[number] * click[: len(time) - at]
        gap = min(max(gap * growth, 0.018), 0.2)
        start += gap
    return total
