"""Raw PCM: every format to the last bit, however its bytes were cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.pcm import FORMATS, Unpacker
from operators.records import Floats


def joined(blocks: list[Floats], channels: int) -> Floats:
    return np.concatenate([np.empty((0, channels), np.float32), *blocks])


def unpacked(encoding: str, raw: bytes, channels: int = 1) -> list[float]:
    return [float(x) for x in joined(Unpacker(encoding, channels, 100).feed(raw), channels).flat]


@pytest.mark.parametrize(
    ("encoding", "raw", "expected"),
    [
        ("s16le", np.array([0, 1, -1, 32767, -32768], "<i2").tobytes(), 1 / 32768),
        ("s24le", b"\0\0\0\1\0\0\xff\xff\xff\xff\xff\x7f\0\0\x80", 1 / 8388608),
        ("s32le", np.array([0, 256, -256, 2**31 - 256, -(2**31)], "<i4").tobytes(), 1 / 8388608),
    ],
)
def test_integers_are_divided_by_half_their_range_exactly(
    encoding: str, raw: bytes, expected: float
) -> None:
    assert unpacked(encoding, raw) == [0.0, expected, -expected, 1.0 - expected, -1.0]


def test_floats_come_as_they_are_even_where_they_are_no_numbers() -> None:
    raw = np.array([0.25, -3.5, np.nan, np.inf], "<f4").tobytes()
    assert np.array_equal(unpacked("f32le", raw), [0.25, -3.5, np.nan, np.inf], equal_nan=True)


def test_channels_are_interleaved() -> None:
    (block,) = Unpacker("s16le", 2, 100).feed(np.array([1, 2, 3, 4], "<i2").tobytes())
    assert np.array_equal(block * 32768, [[1, 2], [3, 4]])


@given(
    st.sampled_from(sorted(FORMATS)),
    st.integers(1, 3),
    st.integers(1, 7),
    st.binary(max_size=200),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_samples_do_not_depend_on_how_the_bytes_were_cut(
    encoding: str, channels: int, most: int, raw: bytes, cuts: list[int]
) -> None:
    cuts = sorted(cuts)
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole, cut = Unpacker(encoding, channels, 1000), Unpacker(encoding, channels, most)
    blocks = [block for piece in pieces for block in cut.feed(piece)]
    expected = joined(whole.feed(raw), channels)
    assert joined(blocks, channels).tobytes() == expected.tobytes()
    assert all(1 <= len(block) <= most and not block.flags.writeable for block in blocks)
    assert cut.rest == whole.rest == len(raw) % cut.frame_bytes
    assert len(expected) == len(raw) // cut.frame_bytes
