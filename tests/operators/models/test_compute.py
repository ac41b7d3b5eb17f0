import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators.models.compute import CHUNK, Placement, Runner, choose_dtype, set_threads
from operators.models.protocol import WindowsError

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
