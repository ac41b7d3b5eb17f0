"""A set of synthetic sounds, drawn from a seed, on which features are standardised.

What matters is not that they sound real but that they spread over what features respond to: pitch,
inharmonicity, attack, decay, bandwidth, spectral tilt, modulation, silence around the event, rooms
and background noise. No data has to be shipped, and every machine draws the same set.

Invariant: the same version, the same sounds (to the rounding of sine and exponential). Change the
recipe and ``VERSION`` must change: vectors standardised differently are not comparable.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from operators.records import ANALYSIS_RATE_HZ, Floats

VERSION = 1
SOUNDS = 128
SAMPLES = ANALYSIS_RATE_HZ
_SEED = 0x6772796D
Signal = NDArray[np.float64]


def synthetic_windows(sounds: int = SOUNDS, seed: int = _SEED) -> Iterator[Floats]:
    """Draws windows of 1 s at ``ANALYSIS_RATE_HZ``, float32, one after the other.

    Every sound has a random generator of its own, so that asking for fewer gives the first ones.
    """
    recipes = (_partials, _noise_burst, _sweep, _clicks, _hum, _pulsed)
    for index in range(sounds):
        rng = np.random.default_rng((seed, index))
        yield _placed(recipes[index % len(recipes)], rng).astype(np.float32)


def _placed(recipe: Callable[[np.random.Generator], Signal], rng: np.random.Generator) -> Signal:
    """A sound at a random position, coloured, in a room, before a noise floor."""
    sound = recipe(rng)
    start = int(rng.uniform(-0.3, 0.6) * SAMPLES)
    placed = np.zeros(SAMPLES)
    head, tail = max(start, 0), min(start + SAMPLES, SAMPLES)
    placed[head:tail] = sound[max(-start, 0) : max(-start, 0) + tail - head]
    if rng.random() < 0.5:
        placed = _room(placed, rng)
    placed = _tilted(placed, rng.normal(0.0, 0.3))
    placed /= max(float(np.abs(placed).max()), 1e-9)
    noise = _coloured_noise(rng, exponent=rng.uniform(0.0, 1.5))
    snr_db = rng.uniform(5.0, 60.0)
    gain = np.sqrt(np.mean(placed**2) / np.mean(noise**2)) * 10.0 ** (-snr_db / 20.0)
    return np.asarray(placed + gain * noise)


def _time() -> Signal:
    return np.arange(SAMPLES) / ANALYSIS_RATE_HZ


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _envelope(rng: np.random.Generator) -> Signal:
    attack_s = _log_uniform(rng, 0.001, 0.2)
    decay_s = _log_uniform(rng, 0.01, 2.0)
    time = _time()
    return np.minimum(time / attack_s, 1.0) * np.exp(-time / decay_s)


def _partials(rng: np.random.Generator) -> Signal:
    """Struck or plucked: stretched partials, each decaying at its own pace."""
    time, base = _time(), _log_uniform(rng, 60.0, 4_000.0)
    stretch = rng.uniform(1.0, 1.6)
    decay_s, slope = _log_uniform(rng, 0.03, 1.5), rng.uniform(0.3, 1.8)
    sound = np.zeros(SAMPLES)
    for order in range(1, int(rng.integers(2, 13))):
        frequency = base * order**stretch
        if frequency < ANALYSIS_RATE_HZ / 2:
            tone = np.sin(2 * np.pi * frequency * time + rng.uniform(0, 2 * np.pi))
            sound += order**-slope * np.exp(-time * order**0.5 / decay_s) * tone
    return sound


def _noise_burst(rng: np.random.Generator) -> Signal:
    """Hisses, knocks and breaths: noise within a band."""
    centre = _log_uniform(rng, 100.0, 12_000.0)
    octaves = rng.uniform(0.2, 4.0)
    frequency = np.fft.rfftfreq(SAMPLES, 1.0 / ANALYSIS_RATE_HZ)
    distance = np.log2(np.maximum(frequency, 1.0) / centre) / octaves
    spectrum = np.fft.rfft(rng.standard_normal(SAMPLES)) * np.exp(-0.5 * (2.0 * distance) ** 2)
    return np.asarray(np.fft.irfft(spectrum, SAMPLES)) * _envelope(rng)


def _sweep(rng: np.random.Generator) -> Signal:
    """Chirps, sirens and calls: a tone that glides, with a few harmonics."""
    start, end = _log_uniform(rng, 100.0, 8_000.0), _log_uniform(rng, 100.0, 8_000.0)
    duration_s = rng.uniform(0.05, 1.0)
    position = np.minimum(_time() / duration_s, 1.0)
    phase = 2 * np.pi * np.cumsum(start * (end / start) ** position) / ANALYSIS_RATE_HZ
    sound = np.sin(phase) + rng.uniform(0.0, 0.7) * np.sin(2 * phase)
    return np.where(position < 1.0, sound * np.sin(np.pi * position) ** 0.5, 0.0)


def _clicks(rng: np.random.Generator) -> Signal:
    """Ticks, rattles and footsteps: a train of short resonant knocks."""
    sound, period_s = np.zeros(SAMPLES), _log_uniform(rng, 0.02, 0.5)
    resonance, decay_s = _log_uniform(rng, 150.0, 9_000.0), _log_uniform(rng, 0.001, 0.03)
    knock_time = _time()[: SAMPLES // 8]
    knock = np.exp(-knock_time / decay_s) * np.sin(2 * np.pi * resonance * knock_time)
    for start_s in np.arange(0.0, 0.85, period_s):
        start = int((start_s + rng.uniform(0.0, 0.1) * period_s) * ANALYSIS_RATE_HZ)
        end = min(start + len(knock), SAMPLES)
        sound[start:end] += rng.uniform(0.5, 1.0) * knock[: end - start]
    return sound


def _hum(rng: np.random.Generator) -> Signal:
    """Motors, mains and voices: steady harmonics under a formant, slowly modulated."""
    time, base = _time(), _log_uniform(rng, 45.0, 500.0)
    formant, width = _log_uniform(rng, 200.0, 5_000.0), rng.uniform(0.3, 1.5)
    wobble = 1.0 + rng.uniform(0.0, 0.02) * np.sin(2 * np.pi * rng.uniform(1.0, 8.0) * time)
    phase = 2 * np.pi * np.cumsum(base * wobble) / ANALYSIS_RATE_HZ
    orders = np.arange(1, max(2, min(40, int(ANALYSIS_RATE_HZ / 2.2 / base))))
    weights = np.exp(-0.5 * (np.log2(orders * base / formant) / width) ** 2) + 0.02
    offsets = np.exp(2j * np.pi * rng.random(len(orders)))
    turn = np.exp(1j * phase)
    rotating, sound = np.ones(SAMPLES, dtype=np.complex128), np.zeros(SAMPLES, dtype=np.complex128)
    for weight, offset in zip(weights, offsets, strict=True):
        rotating *= turn  # the next harmonic without another sine
        sound += weight * offset * rotating
    return np.asarray(sound.imag)


def _pulsed(rng: np.random.Generator) -> Signal:
    """Alarms, engines and insects: a tone or a noise switched on and off."""
    carrier = _hum(rng) if rng.random() < 0.5 else _noise_burst(rng)
    rate_hz, duty = _log_uniform(rng, 2.0, 40.0), rng.uniform(0.2, 0.7)
    gate = (np.mod(_time() * rate_hz, 1.0) < duty).astype(np.float64)
    return carrier * _smoothed(gate, 200)


def _smoothed(signal: Signal, length: int) -> Signal:
    """Moving average over ``length`` samples: keeps a switch from clicking."""
    total = np.cumsum(np.concatenate([np.zeros(length), signal]))
    return np.asarray((total[length:] - total[:-length]) / length)


def _coloured_noise(rng: np.random.Generator, exponent: float) -> Signal:
    return _tilted(rng.standard_normal(SAMPLES), exponent)


def _tilted(signal: Signal, exponent: float) -> Signal:
    """Multiplies the power spectrum by frequency to the minus ``exponent``, from 50 Hz up."""
    frequency = np.maximum(np.fft.rfftfreq(SAMPLES, 1.0 / ANALYSIS_RATE_HZ), 50.0)
    shaped = np.fft.rfft(signal) * (frequency / 1_000.0) ** (-exponent / 2.0)
    return np.asarray(np.fft.irfft(shaped, SAMPLES))


def _room(signal: Signal, rng: np.random.Generator) -> Signal:
    """Adds a diffuse reverberant tail (exponentially decaying noise)."""
    time = _time()[: SAMPLES // 3]
    tail = rng.standard_normal(len(time)) * np.exp(-time / _log_uniform(rng, 0.02, 0.1))
    size = 1 << (SAMPLES + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(tail, size))[:SAMPLES]
    mix = rng.uniform(0.05, 0.6) * np.sqrt(np.mean(signal**2) / max(float(np.mean(wet**2)), 1e-12))
    return np.asarray(signal + mix * wet)
