import numpy as np
import pytest

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.sounds import struck


def strongest_hz(signal):
    size = 8 * len(signal)
    return np.argmax(np.abs(np.fft.rfft(signal, size))) * ANALYSIS_RATE_HZ / size


def level_db(signal):
    return 10 * np.log10(np.mean(signal**2))


@pytest.mark.parametrize("pitch_hz", [220, 440, 882])
def test_a_pluck_sounds_at_multiples_of_its_pitch_and_dies_away(pitch_hz):
    sound = struck.pluck(np.random.default_rng(3), 1.0, pitch_hz)
    string_hz = ANALYSIS_RATE_HZ / round(ANALYSIS_RATE_HZ / pitch_hz)
    multiple = strongest_hz(sound) / string_hz
    assert multiple == pytest.approx(round(multiple), abs=0.02)
    assert level_db(sound[-4_410:]) < level_db(sound[:4_410]) - 25


def test_the_high_harmonics_of_a_pluck_die_first():
    sound = struck.pluck(np.random.default_rng(3), 1.0, 300)
    early, late = (np.abs(np.fft.rfft(part)) ** 2 for part in (sound[:8_820], sound[-8_820:]))
    split = 8_820 * 2_000 // ANALYSIS_RATE_HZ
    assert late[split:].sum() / late.sum() < 0.1 * early[split:].sum() / early.sum()


def test_a_bell_is_inharmonic():
    sound = struck.bell(np.random.default_rng(1), 1.5, 700)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    peaks = np.flatnonzero(
        (power[1:-1] > power[:-2]) & (power[1:-1] > power[2:]) & (power[1:-1] > 0.003 * power.max())
    )
    ratios = (peaks + 1) * ANALYSIS_RATE_HZ / len(sound) / 700
    assert len(ratios) >= 4
    assert np.max(np.abs(ratios - np.round(ratios))) > 0.1


@pytest.mark.parametrize("make", [struck.knock, struck.drip, struck.ratchet])
def test_strokes_come_one_by_one(make):
    sound = make(np.random.default_rng(5), 0.9, 800)
    blocks = sound[: len(sound) // 441 * 441].reshape(-1, 441)
    loud = np.mean(blocks**2, axis=1)
    rises = np.flatnonzero((loud[1:] > 4 * loud[:-1]) & (loud[1:] > 0.02 * loud.max()))
    assert len(rises) >= 1
    assert loud[0] > 0.02 * loud.max()
