import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from operators.models import Model
from operators.models.logmel import modulation_spectrum

SPACE = "logmel-708cf336-176"


def chirp() -> NDArray[np.float32]:
    time = np.arange(44_100) / 44_100
    wave = np.sin(2 * np.pi * (200.0 * time + 4_000.0 * time**2)) * np.exp(-3.0 * time)
    return (0.3 * wave).astype(np.float32)[None]


def test_the_space_and_its_vectors_stay_what_they_are(models: dict[str, Model]) -> None:
    """Vectors of different days must compare: whoever changes these numbers changes the space."""
    assert models["logmel"].space == SPACE
    found = models["logmel"].embed(chirp())[0]
    assert found[[0, 1, 40, 79]] == pytest.approx(TIMBRE, abs=2e-4)
    assert found[[80, 100, 140, 175]] == pytest.approx(MODULATION, abs=2e-4)


def test_timbre_weighs_twice_as_much_as_modulation(models: dict[str, Model]) -> None:
    found = models["logmel"].embed(chirp())[0]
    assert np.linalg.norm(found[:80]) == pytest.approx(2 * np.linalg.norm(found[80:]), rel=1e-4)


@pytest.mark.parametrize("rate_hz", [2.0, 5.0, 12.0])
def test_the_modulation_spectrum_peaks_at_the_rate_of_a_tremolo(rate_hz: float) -> None:
    time = torch.arange(44) * 1024 / 44_100
    levels = torch.zeros(1, 44, 64)
    levels[0, :, 24:32] = 10.0 * torch.sin(2 * torch.pi * rate_hz * time)[:, None]
    found = modulation_spectrum(levels).reshape(12, 8)
    centres_hz = (torch.arange(12) * 2 + 1.5) * 44_100 / 1024 / 64
    assert not found[:, [0, 1, 2, 4, 5, 6, 7]].any()
    assert abs(float(centres_hz[found[:, 3].argmax()]) - rate_hz) < 0.7


def test_steady_levels_have_no_modulation() -> None:
    assert not modulation_spectrum(torch.full((1, 44, 64), 30.0)).any()


TIMBRE = [-0.07638, -0.06334, -0.06957, 0.10506]
MODULATION = [-0.01073, 0.05393, -0.03485, -0.04392]
