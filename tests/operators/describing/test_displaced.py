from hypothesis import given
from hypothesis import strategies as st

from operators.describing.displaced import Displaced
from operators.records import Occurrence
from tests.operators.describing.conftest import occurrence


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy"), st.booleans())))
def test_the_order_is_that_of_giving_way_and_streams_are_wanted_by_whoever_is_left(
    told: list[tuple[str, str, bool]],
) -> None:
    displaced = Displaced(3)
    expected: dict[str, Occurrence] = {}
    for k, (pattern, stream, comes) in enumerate(told):
        expected.pop(pattern, None)
        if comes:
            expected[pattern] = at = occurrence(pattern, float(k), stream=stream)
            displaced.add(at)
        else:
            displaced.remove(pattern)
    left = list(expected.values())
    assert list(displaced) == left
    assert (displaced.oldest, displaced.newest) == ((left[0], left[-1]) if left else (None, None))
    assert displaced.overflows == (len(left) > 3)
    for stream in "xy":
        assert displaced.wants(stream) == any(at.stream == stream for at in left)
