"""Prepared batches on the processor, which is all of them but the recording of a GPU."""

import logging
import threading
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor

from operators.models.accelerator import Processor, Step
from operators.models.buckets import GPU, Buckets
from operators.models.compiling import probe
from operators.models.prepared import Prepared, Shape
from operators.models.protocol import ModelConfigError

SAMPLES, DIMENSION = 64, 6
SHAPE = Shape(SAMPLES, DIMENSION, headroom=0.1, least_cosine=0.99999)
SMALL = Buckets((1, 2, 4), slack=0.5)
MIX = torch.from_numpy(probe(SAMPLES, DIMENSION))


def step(windows: Tensor) -> Tensor:
    assert torch.is_inference_mode_enabled()
    return torch.tanh(windows @ MIX)


class Device(Processor):
    """A device with memory of its own, of which there is only so much, and a recorder."""

    name = "cuda:0"

    def __init__(self, most: int = 1_000, reserved: int = 0) -> None:
        self.most, self.reserved, self.kept = most, reserved, 0
        self.recorded_sizes: list[int] = []
        self.used: list[int] = []
        self.released = 0
        self.turns = 0

    def beside(self, host: Tensor) -> Tensor:
        if len(host) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        self.used.append(len(host))
        return torch.zeros_like(host)

    def turn(self) -> AbstractContextManager[None]:
        self.turns += 1
        return nullcontext()

    def recorded(self, step: Step, given: Tensor) -> Step:
        self.recorded_sizes.append(len(given))
        memory = step(given)  # where a recording leaves its result, every time

        def replay(_given: Tensor) -> Tensor:
            return memory.copy_(step(given))

        return replay

    def crowded(self, headroom: float) -> bool:
        return headroom > 0.0 and self.used[-1] > self.most - self.reserved - self.kept

    def release(self) -> None:
        self.released += 1
        self.kept = 0


def prepared(
    machine: Processor | None = None,
    buckets: Buckets = SMALL,
    compiler: object = None,
) -> Prepared:
    return Prepared(
        step,
        machine or Processor(),
        SHAPE,
        buckets=buckets,
        compiler=compiler,  # type: ignore[arg-type]  # tests hand over what fails
        name="toy",
    )


def plain(windows: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(step(torch.from_numpy(windows)))


@pytest.mark.parametrize("machine", [Processor(), Device()])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 11])
def test_a_batch_of_any_size_gives_the_rows_of_the_plain_step(
    machine: Processor, count: int
) -> None:
    windows = probe(count, SAMPLES)
    found = prepared(machine)(windows)
    assert found is not None
    assert found.shape == (count, DIMENSION)
    assert found.dtype == np.float32
    assert np.allclose(found, plain(windows), atol=1e-6)


def test_rows_of_one_call_survive_the_next() -> None:
    ready = prepared(Device())
    first = ready(probe(3, SAMPLES))
    assert first is not None
    kept = first.copy()
    ready(10.0 * probe(4, SAMPLES))
    assert np.array_equal(first, kept)


def test_padding_is_silence_and_not_what_the_last_call_left() -> None:
    seen: list[Tensor] = []

    def watching(windows: Tensor) -> Tensor:
        seen.append(windows.clone())
        return step(windows)

    ready = Prepared(watching, Processor(), SHAPE, buckets=SMALL, compiler=None, name="toy")
    ready(probe(4, SAMPLES))
    ready(probe(3, SAMPLES))
    assert len(seen[-1]) == 4
    assert not seen[-1][3].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_unusable_window_gives_nan_and_its_companions_stay(bad: float) -> None:
    windows = probe(3, SAMPLES)
    windows[1, 5] = bad
    found = prepared()(windows)
    assert found is not None
    assert np.isnan(found[1]).all()
    assert np.allclose(found[[0, 2]], plain(windows[[0, 2]]), atol=1e-6)


