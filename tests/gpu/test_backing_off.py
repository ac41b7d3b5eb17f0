"""A lane whose GPU runs out of memory; run with ``pytest -m gpu tests/gpu``."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from operators.inference import Inference, InferenceConfig
from operators.models import configure, load
from operators.models.compiling import probe
from operators.records import ANALYSIS_RATE_HZ, Embedding, Window
from tests.plugins.folders import save_tiny

pytestmark = pytest.mark.gpu

DEVICE = "cuda:0"
ROOM = 128 << 20
"""Enough for the activations of a few windows of this network, not for those of 64."""


@pytest.fixture
def bound() -> Iterator[None]:
    """What the allocator may take is set anew by the test, and afterwards as models set it."""
    yield
    torch.cuda.set_per_process_memory_fraction(0.9, DEVICE)


def window(index: int) -> Window:
    samples = probe(64, ANALYSIS_RATE_HZ)[index]
    return Window(
        stream="a",
        index=index * ANALYSIS_RATE_HZ // 2,
        start_ns=index * 500_000_000,
        samples=samples,
        duration_s=1.0,
        onset=False,
        rms_db=-30.0,
        gate="open",
    )


def test_batches_are_halved_until_they_fit_and_every_window_is_embedded(
    tmp_path: Path, bound: None
) -> None:
    folder = save_tiny("wav2vec2", tmp_path / "wide", conv_dim=(512,) * 7)
    model = load("wav2vec2", configure("wav2vec2", weights=folder, device=DEVICE, dtype="bfloat16"))
    windows = probe(64, ANALYSIS_RATE_HZ)
    expected = model.embed(windows, ANALYSIS_RATE_HZ)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction(
        (torch.cuda.memory_reserved(DEVICE) + ROOM) / total, DEVICE
    )
    lane = Inference(model, InferenceConfig(capacity=64, max_batch=64))
    lane.submit([window(index) for index in range(64)])
    found = [item for item in lane.drain(60.0) if isinstance(item, Embedding)]
    assert len(found) == 64
    assert lane.batch_cap < 64
    rows = np.stack([item.vector for item in found])
    assert float((rows * expected).sum(axis=1).min()) >= 0.999
