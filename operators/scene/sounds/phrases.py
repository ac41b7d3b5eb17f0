"""Long sounds with an inner course (1.5-4.2 s): melodies, sirens, motors, creaks, babble.

Every maker is ``(rng, duration_s, pitch_hz) -> signal``. They are the wholes of overlaps and
containments, and the reason why cutting at silence is not enough.
"""

import numpy as np

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.sounds.shaping import (
    Signal,
    axis,
    coloured,
    contour,
    harmonics,
    ring,
    semitones,
    swell,
)

_SCALE = np.array([-5, -3, 0, 2, 4, 7, 9, 12], dtype=np.float64)


def melody(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """A ring tone: five to nine notes of a pentatonic scale in an uneven rhythm."""
    time = axis(duration_s)
    lengths = rng.choice([1.0, 1.0, 2.0, 3.0], int(rng.integers(5, 10)))
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]]) * duration_s / np.sum(lengths)
    amplitudes = np.array([1.0, *(rng.uniform(0.05, 0.6, 4) / np.arange(1, 5))])
    total = np.zeros(len(time))
    for start, length in zip(starts, lengths * duration_s / np.sum(lengths), strict=True):
        inside = (time >= start) & (time < start + length)
        part = time[inside] - start
        hz = np.full(len(part), float(semitones(pitch_hz, float(rng.choice(_SCALE)))))
        total[inside] = (
            harmonics(hz, amplitudes) * ring(part, 2.5 * length) * swell(part, 0.008, 0.03)
        )
    return total


def siren(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """A wailing or stepping alarm whose sweep quickens or slows."""
    time = axis(duration_s)
    pace = rng.uniform(0.8, 2.6) * time * (1 + rng.uniform(-0.15, 0.25) * time / duration_s)
    wave = np.sin(2 * np.pi * pace + rng.uniform(0, 6.28))
    wave = np.tanh(wave * rng.uniform(0.6, 6.0))
    amplitudes = np.array([1.0, *(rng.uniform(0.1, 0.7, 7) / np.arange(1, 8))])
    voice = harmonics(semitones(pitch_hz, rng.uniform(2, 7) * wave), amplitudes)
    return np.asarray(voice * swell(time, 0.05, 0.15))


def motor(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """A small machine: it runs up, works under a changing load, and runs down."""
    time = axis(duration_s)
    load = np.concatenate([[-14.0], rng.uniform(-3, 4, int(rng.integers(3, 6))), [-12.0]])
    speed = semitones(pitch_hz, contour(time, load))
    number = np.arange(1, 29)
    amplitudes = rng.uniform(0.1, 1.0, len(number)) * number**-0.5
    hum = harmonics(speed, amplitudes)
    air = coloured(rng, speed * rng.uniform(12, 24), 0.3)
    return np.asarray((hum / np.std(hum) + rng.uniform(0.2, 0.6) * air) * swell(time, 0.12, 0.25))


def creak(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """A door: stick-slip pulses at a wandering rate (10-70 a second) through wooden resonances."""
    time = axis(duration_s)
    rate_hz = np.exp(contour(time, rng.uniform(np.log(10), np.log(70), 6)))
    cycles = np.floor(np.cumsum(rate_hz) / ANALYSIS_RATE_HZ)
    slips = np.flatnonzero(np.diff(cycles, prepend=-1.0) > 0)
    length = round(0.05 * ANALYSIS_RATE_HZ)
    since = np.arange(length) / ANALYSIS_RATE_HZ
    modes = pitch_hz * np.array([1.0, 1.7, 2.6, 4.3, 6.1]) * rng.uniform(0.9, 1.1, 5)
    wood = sum(
        rng.uniform(0.3, 1.0)
        * np.sin(2 * np.pi * hz * since)
        * ring(since, rng.uniform(0.02, 0.05))
        for hz in modes
    )
    total = np.zeros(len(time) + length)
    pressure = contour(time, rng.uniform(0.25, 1.0, 8))
    for slip in slips:
        total[slip : slip + length] += pressure[slip] * wood
    return np.asarray(total[: len(time)] * swell(time, 0.01, 0.1))


def babble(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Speech without words: a gliding voice through formants that move syllable by syllable."""
    time = axis(duration_s)
    syllables = max(3, round(duration_s * rng.uniform(2.8, 4.5)))
    voice = semitones(pitch_hz, contour(time, rng.uniform(-4, 4, syllables + 1)))
    number = np.arange(1, 29)[:, None]
    hz = number * voice[None, :]
    gain = np.zeros_like(hz)
    for low, high, width, weight in (
        (300, 850, 90, 1),
        (900, 2300, 140, 0.6),
        (2400, 3300, 200, 0.3),
    ):
        formant = contour(time, rng.uniform(low, high, 2 * syllables))
        gain += weight * np.exp(-0.5 * ((hz - formant) / width) ** 2)
    loud = contour(time, np.tile([0.08, 1.0], syllables) * rng.uniform(0.7, 1.0, 2 * syllables))
    return np.asarray(harmonics(voice, gain) * loud * swell(time, 0.02, 0.08))
