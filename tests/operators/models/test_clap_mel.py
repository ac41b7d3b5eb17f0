import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import ClapFeatureExtractor

from operators.models.clap_mel import ClapMel

RATE = 48_000


def extractor(
    truncation: str, padding: str = "repeatpad", max_length_s: int = 2
) -> ClapFeatureExtractor:
    return ClapFeatureExtractor(max_length_s=max_length_s, truncation=truncation, padding=padding)


def wave(samples: int, seed: int = 1) -> NDArray[np.float32]:
    rng, time = np.random.default_rng(seed), np.arange(samples) / RATE
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 4_000) * time) * np.exp(-3 * time)
    return (tone + 1e-3 * rng.standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize("truncation", ["fusion", "rand_trunc"])
@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
@pytest.mark.parametrize("samples", [1, 12_345, 48_000, 95_999, 96_000])
def test_it_is_what_transformers_extractor_computes(
    truncation: str, padding: str, samples: int
) -> None:
    """To 0.01 dB; every picture of a fusion checkpoint is the same for a clip that is not long."""
    theirs = extractor(truncation, padding)
    windows = np.stack([wave(samples, seed) for seed in range(3)])
    expected = np.stack(theirs(list(windows), sampling_rate=RATE)["input_features"])
    found = ClapMel(theirs)(torch.from_numpy(windows)).numpy()
    assert found.shape == (3, 201, 64)
    assert np.abs(found[:, None] - expected).max() < 0.01


@pytest.mark.parametrize("samples", [480, 960, 1_440, 24_000, 36_000, 48_000, 44_160, 47_999])
def test_frames_that_repeat_are_computed_once_and_are_the_same(samples: int) -> None:
    theirs = extractor("rand_trunc", max_length_s=5)
    windows = wave(samples)[None]
    expected = theirs(list(windows), sampling_rate=RATE)["input_features"][0]
    found = ClapMel(theirs)(torch.from_numpy(windows)).numpy()
    assert found.shape == expected.shape == (1, 501, 64)
    assert np.abs(found - expected).max() < 0.01


def test_silence_is_the_floor() -> None:
    levels = ClapMel(extractor("rand_trunc"))(torch.zeros(1, RATE))
    assert torch.equal(levels, torch.full_like(levels, -100.0))


def test_whatever_decides_the_numbers_is_in_the_recipe() -> None:
    theirs = [
        extractor("fusion"),
        extractor("rand_trunc"),
        extractor("rand_trunc", "pad"),
        ClapFeatureExtractor(max_length_s=2, truncation="rand_trunc", frequency_min=50),
        ClapFeatureExtractor(max_length_s=3, truncation="rand_trunc"),
    ]
    assert len({ClapMel(one).recipe for one in theirs}) == len(theirs)
