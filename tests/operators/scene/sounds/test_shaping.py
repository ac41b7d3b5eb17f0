import numpy as np
import pytest

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.sounds.shaping import (
    HIGHEST_HZ,
    axis,
    coloured,
    contour,
    harmonics,
    ring,
    semitones,
    swell,
)


def spectrum(signal):
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    return np.fft.rfftfreq(len(signal), 1 / ANALYSIS_RATE_HZ), power / power.sum()


def test_ringing_has_lost_sixty_decibels_after_its_time_and_is_silent_before_its_start():
    decay = ring(np.array([-0.1, 0.0, 0.5]), 0.5)
    assert decay[0] == 0
    assert decay[1] == 1
    assert 20 * np.log10(decay[2]) == pytest.approx(-60, abs=0.01)


def test_a_swell_starts_and_ends_near_silence_and_is_full_between():
    shape = swell(axis(1.0), 0.1, 0.2)
    assert shape[0] == 0
    assert shape[-1] < 1e-6
    assert np.all(shape[4500:35000] == 1)


def test_a_contour_passes_through_its_values_without_overshoot():
    values = np.array([2.0, 5.0, 3.0])
    curve = contour(axis(1.0), values)
    assert curve[0] == 2
    assert curve[-1] == pytest.approx(3)
    assert curve[len(curve) // 2] == pytest.approx(5, abs=1e-3)
    assert curve.min() >= 2
    assert curve.max() <= 5


def test_harmonics_lie_at_multiples_and_never_above_the_highest_frequency():
    hz, power = spectrum(harmonics(np.full(22_050, 3_000.0), np.ones(20)))
    peaks = {round(float(f), -2) for f in hz[power > 0.01]}
    assert peaks == {3_000, 6_000, 9_000, 12_000, 15_000}
    assert power[hz > HIGHEST_HZ].sum() < 1e-6


def test_coloured_noise_follows_its_moving_band():
    centre = np.geomspace(500, 4_000, 44_100)
    noise = coloured(np.random.default_rng(1), centre, 0.2)
    for part, expected in ((noise[:4_410], 550), (noise[-4_410:], 3_600)):
        hz, power = spectrum(part)
        assert np.exp((np.log(hz[1:]) * power[1:]).sum()) == pytest.approx(expected, rel=0.15)
    assert np.std(noise) == pytest.approx(1)


def test_twelve_semitones_double_a_pitch():
    assert semitones(440, np.array([0.0, 12.0, -12.0])) == pytest.approx([440, 880, 220])
