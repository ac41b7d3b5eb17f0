import threading

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators.models import compute
from operators.models.accelerator import Processor, Step
from operators.models.compute import (
    CHUNK,
    Placement,
    Runner,
    choose_device,
    choose_dtype,
    machine_of,
    place,
    set_threads,
)
from operators.models.protocol import ModelConfig, ModelConfigError, WindowsError

CPU = torch.device("cpu")


def head(windows: Tensor) -> Tensor:
    assert 0 < len(windows) <= CHUNK
    assert torch.is_inference_mode_enabled()
    return windows[:, :3]


def embedded(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    placement = Placement(torch.device("cpu"), torch.float32)
    return Runner(head, placement, dimension=3, rate_hz=44_100, least_samples=4)(windows)


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_batch_of_any_size_goes_through_in_order(count: int) -> None:
    windows = np.arange(count * 5, dtype=np.float32).reshape(count, 5)
    found = embedded(windows)
    assert found.dtype == np.float32
    assert np.array_equal(found, windows[:, :3])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_unusable_window_gives_nan_and_leaves_its_companions_alone(bad: float) -> None:
    windows = np.ones((10, 5), dtype=np.float32)
    windows[4, 2] = bad
    found = embedded(windows)
    assert np.isnan(found[4]).all()
    assert (np.delete(found, 4, axis=0) == 1.0).all()
    assert windows[4, 2] == bad or np.isnan(bad)


def test_read_only_windows_are_taken_and_not_written_to() -> None:
    windows = np.full((2, 5), np.nan, dtype=np.float32)
    windows.flags.writeable = False
    assert np.isnan(embedded(windows)).all()


def test_windows_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(WindowsError, match=r"shape \(5,\): give \(windows, samples\)"):
        embedded(np.ones(5, dtype=np.float32))
    with pytest.raises(WindowsError, match="3 samples: this model needs 4 or more"):
        embedded(np.ones((1, 3), dtype=np.float32))


def test_the_arithmetic_is_what_was_asked_for_or_what_the_processor_does_natively() -> None:
    assert choose_dtype("float32", CPU) is torch.float32
    assert choose_dtype("bfloat16", CPU) is torch.bfloat16
    able = torch.cpu.get_capabilities()
    native = able.get("avx512_bf16", False) or able.get("amx_bf16", False)
    assert choose_dtype("auto", CPU) is (torch.bfloat16 if native else torch.float32)


def test_threads_are_set_for_the_process() -> None:
    before = torch.get_num_threads()
    try:
        set_threads(2)
        assert torch.get_num_threads() == 2
        set_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        set_threads(before)


COMPILED = Placement(CPU, torch.float32, compiled=True)


class Net:
    """A toy network that says what it was given, and a compiler that changes nothing."""

    def __init__(self) -> None:
        self.given: list[tuple[int, ...]] = []
        self.compiled = 0

    def vectors(self, windows: Tensor) -> Tensor:
        self.given.append(tuple(windows.shape))
        return torch.stack([windows.mean(1), windows.amax(1), windows.std(1)], dim=1).double()

    def compile(self, step: Step) -> Step:
        self.compiled += 1
        return step

    def runner(self, placement: Placement) -> Runner:
        return Runner(self.vectors, placement, dimension=3, rate_hz=16_000, least_samples=4)


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    made = Net()
    monkeypatch.setattr(compute, "compile_step", made.compile)
    return made


def noise(count: int, samples: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(samples)
    return rng.standard_normal((count, samples)).astype(np.float32)


def test_a_processor_that_runs_uncompiled_prepares_nothing(net: Net) -> None:
    run = net.runner(Placement(CPU, torch.float32))
    run.warm_up(100)
    assert net.given == []
    run(noise(11, 100))
    assert net.given == [(8, 100), (3, 100)]


def test_the_first_call_prepares_the_length_and_rate_that_it_asks_for(net: Net) -> None:
    run = net.runner(COMPILED)
    windows = noise(3, 441)
    run(windows, 44_100)
    net.given.clear()
    found = run(windows, 44_100)
    assert net.given == 3 * [(1, 160)]
    assert net.compiled == 1
    plain = Net().runner(Placement(CPU, torch.float32))(windows, 44_100)
    assert np.allclose(found, plain, atol=1e-6)


def test_another_length_is_computed_in_chunks_unless_it_was_prepared_for(net: Net) -> None:
    run = net.runner(COMPILED)
    run(noise(1, 100))
    net.given.clear()
    run(noise(9, 60))
    assert net.given == [(8, 60), (1, 60)]
    run.warm_up(60)
    run.warm_up(60)
    assert net.compiled == 2
    net.given.clear()
    found = run(noise(9, 60))
    assert net.given == [(8, 60), (1, 60)]
    assert np.allclose(found, Net().runner(Placement(CPU, torch.float32))(noise(9, 60)), atol=1e-6)


def test_while_one_call_prepares_or_hangs_another_is_computed_in_chunks(net: Net) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(windows: Tensor) -> Tensor:
        if threading.current_thread() is first:
            entered.set()
            leave.wait()
        return net.vectors(windows)

    run = Runner(slow, COMPILED, dimension=3, rate_hz=16_000, least_samples=4)
    first = threading.Thread(target=run, args=(noise(1, 100),))
    first.start()
    entered.wait()
    try:
        assert np.allclose(run(noise(9, 100))[:, 0], noise(9, 100).mean(axis=1), atol=1e-6)
        assert net.given == [(8, 100), (1, 100)]
    finally:
        leave.set()
        first.join()


def test_windows_of_no_use_are_refused_before_anything_is_prepared(net: Net) -> None:
    run = net.runner(COMPILED)
    with pytest.raises(WindowsError, match="3 samples: this model needs 4 or more"):
        run(noise(1, 8), 44_100)
    with pytest.raises(WindowsError, match="3 samples"):
        run.warm_up(3)
    assert net.given == []


def test_rows_of_nan_and_no_rows_come_out_of_prepared_batches_too(net: Net) -> None:
    run = net.runner(COMPILED)
    windows = noise(5, 100)
    windows[3, 0] = np.nan
    found = run(windows)
    assert np.isnan(found[3]).all()
    assert np.isfinite(np.delete(found, 3, axis=0)).all()
    assert run(windows[:0]).shape == (0, 3)


def test_only_a_gpu_or_compiled_steps_need_batches_to_be_prepared() -> None:
    assert machine_of(Placement(CPU, torch.bfloat16)) is None
    assert isinstance(machine_of(COMPILED), Processor)


def test_a_device_that_is_not_here_is_refused_in_one_line() -> None:
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ModelConfigError, match=f"device = '{absent}': this machine shows"):
        choose_device(absent)
    with pytest.raises(ModelConfigError, match="float16' on the processor"):
        place(ModelConfig(device="cpu", dtype="float16"))


def test_a_placement_carries_whether_to_compile() -> None:
    before = torch.get_num_threads()
    placed = place(ModelConfig(device="cpu", compiled=True))
    set_threads(before)
    assert placed.compiled
    assert placed.device == CPU
    assert placed.dtype_name in {"float32", "bfloat16"}


class Cuda:
    """What torch says of a machine with two GPUs, where there is none to ask."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.native_bf16 = True
        self.free, self.total = 70 << 30, 80 << 30
        self.kept = 0
        self.bound: dict[str, float] = {}
        answers = {
            "is_available": lambda: True,
            "device_count": lambda: 2,
            "is_bf16_supported": lambda: self.native_bf16,
            "mem_get_info": lambda _device: (self.free - self.kept, self.total),
            "empty_cache": self.empty,
            "get_per_process_memory_fraction": lambda device: self.bound.get(str(device), 1.0),
            "set_per_process_memory_fraction": lambda share, device: self.bound.update(
                {str(device): share}
            ),
        }
        for name, answer in answers.items():
            monkeypatch.setattr(torch.cuda, name, answer)
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)

    def empty(self) -> None:
        self.kept = 0


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    return Cuda(monkeypatch)


def test_a_gpu_is_chosen_where_there_is_one_and_keeps_float32_and_headroom(cuda: Cuda) -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("cuda") == torch.device("cuda:0")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    placed = place(ModelConfig(threads=torch.get_num_threads()))
    assert (str(placed.device), placed.dtype) == ("cuda:0", torch.bfloat16)
    assert cuda.bound == {"cuda:0": 0.9}
    assert not torch.backends.cudnn.allow_tf32


def test_half_precision_on_a_gpu_is_what_it_computes_natively(cuda: Cuda) -> None:
    gpu = torch.device("cuda:0")
    assert choose_dtype("auto", gpu) is torch.bfloat16
    assert choose_dtype("float32", gpu) is torch.float32
    assert choose_dtype("float16", gpu) is torch.float16
    cuda.native_bf16 = False
    assert choose_dtype("auto", gpu) is torch.float16
    with pytest.raises(ModelConfigError, match="bfloat16' on this GPU: choose float16 or float32"):
        choose_dtype("bfloat16", gpu)


def test_a_gpu_whose_memory_others_have_taken_is_refused_at_once(cuda: Cuda) -> None:
    cuda.free = 4 << 30
    with pytest.raises(
        ModelConfigError, match=r"cuda:0 has 4\.0 of 80\.0 GB free, and 10% are to stay free: free"
    ):
        place(ModelConfig(threads=torch.get_num_threads()))


def test_the_tightest_headroom_asked_for_holds_for_the_whole_process(cuda: Cuda) -> None:
    threads = torch.get_num_threads()
    for device, headroom in (("cuda:0", 0.1), ("cuda:0", 0.3), ("cuda:0", 0.2), ("cuda:1", 0.1)):
        place(ModelConfig(threads=threads, device=device, headroom=headroom))
    assert cuda.bound == {"cuda:0": 0.7, "cuda:1": 0.9}


def test_what_the_allocator_keeps_of_another_model_is_free_memory(cuda: Cuda) -> None:
    cuda.kept = 66 << 30
    place(ModelConfig(threads=torch.get_num_threads()))
    assert cuda.kept == 0
