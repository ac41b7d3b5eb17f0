import numpy as np
import pytest
import soxr
import torch

from operators.models.hearing import LEAST_S, Hearing
from operators.models.protocol import WindowsError

CPU = torch.device("cpu")


def test_a_clip_at_the_models_rate_is_handed_on_as_it_is() -> None:
    clip = np.linspace(-1, 1, 16_000, dtype=np.float32)
    heard = Hearing(16_000, 30.0, CPU)(clip)
    assert heard.shape == (1, 16_000)
    assert np.array_equal(heard[0].numpy(), clip)


def test_other_rates_are_converted_one_after_another() -> None:
    hearing = Hearing(16_000, 30.0, CPU)
    for rate_hz in (44_100, 8_000, 44_100):
        time = np.arange(rate_hz) / rate_hz
        clip = (np.sin(2 * np.pi * 700 * time) * np.sin(np.pi * time) ** 2).astype(np.float32)
        heard = hearing(clip, rate_hz)[0].numpy()
        assert np.abs(heard - soxr.resample(clip, rate_hz, 16_000)).max() < 1e-3


def test_only_the_start_of_a_long_clip_is_heard() -> None:
    clip = np.arange(48_000, dtype=np.float32)
    heard = Hearing(16_000, 0.5, CPU)
    assert np.array_equal(heard(clip)[0].numpy(), clip[:8_000])
    assert heard(clip, 48_000).shape == (1, 8_000)


def test_a_short_clip_is_followed_by_silence() -> None:
    heard = Hearing(16_000, 30.0, CPU)(np.ones(3, np.float32))[0]
    assert len(heard) == round(LEAST_S * 16_000)
    assert heard.nonzero().flatten().tolist() == [0, 1, 2]


def test_the_callers_clip_is_left_alone() -> None:
    clip = np.ones(1_600, np.float32)
    Hearing(16_000, 30.0, CPU)(clip).zero_()
    assert clip.all()


def test_beyond_what_is_heard_nothing_can_be_wrong() -> None:
    clip = np.ones(16_000, np.float32)
    clip[12_000] = np.nan
    assert torch.isfinite(Hearing(16_000, 0.5, CPU)(clip)).all()
    with pytest.raises(WindowsError, match="NaN or infinity"):
        Hearing(16_000, 1.0, CPU)(clip)
