import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import ASTFeatureExtractor

from operators.models import fbank
from operators.models.fbank import FLOOR, Fbank, kaldi_mel_bank

RATE = fbank.RATE_HZ
TIME = np.arange(RATE) / RATE


def noise(level: float, samples: int = RATE) -> NDArray[np.float64]:
    return level * np.random.default_rng(5).standard_normal(samples)


SOUNDS = {
    "noise": noise(0.1),
    "faint noise": noise(1e-4),
    "a tone in the noise of 16 bits": 0.5 * np.sin(2 * np.pi * 440 * TIME) + noise(1e-5),
    "a chirp off centre": 0.3 + 0.4 * np.sin(2 * np.pi * (100 + 3_000 * TIME) * TIME),
    "silence": np.zeros(RATE),
    "full scale clicks": (np.arange(RATE) % 997 == 0) * 1.0,
}


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize("sound", sorted(SOUNDS))
@pytest.mark.parametrize("bins", [40, 128])
def test_it_is_what_transformers_extractor_computes(sound: str, bins: int) -> None:
    """In natural logarithms: to 0.001 within 60 dB of the loudest cell, to 0.03 (0.13 dB) below."""
    wave = SOUNDS[sound].astype(np.float32)
    extractor = ASTFeatureExtractor(do_normalize=False, max_length=98, num_mel_bins=bins)
    expected = extractor(wave, sampling_rate=RATE)["input_values"][0]
    found = Fbank(bins)(torch.from_numpy(wave)[None])[0].numpy()
    assert found.shape == expected.shape
    away = np.abs(found - expected)
    assert away.max() < 0.03
    assert away[expected > expected.max() - np.log(1e6)].max() < 0.001


@given(st.integers(0, 3_000))
def test_frames_are_counted_as_they_come_out(samples: int) -> None:
    count = fbank.frames(samples)
    if count == 0:
        assert samples < fbank.FRAME_SAMPLES
    else:
        assert Fbank(8)(torch.zeros(1, samples)).shape == (1, count, 8)


def test_a_batch_is_its_windows() -> None:
    waves = torch.from_numpy(np.stack([sound[:8_000] for sound in SOUNDS.values()])).float()
    compute = Fbank()
    together = compute(waves)
    alone = torch.cat([compute(wave[None]) for wave in waves])
    assert (together - alone).abs().max() < 1e-4


def test_a_constant_is_silence() -> None:
    constant = Fbank()(torch.full((1, RATE), 0.25))
    assert torch.allclose(constant, torch.tensor(FLOOR).log())


def test_the_triangles_reach_from_20_hz_to_half_the_rate() -> None:
    bank = kaldi_mel_bank(23)
    assert bank.shape == (257, 23)
    assert bank[0].sum() == 0
    assert bank[-1].sum() == pytest.approx(0, abs=1e-12)
    assert np.all(np.diff(bank.argmax(axis=0)) > 0)
    first, last = bank[:, 0].argmax(), bank[:, -1].argmax()
    assert np.allclose(bank[first + 1 : last].sum(axis=1), 1.0), "neighbours add up"
