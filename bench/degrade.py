"""What happens to a sound between two times it is heard: a shift, a room, a microphone, noise.

A sound is at 44.1 kHz and begins ``LEAD`` samples into its array, so that a window may begin before
it. The strengths are those of the medium scenes that discovery is measured on: gain down to -8 dB,
a tilt of 3 dB a decade, a lightly reverberant room. Noise is pink and set against the power of the
whole window, or against its loudest quarter of a second, which for short sounds is up to 6 dB more.

Invariant: everything is drawn from the generator that is handed in; windows are float32, 1 s.
"""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.records import ANALYSIS_RATE_HZ, Floats

Reference: TypeAlias = Literal["window", "loudest"]
Signal: TypeAlias = NDArray[np.float64]

RATE_HZ = ANALYSIS_RATE_HZ
LEAD = RATE_HZ // 2
"""Samples of an array before its sound begins: silence, or what came before in the recording."""
_COMBINED_SHIFT = RATE_HZ // 4
_COMBINED_GAIN_DB = 8.0
_COMBINED_SNR_DB = 15.0
_TILT_SD_DB = 3.0
_LOUDEST = RATE_HZ // 4


def window(sound: Floats, shift: int = 0) -> Floats:
    """The second that begins with the sound, or ``shift`` samples later; silence beyond the end."""
    found = np.zeros(RATE_HZ, dtype=np.float32)
    part = sound[LEAD + shift : LEAD + shift + RATE_HZ]
    found[: len(part)] = part
    return found


def softer(heard: Floats, rng: np.random.Generator, most_db: float = 20.0) -> Floats:
    """Up to ``most_db`` less of it."""
    return np.asarray(heard * 10.0 ** (-rng.uniform(0.0, most_db) / 20.0), dtype=np.float32)


def noisy(
    heard: Floats, rng: np.random.Generator, snr_db: float, reference: Reference = "window"
) -> Floats:
    """Adds pink noise, so many dB below the sound."""
    noise = _pink(rng, len(heard))
    powers = np.cumsum(np.concatenate([[0.0], heard.astype(np.float64) ** 2]))
    length = len(heard) if reference == "window" else _LOUDEST
    signal = float((powers[length:] - powers[:-length]).max()) / length
    gain = np.sqrt(signal / np.mean(noise**2)) * 10.0 ** (-snr_db / 20.0)
    return np.asarray(heard + gain * noise, dtype=np.float32)


def combined(sound: Floats, rng: np.random.Generator, reference: Reference = "window") -> Floats:
    """All at once: coloured, in a room, softer, in noise, and not where the window begins.

    Windows of the flow begin every half second, so that for every sound there is one that begins
    at most a quarter of a second before or after it.
    """
    wet = reverberant(tilted(np.pad(sound, (0, RATE_HZ)).astype(np.float64), rng), rng)
    heard = window(wet.astype(np.float32), int(rng.integers(-_COMBINED_SHIFT, _COMBINED_SHIFT + 1)))
    return noisy(softer(heard, rng, _COMBINED_GAIN_DB), rng, _COMBINED_SNR_DB, reference)


def tilted(signal: Signal, rng: np.random.Generator) -> Signal:
    """Another microphone: so many dB more, or less, with every decade of frequency."""
    frequency = np.maximum(np.fft.rfftfreq(len(signal), 1.0 / RATE_HZ), 50.0)
    gain_db = rng.normal(0.0, _TILT_SD_DB) * np.log10(frequency / 1_000.0)
    spectrum = np.fft.rfft(signal) * 10.0 ** (gain_db / 20.0)
    return np.asarray(np.fft.irfft(spectrum, len(signal)))


def reverberant(signal: Signal, rng: np.random.Generator) -> Signal:
    """A room: noise that decays by 60 dB in 0.2 to 0.4 s, 9 to 18 dB below the direct sound."""
    length = int(rng.uniform(0.2, 0.4) * RATE_HZ)
    tail = rng.standard_normal(length) * 10.0 ** (-3.0 * np.arange(length) / length)
    size = 1 << (len(signal) + length).bit_length()
    wet = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(tail, size), size)[: len(signal)]
    mix = np.sqrt(np.mean(signal**2) / np.mean(wet**2)) * 10.0 ** (rng.uniform(-18, -9) / 20.0)
    return np.asarray(signal + mix * wet)


def _pink(rng: np.random.Generator, samples: int) -> Signal:
    frequency = np.maximum(np.fft.rfftfreq(samples, 1.0 / RATE_HZ), 20.0)
    spectrum = np.fft.rfft(rng.standard_normal(samples)) / np.sqrt(frequency)
    return np.asarray(np.fft.irfft(spectrum, samples))
