import numpy as np
import pytest
import torch
from transformers import ASTFeatureExtractor

from operators.models.gama.front_end import Levels, longest_samples
from operators.models.gama.shape import Shape

RATE = 16_000


def clips(samples: int) -> torch.Tensor:
    rng = np.random.default_rng(5)
    time = np.arange(samples) / RATE
    rows = [0.3 * np.sin(2 * np.pi * 440 * time) + 0.1, 0.05 * rng.standard_normal(samples)]
    return torch.tensor(np.stack(rows), dtype=torch.float32)


def test_a_full_window_is_a_little_over_ten_seconds() -> None:
    assert longest_samples(Shape()) == 164_080


@pytest.mark.filterwarnings("ignore:At least one mel filter")
def test_levels_are_those_of_the_reference_extractor_on_centred_clips() -> None:
    waveforms = clips(3 * RATE)
    found = Levels(Shape(), torch.device("cpu"))(waveforms)
    # It divides by twice its deviation.
    reference = ASTFeatureExtractor(max_length=1024, mean=-5.081, std=4.4849 / 2)
    centred = waveforms - waveforms.mean(dim=1, keepdim=True)
    expected = reference(list(centred.numpy()), sampling_rate=RATE, return_tensors="pt")
    assert found.shape == (2, 1024, 128)
    assert (found - expected["input_values"]).abs().max() < 5e-3


def test_what_is_lacking_is_padded_with_level_nought() -> None:
    found = Levels(Shape(frames=64), torch.device("cpu"))(clips(RATE // 10))
    padding = torch.tensor(5.081 / 4.4849)
    assert torch.allclose(found[:, 8:], padding)
    assert ((found[:, :8] - padding).abs() > 1e-3).all()


def test_what_is_too_long_is_cut_off_and_changes_nothing() -> None:
    levels = Levels(Shape(frames=32), torch.device("cpu"))
    waveforms = clips(2 * RATE)
    kept = waveforms[:, : longest_samples(Shape(frames=32))]
    assert torch.equal(levels(waveforms), levels(kept))
