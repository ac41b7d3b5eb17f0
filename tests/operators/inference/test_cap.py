"""The batch cap on its own."""

from hypothesis import given
from hypothesis import strategies as st

from operators.inference.cap import BatchCap


def test_each_step_up_that_fails_doubles_the_patience_before_the_next() -> None:
    cap = BatchCap(8, growth_calls=2)
    cap.out_of_memory(8)
    assert cap.size == 4
    full_calls = []
    for _ in range(3):
        calls = 0
        while cap.size == 4:
            cap.fitted(4)
            calls += 1
        full_calls.append(calls)
        cap.out_of_memory(5)
        assert cap.size == 4  # what fitted is remembered: not halved to 2
    assert full_calls == [2, 4, 8]


def test_where_something_else_takes_the_memory_a_size_that_fitted_is_halved_too() -> None:
    cap = BatchCap(8, growth_calls=2)
    cap.fitted(8)
    cap.out_of_memory(8)
    assert cap.size == 4


def test_small_batches_say_nothing_about_room_for_larger_ones() -> None:
    cap = BatchCap(8, growth_calls=1)
    cap.out_of_memory(8)
    for _ in range(50):
        cap.fitted(3)
    assert cap.size == 4


@given(
    st.integers(1, 20),
    st.integers(1, 3),
    st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0)), max_size=60),
)
def test_the_cap_stays_in_its_bounds_and_a_failed_batch_is_never_tried_at_that_size_at_once(
    maximum: int, growth_calls: int, calls: list[tuple[bool, float]]
) -> None:
    cap = BatchCap(maximum, growth_calls=growth_calls)
    for fits, share in calls:
        batch = max(1, round(share * cap.size))
        if fits:
            cap.fitted(batch)
        elif batch > 1:
            cap.out_of_memory(batch)
            assert cap.size < batch
        assert 1 <= cap.size <= maximum


def test_the_cap_grows_to_the_maximum_once_memory_is_free_again() -> None:
    cap = BatchCap(6, growth_calls=3)
    cap.out_of_memory(6)
    for _ in range(200):
        cap.fitted(cap.size)
    assert cap.size == 6
