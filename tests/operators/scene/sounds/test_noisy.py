import numpy as np
import pytest

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.sounds import noisy


def centroid_hz(signal):
    power = np.abs(np.fft.rfft(signal)) ** 2
    hz = np.fft.rfftfreq(len(signal), 1 / ANALYSIS_RATE_HZ)
    return float((hz * power).sum() / power.sum())


@pytest.mark.parametrize("make", [noisy.whoosh, noisy.hiss, noisy.rattle, noisy.scrape])
def test_a_higher_band_sounds_brighter(make):
    low, high = (make(np.random.default_rng(6), 0.8, pitch_hz) for pitch_hz in (1_000, 4_000))
    assert centroid_hz(high) > 1.7 * centroid_hz(low)


def test_a_whoosh_rises_and_falls_in_level():
    sound = noisy.whoosh(np.random.default_rng(1), 1.2, 1_500)
    level = np.mean(sound[: len(sound) // 12 * 12].reshape(12, -1) ** 2, axis=1)
    assert 1 <= np.argmax(level) <= 8
    assert level[-1] < 0.1 * level.max()


def test_noise_is_not_tonal():
    sound = noisy.hiss(np.random.default_rng(1), 1.0, 5_000)
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert power.max() < 0.02 * power.sum()
