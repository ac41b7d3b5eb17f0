import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.describing.ring import Ring, Rings, as_floats
from operators.records import ANALYSIS_RATE_HZ, Floats, Frame

RATE = ANALYSIS_RATE_HZ
FILL = round(0.05 * RATE)


def sound(samples: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)


def frame(index: int, samples: Floats, *, stream: str = "mic", last: bool = False) -> Frame:
    return Frame(stream, index, samples, 0, last)


@given(st.lists(st.integers(1, 700), min_size=1, max_size=20), st.integers(500, 3_000))
def test_what_is_cut_is_what_was_heard_however_it_came_in_frames(
    sizes: list[int], keep: int
) -> None:
    audio, ring, at = sound(sum(sizes)), Ring(), 0
    for size in sizes:
        ring.hear(frame(at, audio[at : at + size]), keep)
        at += size
    first = max(0, at - keep)
    found = ring.cut(first, at, 0)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(as_floats(found), audio[first:at], atol=1.01 / 32_768)
    before = ring.cut(max(0, at - keep - 700), at, 0)
    assert isinstance(before, np.ndarray) or before == "gone"
    assert ring.cut(first, at + 1, 0) == "early"


def test_no_more_is_kept_than_was_asked_for_and_a_frame() -> None:
    ring = Ring()
    for k in range(100):
        ring.hear(frame(k * 100, sound(100)), 1_000)
    assert isinstance(ring.cut(9_000, 10_000, 0), np.ndarray)
    assert ring.cut(8_899, 10_000, 0) == "gone"


def test_a_replayed_frame_is_cut_short() -> None:
    audio, ring = sound(3_000), Ring()
    ring.hear(frame(0, audio[:2_000]), 10_000)
    ring.hear(frame(1_000, audio[1_000:]), 10_000)
    ring.hear(frame(0, audio[:500]), 10_000)
    found = ring.cut(0, 3_000, 0)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(as_floats(found), audio, atol=1.01 / 32_768)


def test_a_short_gap_is_silence_and_a_long_one_forgets_what_was_before() -> None:
    ring = Ring()
    ring.hear(frame(0, sound(1_000)), 10**6)
    ring.hear(frame(1_000 + FILL, sound(1_000)), 10**6)
    found = ring.cut(1_000, 1_000 + FILL, 0)
    assert isinstance(found, np.ndarray)
    assert not found.any()
    begin = 3_001 + 2 * FILL
    ring.hear(frame(begin, sound(1_000)), 10**6)
    assert ring.cut(0, 1_000, 0) == "gone"
    padded = ring.cut(begin, begin + 500, 100)
    assert isinstance(padded, np.ndarray)
    assert padded.size == 600


def test_samples_that_are_no_numbers_are_silence_and_loud_ones_are_limited() -> None:
    ring = Ring()
    samples = np.array([np.nan, np.inf, -np.inf, 2.0, -2.0, 0.5], np.float32)
    ring.hear(frame(0, samples), 100)
    found = ring.cut(0, 6, 0)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [0, 0, 0, 32_767, -32_768, 16_384]


def test_sixteen_bits_survive_as_floats_exactly() -> None:
    every = np.arange(-32_768, 32_768).astype(np.int16)
    ring = Ring()
    ring.hear(frame(0, as_floats(every)), 10**6)
    found = ring.cut(0, every.size, 0)
    np.testing.assert_array_equal(found, every)


def test_a_cut_at_the_ends_of_a_stream_has_less_around_it() -> None:
    ring = Ring()
    ring.hear(frame(0, sound(1_000)), 10_000)
    begin = ring.cut(10, 500, 100)
    assert isinstance(begin, np.ndarray)
    assert begin.size == 600
    assert ring.cut(500, 950, 100) == "early"
    ring.hear(frame(1_000, sound(0), last=True), 10_000)
    end = ring.cut(500, 950, 100)
    assert isinstance(end, np.ndarray)
    assert end.size == 600
    assert ring.cut(1_200, 1_300, 100) == "gone"


def test_a_stream_that_is_taken_up_again_is_not_whole_any_more() -> None:
    ring = Ring()
    ring.hear(frame(0, sound(1_000), last=True), 10_000)
    ring.hear(frame(1_000, sound(10)), 10_000)
    assert ring.cut(500, 950, 100) == "early"


def test_few_streams_keep_more_and_many_keep_what_was_asked_for() -> None:
    few, many = Rings(1.0, streams=8), Rings(1.0, streams=8)
    for k in range(60):
        few.hear(frame(k * 4_410, sound(4_410)))
        for name in "abcdefgh":
            many.hear(frame(k * 4_410, sound(4_410), stream=name))
    end = 60 * 4_410
    assert isinstance(few.cut("mic", end - 4 * RATE, end, 0), np.ndarray)
    assert few.cut("mic", end - 5 * RATE, end, 0) == "gone"
    assert isinstance(many.cut("a", end - RATE, end, 0), np.ndarray)
    assert many.cut("a", end - 2 * RATE, end, 0) == "gone"


def test_of_too_many_streams_the_one_that_was_silent_longest_goes() -> None:
    rings = Rings(1.0, streams=2)
    assert rings.hear(frame(0, sound(100), stream="a")) == ""
    assert rings.hear(frame(0, sound(100), stream="b")) == ""
    assert rings.hear(frame(100, sound(100), stream="a")) == ""
    assert rings.hear(frame(0, sound(100), stream="c")) == "b"
    assert rings.cut("b", 0, 100, 0) == "gone"
    assert isinstance(rings.cut("a", 0, 200, 0), np.ndarray)
    rings.forget("a")
    assert rings.cut("a", 0, 200, 0) == "gone"
    rings.forget("nobody")


@pytest.mark.parametrize("index", [0, 7_000])
def test_a_stream_may_begin_anywhere(index: int) -> None:
    ring = Ring()
    ring.hear(frame(index, sound(1_000)), 500)
    found = ring.cut(index, index + 1_000, 200)
    assert found == "early"
    assert isinstance(ring.cut(index, index + 800, 200), np.ndarray)
