from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from operators.models.compiling import UnlikeError, compare, compile_step, least_cosine, probe


def test_rows_that_point_the_same_way_are_taken() -> None:
    rows = probe(4, 64)
    compare(rows, 2.0 * rows, 0.99999)


@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_one_row_that_differs_or_says_nothing_is_enough_to_refuse(bad: float) -> None:
    rows = probe(4, 64)
    other = rows.copy()
    other[2] = bad
    with pytest.raises(UnlikeError, match="batches of 4 compute something else"):
        compare(other, rows, 0.999)


def test_float32_must_agree_more_closely_than_half_precision() -> None:
    assert least_cosine(torch.float32) > least_cosine(torch.bfloat16)
    assert least_cosine(torch.bfloat16) == least_cosine(torch.float16)


def test_probes_are_sound_that_differs_from_row_to_row_and_is_always_the_same() -> None:
    windows = probe(8, 1_000)
    assert windows.shape == (8, 1_000)
    assert windows.dtype == np.float32
    assert np.isfinite(windows).all()
    assert len({row.tobytes() for row in windows}) == 8
    assert np.array_equal(windows, probe(8, 1_000))


def step(windows: Tensor) -> Tensor:
    scaled: Tensor = torch.log1p(windows.square()) @ torch.ones(64, 4)
    return scaled


def test_a_compiled_step_computes_the_same_in_whichever_thread_and_is_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    windows, compiled = torch.from_numpy(probe(3, 64)), compile_step(step)

    def serve() -> None:
        with torch.inference_mode():
            assert torch.allclose(compiled(windows), step(windows), atol=1e-6)

    serve()
    made = counters["stats"]["unique_graphs"]
    assert list(tmp_path.rglob("*.cpp")), "nothing was compiled"
    with ThreadPoolExecutor(1) as lane:
        lane.submit(serve).result()
    assert counters["stats"]["unique_graphs"] == made
