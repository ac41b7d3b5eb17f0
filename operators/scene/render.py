"""Audio of a plan: a bed of noise, and every occurrence laid over it at its level.

Levels follow the benchmark's definition: a sound's signal-to-noise ratio compares its loudest
250 ms with the bed, both after pre-emphasis (1 - 0.97 z^-1), so that rumble neither hides nor
helps.

Invariant: the result is float32, never beyond ``PEAK``, and depends on its arguments alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from operators.records import ANALYSIS_RATE_HZ, Floats
from operators.scene.plan import Plan
from operators.scene.presets import Preset
from operators.scene.sounds.cast import Sound
from operators.scene.sounds.shaping import Signal
from operators.scene.vary import room_tail, vary

PEAK = 0.8
PRE_EMPHASIS = 0.97
LOUDEST_S = 0.25
_BLOCK = 1 << 16


def levels(seed: int, sounds: Sequence[Sound], preset: Preset) -> dict[str, float]:
    """Signal-to-noise ratio in dB of every role at a gain of 0 dB."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 4])))
    return {sound.role: float(rng.uniform(*preset.snr_db)) for sound in sounds}


def render(
    seed: int,
    plan: Plan,
    sounds: Sequence[Sound],
    snr_db: Mapping[str, float],
    preset: Preset,
) -> Floats:
    """Mixes the scene.

    Args:
        seed: of the scene: bed and room are drawn from it.
        plan: what is heard when.
        sounds: every role of the plan.
        snr_db: level of every role at a gain of 0 dB.
        preset: room and bed.

    Returns:
        (duration * rate,) float32 with its peak at ``PEAK``.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 5])))
    mix = bed(rng, round(plan.duration_s * ANALYSIS_RATE_HZ), preset.ambiences)
    floor = rms(emphasised(mix[: 60 * ANALYSIS_RATE_HZ].astype(np.float64)))
    room = room_tail(rng, preset)
    by_role = {sound.role: sound for sound in sounds}
    for event in plan.events:
        signal = vary(by_role[event.role].samples, event.variation, room, preset)
        wanted_db = snr_db[event.role] + event.variation.gain_db
        signal *= floor * 10 ** (wanted_db / 20) / loudest(signal)
        at = round(event.start_s * ANALYSIS_RATE_HZ)
        signal = signal[: len(mix) - at]
        mix[at : at + len(signal)] += signal.astype(np.float32)
    mix *= np.float32(PEAK / max(float(np.max(mix)), -float(np.min(mix))))
    mix.flags.writeable = False
    return mix


def bed(rng: np.random.Generator, count: int, ambiences: int) -> Floats:
    """Pink noise of unit level, mixed with shaped noises where the preset asks for ambience.

    Args:
        rng: source of the noise.
        count: samples.
        ambiences: noises of a random long-term spectrum, together as loud as the pink one.

    Returns:
        (count,) float32. Blocks with random phases are cross-faded at constant power, so memory
        does not grow with the duration.
    """
    hz = np.maximum(np.fft.rfftfreq(_BLOCK, 1 / ANALYSIS_RATE_HZ), 20.0)
    power = _unit(1 / hz)
    if ambiences:
        power += sum(_unit(_long_term(rng, hz)) for _ in range(ambiences)) / ambiences
    shape = np.sqrt(power / np.sum(power)).astype(np.float32) * np.float32(_BLOCK / 2)
    fade = np.sin(np.pi * (np.arange(_BLOCK, dtype=np.float32) + 0.5) / _BLOCK)
    half = _BLOCK // 2
    total = np.zeros((count // half + 3) * half, dtype=np.float32)
    for start in range(0, len(total) - half, half):
        noise = rng.standard_normal(2 * len(hz), dtype=np.float32).view(np.complex64)
        total[start : start + _BLOCK] += np.fft.irfft(noise * shape, _BLOCK) * fade
    return total[half : half + count]


def _unit(power: Signal) -> Signal:
    return np.asarray(power / np.sum(power))


def _long_term(rng: np.random.Generator, hz: Signal) -> Signal:
    """Spectrum of a place: pink, bent by up to 12 dB in each of about ten octaves."""
    octaves = np.linspace(np.log2(20.0), np.log2(ANALYSIS_RATE_HZ / 2), 11)
    bend_db = np.interp(np.log2(hz), octaves, rng.uniform(-12, 12, len(octaves)))
    return np.asarray(10 ** (bend_db / 10) / hz)


def emphasised(signal: Signal) -> Signal:
    """Pre-emphasis: what the ear and the detectors mind of a spectrum that falls with frequency."""
    return np.asarray(np.append(signal[:1], signal[1:] - PRE_EMPHASIS * signal[:-1]))


def loudest(signal: Signal) -> float:
    """RMS of the loudest 250 ms of the pre-emphasised signal; shorter ones count as padded."""
    width = round(LOUDEST_S * ANALYSIS_RATE_HZ)
    energy = np.cumsum(np.append(0.0, emphasised(signal) ** 2))
    if len(energy) <= width:
        return float(np.sqrt(energy[-1] / width))
    return float(np.sqrt(np.max(energy[width:] - energy[:-width]) / width))


def rms(signal: Signal) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(signal * signal)))
