"""How a clip is cut for search."""

import numpy as np
import pytest

from flows.search import cut
from operators.records import ANALYSIS_RATE_HZ

RATE = ANALYSIS_RATE_HZ


def burst(duration_s: float, at_s: float, length_s: float, gain: float = 0.5) -> np.ndarray:
    samples = np.zeros(round(duration_s * RATE), np.float32)
    begin, end = round(at_s * RATE), round((at_s + length_s) * RATE)
    samples[begin:end] = gain * np.sin(np.arange(end - begin) * 0.2)
    return samples


def test_the_first_window_begins_at_the_onset_not_at_the_silence_before_it() -> None:
    windows = cut(burst(2.0, 0.7, 0.5), 1.0)
    first_loud = int(np.argmax(np.abs(windows[0]) > 0.1))
    assert first_loud < 0.01 * RATE


def test_a_clip_shorter_than_a_window_is_padded() -> None:
    windows = cut(burst(0.2, 0.0, 0.2), 1.0)
    assert windows.shape == (1, RATE)
    assert not windows[0, round(0.2 * RATE) :].any()


def test_a_long_clip_gives_a_bounded_number_of_windows() -> None:
    assert cut(burst(30.0, 0.0, 30.0), 1.0).shape == (8, RATE)


def test_a_rest_shorter_than_half_a_window_is_left_out() -> None:
    assert len(cut(burst(2.3, 0.0, 2.3), 1.0)) == 2


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), np.zeros(3, np.float32)])
def test_silence_gives_nothing(samples: np.ndarray) -> None:
    assert cut(samples, 1.0).shape == (0, RATE)
