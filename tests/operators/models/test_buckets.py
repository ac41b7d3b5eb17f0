import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.models.buckets import GPU, MOST, PROCESSOR, Buckets, parts

SIZES = st.lists(st.integers(1, 200), min_size=1, max_size=MOST, unique=True).map(sorted)


@given(st.integers(0, 1_000), SIZES, st.floats(0.0, 1.0))
def test_parts_hold_every_window_once_and_in_order(
    count: int, sizes: list[int], slack: float
) -> None:
    cut = parts(count, sizes, slack)
    held = [window for part in cut for window in range(part.first, part.first + part.rows)]
    assert held == list(range(count))
    assert all(0 < part.rows <= part.bucket and part.bucket in sizes for part in cut)


@given(st.integers(0, 1_000), SIZES, st.floats(0.0, 1.0))
def test_only_the_last_part_is_padded(count: int, sizes: list[int], slack: float) -> None:
    assert all(part.rows == part.bucket for part in parts(count, sizes, slack)[:-1])


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [1]), (3, [4]), (5, [8]), (65, [128]), (128, [128]), (300, [128, 128, 64])],
)
def test_a_gpu_takes_what_is_left_in_one_padded_batch(count: int, expected: list[int]) -> None:
    assert [part.bucket for part in parts(count, GPU.sizes, GPU.slack)] == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [1]), (3, [1, 1, 1]), (5, [8]), (8, [8]), (17, [8, 8, 1])]
)
def test_a_processor_pads_only_what_is_nearly_full(count: int, expected: list[int]) -> None:
    cut = parts(count, PROCESSOR.sizes, PROCESSOR.slack)
    assert [part.bucket for part in cut] == expected


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ((), "1 to 8 positive"),
        ((0, 1), "1 to 8 positive"),
        (tuple(range(1, 10)), "1 to 8 positive"),
        ((2, 2), "larger than the one before"),
        ((4, 2), "larger than the one before"),
    ],
)
def test_sizes_that_cannot_be_prepared_are_refused(sizes: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Buckets(sizes, slack=0.0)
