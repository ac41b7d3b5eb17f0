"""Building blocks of synthesis: time axes, envelopes, phase, harmonics, noise with a moving colour.

Signals are float64 at ``ANALYSIS_RATE_HZ`` while they are being built. Everything is a pure
function of its arguments; randomness comes only from the generator handed in.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.records import ANALYSIS_RATE_HZ

Signal: TypeAlias = NDArray[np.float64]

HIGHEST_HZ = 16_000.0
"""Nothing is synthesised above: microphones and codecs rarely keep it."""
_FRAME = 1_024
_STEP = 256


def axis(duration_s: float) -> Signal:
    """Times in seconds of the samples of a sound of ``duration_s``; at least one sample."""
    return np.arange(max(1, round(duration_s * ANALYSIS_RATE_HZ))) / ANALYSIS_RATE_HZ


def ring(time_s: Signal, t60_s: float) -> Signal:
    """Exponential decay that has lost 60 dB after ``t60_s``; zero before time 0."""
    return np.where(time_s >= 0, np.exp(-6.908 * np.maximum(time_s, 0) / t60_s), 0.0)


def swell(time_s: Signal, attack_s: float, release_s: float) -> Signal:
    """Raised-cosine rise over ``attack_s`` and fall over the last ``release_s``, 1 between."""
    duration = time_s[-1] + 1 / ANALYSIS_RATE_HZ
    rise = np.clip(time_s / attack_s, 0, 1)
    fall = np.clip((duration - time_s) / release_s, 0, 1)
    return np.asarray((0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall)))


def contour(time_s: Signal, values: NDArray[np.float64]) -> Signal:
    """Smooth curve through ``values`` at even distances: cosine steps, no overshoot."""
    position = time_s / time_s[-1] * (len(values) - 1) if len(time_s) > 1 else time_s * 0
    left = np.minimum(position.astype(np.intp), len(values) - 2)
    ease = 0.5 - 0.5 * np.cos(np.pi * (position - left))
    return np.asarray(values[left] + (values[left + 1] - values[left]) * ease)


def turns(frequency_hz: Signal) -> Signal:
    """Phase in radians of an oscillator whose frequency changes from sample to sample."""
    return np.asarray(2 * np.pi * np.cumsum(frequency_hz) / ANALYSIS_RATE_HZ)


def harmonics(frequency_hz: Signal, amplitudes: NDArray[np.float64]) -> Signal:
    """Sum of harmonics of one gliding fundamental.

    Args:
        frequency_hz: (samples,) fundamental.
        amplitudes: (partials,) or (partials, samples), partial k at row k - 1.

    Returns:
        (samples,) signal; a partial is silent wherever it would pass ``HIGHEST_HZ``.
    """
    step = np.exp(1j * turns(frequency_hz))
    partial = np.ones_like(step)
    total = np.zeros(len(frequency_hz))
    for number, amplitude in enumerate(amplitudes, start=1):
        partial = partial * step
        total += amplitude * partial.imag * (frequency_hz * number < HIGHEST_HZ)
    return total


def coloured(rng: np.random.Generator, centre_hz: Signal, octaves: float) -> Signal:
    """Noise in one band that moves: Gaussian over log frequency, overlap-add of shaped frames.

    Args:
        rng: source of the noise.
        centre_hz: (samples,) centre of the band.
        octaves: its standard deviation in octaves.

    Returns:
        (samples,) noise of roughly unit level.
    """
    count = len(centre_hz)
    frames = count // _STEP + 5
    white = rng.standard_normal((frames - 1) * _STEP + _FRAME)
    window = np.sin(np.pi * (np.arange(_FRAME) + 0.5) / _FRAME)
    cut = np.lib.stride_tricks.sliding_window_view(white, _FRAME)[::_STEP] * window
    hz = np.maximum(np.fft.rfftfreq(_FRAME, 1 / ANALYSIS_RATE_HZ), 1.0)
    middle = np.clip(np.arange(frames) * _STEP - _FRAME // 2, 0, count - 1)
    away = np.log2(hz[None, :] / centre_hz[middle][:, None]) / octaves
    gain = np.exp(-0.5 * away * away) * (hz < HIGHEST_HZ)
    shaped = np.fft.irfft(np.fft.rfft(cut, axis=1) * gain, _FRAME, axis=1) * window
    total = np.zeros(len(white))
    for number in range(frames):
        total[number * _STEP : number * _STEP + _FRAME] += shaped[number]
    kept = total[_FRAME : _FRAME + count]
    return np.asarray(kept / max(float(np.std(kept)), 1e-12))


def semitones(pitch_hz: float, steps: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Pitch moved by (fractions of) semitones."""
    return np.asarray(pitch_hz * 2 ** (np.asarray(steps, dtype=np.float64) / 12))
