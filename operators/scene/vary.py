"""One occurrence of a sound: played a little faster, brighter, longer, in a room.

Speed is exact band-limited resampling by Fourier transform (n samples become round(n / speed));
colour is applied to the same spectrum. Tempo keeps the pitch: overlap-add of frames that continue
each other (WSOLA: Verhelst and Roelands, ICASSP 1993), used by the harder presets only.
"""

import numpy as np

from operators.records import ANALYSIS_RATE_HZ, Floats
from operators.scene.plan import Variation
from operators.scene.presets import Preset
from operators.scene.sounds.shaping import Signal, axis, ring

_PAD = 2_048
_FRAME, _SEARCH = 1_024, 256
_LOW_HZ, _HIGH_HZ = 50.0, 16_000.0


def vary(samples: Floats, variation: Variation, room: Signal, preset: Preset) -> Signal:
    """Applies a variation, except for its gain, which belongs to the mix.

    Args:
        samples: (n,) the sound.
        variation: of this occurrence.
        room: (m,) impulse response of the tail; empty for no room.
        preset: says how loud the room may be.

    Returns:
        (k,) float64; the sound still starts at sample 0.
    """
    signal = samples.astype(np.float64)
    if variation.tempo != 1.0:
        signal = stretch(signal, variation.tempo)
    signal = resample(signal, variation.speed, variation.tilt_db)
    if len(room):
        signal = _reverberate(signal, room * variation.distance * 10 ** (preset.reverb_db / 20))
    return signal


def resample(signal: Signal, speed: float, tilt_db: float = 0.0) -> Signal:
    """Plays ``signal`` at ``speed``, tilted by ``-tilt_db`` at 50 Hz to ``+tilt_db`` at 16 kHz."""
    count = _smooth_size(len(signal) + _PAD)
    target = round(count / speed)
    spectrum = np.fft.rfft(signal, count)
    hz = np.clip(np.fft.rfftfreq(count, 1 / ANALYSIS_RATE_HZ), _LOW_HZ, _HIGH_HZ)
    middle = np.log2(hz / _LOW_HZ) / np.log2(_HIGH_HZ / _LOW_HZ)
    spectrum *= 10 ** (tilt_db * (2 * middle - 1) / 20)
    played = np.fft.irfft(spectrum, target) * (target / count)
    return np.asarray(played[: round(len(signal) / speed)])


def stretch(signal: Signal, tempo: float) -> Signal:
    """Plays ``signal`` at ``tempo`` with its pitch kept: (n,) becomes (round(n / tempo),).

    Every output frame is taken near its due place, there where it continues the previous one best.
    """
    half = _FRAME // 2
    window = np.hanning(_FRAME + 1)[:-1]
    count = round(len(signal) / tempo)
    padded = np.pad(signal, (half + _SEARCH, 2 * _FRAME + _SEARCH))
    total = np.zeros((count // half + 2) * half + _FRAME)
    place = 0
    for number in range(count // half + 2):
        due = min(round(number * half * tempo), len(signal) + half)
        if number:
            wanted = padded[place + half : place + half + _FRAME]
            likeness = np.correlate(padded[due : due + 2 * _SEARCH + _FRAME], wanted, "valid")
            due += int(np.argmax(likeness)) - _SEARCH
        place = due + _SEARCH
        total[number * half : number * half + _FRAME] += window * padded[place : place + _FRAME]
    return total[half : half + count]


def room_tail(rng: np.random.Generator, preset: Preset) -> Signal:
    """Diffuse tail of a room: noise that dies away, unit energy; empty where there is no room."""
    if preset.reverb_s <= 0:
        return np.zeros(0)
    time = axis(preset.reverb_s)
    tail = rng.standard_normal(len(time)) * ring(time - 0.008, preset.reverb_s)
    return np.asarray(tail / np.sqrt(np.sum(tail * tail)))


def _reverberate(signal: Signal, tail: Signal) -> Signal:
    count = _smooth_size(len(signal) + len(tail))
    wet = np.fft.irfft(np.fft.rfft(signal, count) * np.fft.rfft(tail, count), count)
    wet[: len(signal)] += signal
    return np.asarray(wet[: len(signal) + len(tail)])


def _smooth_size(count: int) -> int:
    """Next multiple of 1,024: few large prime factors, so that transforms stay quick."""
    return -(-count // 1_024) * 1_024