def test_a_call_that_finds_the_buffers_taken_is_told_so_at_once() -> None:
    entered, leave = threading.Event(), threading.Event()
    hanging = False

    def slow(windows: Tensor) -> Tensor:
        if hanging:
            entered.set()
            leave.wait()
        return step(windows)

    ready = Prepared(slow, Processor(), SHAPE, buckets=SMALL, compiler=None, name="toy")
    hanging = True
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(ready(probe(2, SAMPLES))))
    thread.start()
    entered.wait()
    assert ready(probe(1, SAMPLES)) is None
    leave.set()
    thread.join()
    assert np.allclose(found[0], plain(probe(2, SAMPLES)), atol=1e-6)  # type: ignore[arg-type]
    assert ready(probe(1, SAMPLES)) is not None


def test_a_step_that_raises_gives_the_buffers_back() -> None:
    failing = False

    def fragile(windows: Tensor) -> Tensor:
        if failing:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return step(windows)

    ready = Prepared(fragile, Processor(), SHAPE, buckets=SMALL, compiler=None, name="toy")
    failing = True
    with pytest.raises(RuntimeError, match="illegal memory access"):
        ready(probe(1, SAMPLES))
    failing = False
    assert ready(probe(1, SAMPLES)) is not None


def test_every_size_has_run_before_the_first_call() -> None:
    sizes: list[int] = []

    def counting(windows: Tensor) -> Tensor:
        sizes.append(len(windows))
        return step(windows)

    Prepared(counting, Processor(), SHAPE, buckets=GPU, compiler=None, name="toy")
    assert sizes == sorted(GPU.sizes, reverse=True)


@pytest.mark.parametrize("device", [Device(most=2), Device(most=4, reserved=2)])
def test_sizes_that_do_not_fit_or_take_the_headroom_are_left_out_and_said(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    ready = prepared(device)
    assert ready.sizes == (1, 2)
    assert device.released == 2
    (line,) = caplog.messages
    assert line == (
        "model 'toy' computes at most 2 windows at once: more do not fit into the memory of cuda:0"
        " with 10% of it left free"
    )
    found = ready(probe(5, SAMPLES))
    assert found is not None
    assert np.allclose(found, plain(probe(5, SAMPLES)), atol=1e-6)


def test_memory_that_is_only_kept_for_models_before_this_one_is_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = Device(most=4)
    device.kept = 3
    assert prepared(device).sizes == SMALL.sizes
    assert not caplog.messages


def test_a_model_that_does_not_fit_at_all_is_refused_in_one_line() -> None:
    with pytest.raises(ModelConfigError, match="'toy' does not fit into the memory of cuda:0 with"):
        prepared(Device(most=0))


def test_other_errors_while_preparing_are_not_taken_for_want_of_memory() -> None:
    def broken(windows: Tensor) -> Tensor:
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        Prepared(broken, Processor(), SHAPE, buckets=SMALL, compiler=None, name="toy")


def test_a_compiled_step_that_computes_the_same_is_recorded_and_serves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device, calls = Device(), 0

    def compiler(plain_step: Step) -> Step:
        def compiled(windows: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return plain_step(windows) * 1.0

        return compiled

    ready = prepared(device, compiler=compiler)
    assert device.recorded_sizes == [4, 2, 1]
    assert device.released == 1 + len(SMALL.sizes)
    before = calls
    found = ready(probe(3, SAMPLES))
    assert found is not None
    assert calls == before + 1
    assert np.allclose(found, plain(probe(3, SAMPLES)), atol=1e-6)
    assert not caplog.messages


def refusing(_step: Step) -> Step:
    raise RuntimeError("no C++ compiler\nfound on this machine")


def wrong(_step: Step) -> Step:
    return lambda windows: torch.roll(step(windows), 1, dims=1)


def nothing(_step: Step) -> Step:
    return lambda windows: step(windows) * torch.nan


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        (refusing, "RuntimeError: no C++ compiler found on this machine"),
        (wrong, "UnlikeError: compiled, batches of 4 compute something else"),
        (nothing, "UnlikeError: compiled, batches of 4 compute something else (cosine nan"),
    ],
)
def test_a_step_that_fails_to_compile_or_computes_otherwise_runs_uncompiled_and_says_so(
    compiler: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    ready = prepared(Device(), compiler=compiler)
    (line,) = caplog.messages
    assert line.startswith(f"model 'toy' runs uncompiled on cuda:0: {reason}")
    assert "\n" not in line
    found = ready(probe(3, SAMPLES))
    assert found is not None
    assert np.allclose(found, plain(probe(3, SAMPLES)), atol=1e-6)
