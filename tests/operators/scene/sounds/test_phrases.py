import numpy as np
import pytest

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.sounds import phrases

MAKERS = [phrases.melody, phrases.siren, phrases.motor, phrases.creak, phrases.babble]


def frames(signal, size=4_410):
    return np.abs(np.fft.rfft(signal[: len(signal) // size * size].reshape(-1, size), axis=1)) ** 2


@pytest.mark.parametrize("make", MAKERS)
def test_a_phrase_has_the_length_asked_for_and_is_finite(make):
    sound = make(np.random.default_rng(2), 2.5, 400)
    assert len(sound) == round(2.5 * ANALYSIS_RATE_HZ)
    assert np.all(np.isfinite(sound))


@pytest.mark.parametrize("make", MAKERS)
def test_a_phrase_changes_in_its_course(make):
    power = frames(make(np.random.default_rng(2), 3.0, 400))
    shape = np.log10(power + 1e-3 * power.max())
    likeness = np.corrcoef(shape)
    assert np.quantile(likeness[np.triu_indices(len(likeness), 1)], 0.1) < 0.9


def test_a_melody_plays_notes_of_its_scale():
    sound = phrases.melody(np.random.default_rng(8), 3.0, 500)
    size = 4_410
    peaks = [
        np.argmax(np.abs(np.fft.rfft(sound[at : at + size] * np.hanning(size), 8 * size))[:1_600])
        * ANALYSIS_RATE_HZ
        / (8 * size)
        for at in range(0, len(sound) - size, size)
    ]
    steps = 12 * np.log2(np.array(peaks) / 500)
    near = [np.min(np.abs(step - np.array([-5, -3, 0, 2, 4, 7, 9, 12]))) for step in steps]
    assert np.median(near) < 0.2
    assert len({round(float(step)) for step in steps}) >= 3
