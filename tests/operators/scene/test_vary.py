import numpy as np
import pytest

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.plan import Variation
from operators.scene.presets import EASY, HARD
from operators.scene.vary import resample, room_tail, stretch, vary


def tone(hz, duration_s=1.0):
    return np.sin(2 * np.pi * hz * np.arange(round(duration_s * ANALYSIS_RATE_HZ)) / 44_100)


def pitch_hz(signal):
    size = 8 * len(signal)
    return np.argmax(np.abs(np.fft.rfft(signal * np.hanning(len(signal)), size))) * 44_100 / size


def rms(signal):
    return np.sqrt(np.mean(signal**2))


def test_an_unvaried_sound_comes_out_as_it_was():
    sound = np.random.default_rng(0).standard_normal(5_000).astype(np.float32)
    played = vary(sound, Variation(), np.zeros(0), EASY)
    assert played == pytest.approx(sound, abs=1e-6)


@pytest.mark.parametrize("speed", [0.97, 1.01, 1.03])
def test_speed_moves_pitch_and_length_together_and_keeps_the_level(speed):
    played = resample(tone(1_000), speed)
    assert len(played) == round(44_100 / speed)
    assert pitch_hz(played) == pytest.approx(1_000 * speed, rel=1e-3)
    assert rms(played[2_000:-2_000]) == pytest.approx(rms(tone(1_000)), rel=1e-2)


@pytest.mark.parametrize("tempo", [0.94, 1.06])
def test_tempo_moves_the_length_and_keeps_pitch_and_level(tempo):
    played = stretch(tone(1_000), tempo)
    assert len(played) == round(44_100 / tempo)
    assert pitch_hz(played) == pytest.approx(1_000, rel=1e-3)
    assert rms(played[2_000:-2_000]) == pytest.approx(rms(tone(1_000)), rel=0.05)


def test_tempo_leaves_the_middle_of_a_sound_in_the_middle():
    sound = np.zeros(44_100)
    sound[22_050:22_060] = 1
    assert np.argmax(np.abs(stretch(sound, 1.05))) == pytest.approx(21_000, abs=300)


def test_a_sound_shorter_than_a_frame_can_be_stretched():
    assert len(stretch(tone(1_000, 0.01), 1.05)) == 420


def test_tilt_raises_one_end_and_lowers_the_other():
    low, high = tone(60), tone(15_000)
    change_db = [
        20 * np.log10(rms(resample(s, 1.0, 5.0)[4_000:-4_000]) / rms(s)) for s in (low, high)
    ]
    assert change_db[0] == pytest.approx(-4.7, abs=0.2)
    assert change_db[1] == pytest.approx(4.9, abs=0.2)


def test_there_is_no_room_where_the_preset_has_none():
    assert len(room_tail(np.random.default_rng(0), EASY)) == 0


def test_a_room_adds_a_tail_that_dies_away_and_leaves_the_direct_sound():
    room = room_tail(np.random.default_rng(0), HARD)
    click = np.zeros(1_000, dtype=np.float32)
    click[0] = 1
    wet = vary(click, Variation(distance=1.0), room, HARD)
    assert len(wet) == 1_000 + len(room)
    assert wet[0] == pytest.approx(1, abs=1e-6)
    assert 10 * np.log10(np.sum(wet[1:] ** 2)) == pytest.approx(HARD.reverb_db, abs=0.1)
    assert rms(wet[22_050:26_460]) < 0.1 * rms(wet[400:4_810])


def test_a_full_variation_keeps_the_expected_length():
    sound = tone(500).astype(np.float32)
    played = vary(sound, Variation(speed=1.02, tempo=0.95), np.zeros(0), HARD)
    assert len(played) == pytest.approx(44_100 / 1.02 / 0.95, abs=2)
