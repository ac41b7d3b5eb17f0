"""What only a CUDA device can show; run with ``pytest -m gpu tests/gpu``."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from operators.models import Model, configure, load
from operators.models.accelerator import Gpu, settle
from operators.models.buckets import GPU
from operators.models.compiling import least_cosine, probe
from operators.models.compute import Placement, Runner
from operators.models.prepared import Prepared, Shape
from operators.models.resampling import Resampler
from tests.plugins.folders import TinyModels, save_tiny

pytestmark = pytest.mark.gpu

RATE = 44_100
DEVICE = "cuda:0"
KINDS = pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "data2vec", "ast", "clap"])
BASE: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "conv_dim": (512,) * 7,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
}


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("wav2vec2", tmp_path_factory.mktemp("base") / "wav2vec2", **BASE)


def opened(folder: Path, name: str = "wav2vec2", **options: object) -> Model:
    return load(name, configure(name, weights=folder, **options))


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float((a * b).sum(axis=1).min())


def test_staging_is_pinned_and_what_was_queued_has_ended_beyond_a_turn() -> None:
    machine = Gpu(torch.device(DEVICE))
    host = machine.host(8, 1_000_000)
    assert host.is_pinned()
    there = machine.beside(host)
    host.fill_(3.0)
    back = machine.host(8, 1_000_000)
    with machine.turn():
        there.copy_(host, non_blocking=True)
        back.copy_(there * 2.0, non_blocking=True)
    assert bool((back == 6.0).all())


def test_resampling_is_float32_on_the_gpu_too() -> None:
    windows = torch.from_numpy(probe(4, RATE))
    here = Resampler(RATE, 16_000, torch.device("cpu"))(windows)
    there = Resampler(RATE, 16_000, torch.device(DEVICE))(windows.to(DEVICE)).cpu()
    assert float((here - there).abs().max()) < 1e-5 * float(here.abs().max())


@KINDS
def test_the_gpu_computes_in_float32_what_the_processor_does(
    kind: str, tiny_models: TinyModels
) -> None:
    windows = probe(11, RATE)
    found = [
        opened(tiny_models(kind), kind, device=device, dtype="float32").embed(windows, RATE)
        for device in ("cpu", DEVICE)
    ]
    assert cosine(*found) >= 0.9999


@KINDS
def test_compiled_and_recorded_it_computes_the_same_in_every_size_and_thread(
    kind: str, tiny_models: TinyModels, caplog: pytest.LogCaptureFixture
) -> None:
    plain = opened(tiny_models(kind), kind, device=DEVICE, dtype="float32")
    compiled = opened(tiny_models(kind), kind, device=DEVICE, dtype="float32", compiled=True)
    compiled.embed(probe(1, RATE), RATE)
    assert not caplog.messages
    with ThreadPoolExecutor(1) as lane:
        for count in (1, 3, 33, 150):
            windows = probe(count, RATE)
            found = lane.submit(compiled.embed, windows, RATE).result()
            assert cosine(found, plain.embed(windows, RATE)) >= 0.9999


def test_a_vector_does_not_depend_on_its_company_in_half_precision(base_folder: Path) -> None:
    model, windows = opened(base_folder, device=DEVICE), probe(20, RATE)
    together = model.embed(windows, RATE)
    alone = np.concatenate([model.embed(window[None], RATE) for window in windows])
    assert cosine(together, alone) >= 0.999


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_of_a_base_network_is_close_to_float32(
    base_folder: Path, dtype: str
) -> None:
    windows = probe(32, RATE)
    exact = opened(base_folder, device=DEVICE, dtype="float32").embed(windows, RATE)
    half = opened(base_folder, device=DEVICE, dtype=dtype).embed(windows, RATE)
    assert cosine(half, exact) >= least_cosine(torch.bfloat16)


def test_sizes_that_would_take_the_headroom_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = torch.device(DEVICE)
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    # Each window of this step takes a 64th of what is free.
    elements = free // 64 // 4

    def step(windows: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(windows), elements, device=device)[:, :4] + windows[:, :4]

    headroom = 0.25 * free / total
    ready = Prepared(
        step,
        Gpu(device),
        Shape(64, 4, headroom=headroom, least_cosine=0.999),
        buckets=GPU,
        compiler=None,
        name="hungry",
    )
    assert 1 in ready.sizes
    assert 128 not in ready.sizes
    assert "'hungry' computes at most" in caplog.text
    found = ready(probe(100, 64))
    assert found is not None
    assert np.array_equal(found, probe(100, 64)[:, :4])


@pytest.fixture
def bound() -> Iterator[None]:
    """What the allocator may take is set anew by the test."""
    before = torch.cuda.get_per_process_memory_fraction(DEVICE)
    yield
    torch.cuda.set_per_process_memory_fraction(before, DEVICE)


def test_what_is_only_kept_for_one_model_is_free_memory_for_the_next(
    bound: None, caplog: pytest.LogCaptureFixture
) -> None:
    device = torch.device(DEVICE)
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    headroom = 0.5 * free / total

    def keep() -> None:
        """Has the allocator keep so much that the headroom is not free any more."""
        torch.empty(int(0.6 * free), dtype=torch.uint8, device=device)
        assert torch.cuda.mem_get_info(device)[0] < headroom * total

    keep()
    settle(device, headroom)
    settle(device, headroom / 2)
    assert torch.cuda.get_per_process_memory_fraction(device) == pytest.approx(1.0 - headroom)
    torch.cuda.set_per_process_memory_fraction(1.0, device)
    keep()
    ready = Prepared(
        lambda windows: windows[:, :4],
        Gpu(device),
        Shape(64, 4, headroom=headroom, least_cosine=0.999),
        buckets=GPU,
        compiler=None,
        name="modest",
    )
    assert ready.sizes == GPU.sizes
    assert not caplog.messages


def test_out_of_memory_in_a_call_is_said_as_such_and_the_next_call_serves() -> None:
    device = torch.device(DEVICE)
    greedy = False

    def vectors(windows: torch.Tensor) -> torch.Tensor:
        if greedy:
            torch.empty(1 << 50, dtype=torch.uint8, device=device)
        return windows[:, :3]

    run = Runner(
        vectors,
        Placement(device, torch.float32),
        dimension=3,
        rate_hz=RATE,
        least_samples=4,
    )
    windows = probe(5, 64)
    run(windows)
    greedy = True
    with pytest.raises(torch.OutOfMemoryError):
        run(windows)
    greedy = False
    assert np.array_equal(run(windows), windows[:, :3])
