import numpy as np
import pytest

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.sounds import pitched


def centroid_hz(signal):
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    hz = np.fft.rfftfreq(len(signal), 1 / ANALYSIS_RATE_HZ)
    return float((hz * power).sum() / power.sum())


def test_a_sweep_moves_through_more_than_half_an_octave():
    sound = pitched.sweep(np.random.default_rng(2), 0.5, 3_000)
    tenth = len(sound) // 10
    start, end = centroid_hz(sound[tenth : 2 * tenth]), centroid_hz(sound[-2 * tenth : -tenth])
    assert abs(np.log2(start / end)) > 0.5


def test_a_call_holds_two_notes_at_least_a_minor_third_apart():
    sound = pitched.call(np.random.default_rng(4), 1.0, 800)
    peaks = []
    for part in (sound[4_410:13_230], sound[-13_230:-4_410]):
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 8 * len(part)))
        peaks.append(np.argmax(spectrum) * ANALYSIS_RATE_HZ / (8 * len(part)))
    assert abs(12 * np.log2(peaks[0] / peaks[1])) > 2.5


def test_a_trill_pulses_at_a_steady_rate():
    sound = pitched.trill(np.random.default_rng(4), 1.2, 2_000)
    envelope = np.mean(sound[: len(sound) // 147 * 147].reshape(-1, 147) ** 2, axis=1)
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean(), 4_096))
    rate_hz = np.argmax(spectrum[40:]) + 40
    assert 13 <= rate_hz * (ANALYSIS_RATE_HZ / 147) / 4_096 <= 33


def test_a_chirp_has_gaps_between_its_syllables():
    sound = pitched.chirp(np.random.default_rng(7), 1.2, 3_000)
    assert np.mean(sound == 0) > 0.05


@pytest.mark.parametrize("make", [pitched.squeak, pitched.horn, pitched.buzz])
def test_two_voices_of_a_kind_differ_and_one_voice_does_not(make):
    one, again, other = (make(np.random.default_rng(seed), 0.5, 400) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.9
