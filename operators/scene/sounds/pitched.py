"""Short pitched sounds: chirps, squeaks, calls, trills, horns, buzzes, sweeps.

Every maker is ``(rng, duration_s, pitch_hz) -> signal``; two generators give two voices.
"""

import numpy as np

from operators.scene.sounds.shaping import (
    Signal,
    axis,
    contour,
    harmonics,
    ring,
    semitones,
    swell,
    turns,
)


def chirp(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Bird-like: one to five syllables, each an arc of its own through about an octave."""
    time = axis(duration_s)
    syllables = max(1, min(5, round(duration_s / rng.uniform(0.12, 0.3))))
    length = duration_s / syllables
    voiced = length * rng.uniform(0.6, 0.9)
    shape = rng.uniform(-9, 9, 4)
    total = np.zeros(len(time))
    for number in range(syllables):
        inside = (time >= number * length) & (time < number * length + voiced)
        part = time[inside] - number * length
        arc = semitones(pitch_hz, contour(part, shape + rng.uniform(-3, 3)))
        total[inside] = harmonics(arc, np.array([1.0, 0.15])) * swell(
            part, 0.2 * voiced, 0.4 * voiced
        )
    return total


def squeak(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Dry hinge: frequency modulation over a wandering pitch, the roughness jittered."""
    time = axis(duration_s)
    wander = semitones(pitch_hz, contour(time, rng.uniform(-5, 5, int(rng.integers(3, 7)))))
    jitter = contour(time, rng.normal(0, 0.25, max(4, round(duration_s * 60))))
    carrier = wander * 2 ** (jitter / 12)
    depth = contour(time, rng.uniform(0.4, 3.0, 4))
    voice = np.sin(turns(carrier) + depth * np.sin(turns(carrier * rng.choice([0.5, 1.5, 2.0]))))
    grip = contour(time, rng.uniform(0.35, 1.0, max(3, round(duration_s * 14))))
    return np.asarray(voice * grip * swell(time, 0.02, 0.06))


def call(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Two-tone call: two held notes a clear interval apart, as a cuckoo or a door chime."""
    time = axis(duration_s)
    turn_s = duration_s * rng.uniform(0.35, 0.6)
    step = float(rng.choice([-7, -5, -4, -3, 3, 4, 5, 7]))
    amplitudes = np.array([1.0, *(rng.uniform(0.05, 0.5, 5) / np.arange(1, 6))])
    total = np.zeros(len(time))
    for inside, steps in ((time < turn_s * 0.94, 0.0), (time >= turn_s, step)):
        part = time[inside] - time[inside][0]
        vibrato = rng.uniform(0, 0.3) * np.sin(2 * np.pi * rng.uniform(4, 7) * part)
        total[inside] = harmonics(semitones(pitch_hz, steps + vibrato), amplitudes) * swell(
            part, 0.02, 0.09
        )
    return total


def trill(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Cricket-like: a tone cut into pulses at a steady rate, swelling towards its end or middle."""
    time = axis(duration_s)
    rate_hz = rng.uniform(14, 32)
    pulse = np.clip(np.sin(2 * np.pi * rate_hz * time), 0, None) ** rng.uniform(0.7, 2.5)
    drift = semitones(pitch_hz, contour(time, rng.uniform(-1.5, 1.5, 3)))
    tone = harmonics(drift, np.array([1.0, rng.uniform(0.1, 0.5), rng.uniform(0, 0.3)]))
    loudness = contour(time, np.append(rng.uniform(0.4, 1.0, 3), 0.3))
    return np.asarray(tone * pulse * loudness)


def horn(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Brass-like: many harmonics under a formant, brighter while loud, with vibrato."""
    time = axis(duration_s)
    number = np.arange(1, 25)
    formant = pitch_hz * rng.uniform(3, 8)
    colour = np.exp(-0.5 * (np.log2(number * pitch_hz / formant) / rng.uniform(0.6, 1.2)) ** 2)
    shape = swell(time, rng.uniform(0.04, 0.12), min(0.2, duration_s / 3))
    vibrato = rng.uniform(0.05, 0.4) * np.sin(2 * np.pi * rng.uniform(4.5, 7) * time)
    scoop = rng.uniform(-2.5, 1.0) * ring(time, 0.25)
    amplitudes = colour[:, None] * shape[None, :] ** (1 + 0.12 * number[:, None])
    return harmonics(semitones(pitch_hz, vibrato + scoop), amplitudes)


def buzz(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Insect or loose transformer: dense harmonics, amplitude shaken at an audible rate."""
    time = axis(duration_s)
    number = np.arange(1, 41)
    tilt = rng.uniform(0.2, 1.0, len(number)) / number ** rng.uniform(0.3, 0.9)
    bend = semitones(pitch_hz, contour(time, rng.uniform(-2.5, 2.5, 4)))
    shake = 1 + rng.uniform(0.3, 0.9) * np.sin(2 * np.pi * rng.uniform(18, 55) * time)
    return np.asarray(harmonics(bend, tilt) * shake * swell(time, 0.03, 0.08))


def sweep(rng: np.random.Generator, duration_s: float, pitch_hz: float) -> Signal:
    """Falling or rising tone over one to three octaves: a slide whistle, a toy laser."""
    time = axis(duration_s)
    octaves = rng.uniform(1.0, 2.6) * rng.choice([-1, 1])
    way = (time / duration_s) ** rng.uniform(0.5, 1.8)
    repeats = int(rng.integers(1, 4)) if duration_s > 0.6 else 1
    way = (way * repeats) % 1.0
    amplitudes = rng.uniform(0.05, 0.6, 6) / np.arange(1, 7)
    amplitudes[0] = 1.0
    start = pitch_hz if octaves < 0 else pitch_hz / 4
    return np.asarray(harmonics(start * 2 ** (octaves * way), amplitudes) * swell(time, 0.01, 0.1))
