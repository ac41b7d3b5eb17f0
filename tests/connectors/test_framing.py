import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.framing import HEADER_BYTES, MARKER, frame, scan

payloads = st.lists(st.binary(min_size=1, max_size=80), max_size=8)


@given(payloads)
def test_what_is_framed_is_scanned_back_byte_for_byte(written: list[bytes]) -> None:
    assert [s.payload for s in scan(b"".join(map(frame, written)))] == written


@given(payloads, st.binary(max_size=40), st.binary(min_size=1, max_size=80))
def test_a_damaged_stretch_is_stepped_over_and_accounted_for(
    before: list[bytes], damage: bytes, after: bytes
) -> None:
    whole = b"".join(map(frame, before))
    stretches = list(scan(whole + damage + frame(after)))
    assert [s.payload for s in stretches if s.payload is not None] == [*before, after]
    damaged = [(s.start, s.end) for s in stretches if s.payload is None]
    assert damaged == ([(len(whole), len(whole) + len(damage))] if damage else [])


@given(payloads, st.binary(min_size=1, max_size=80), st.data())
def test_a_torn_tail_is_not_yielded(written: list[bytes], last: bytes, data: st.DataObject) -> None:
    whole, tail = b"".join(map(frame, written)), frame(last)
    kept = data.draw(st.integers(0, len(tail) - 1))
    stretches = list(scan(whole + tail[:kept]))
    assert [s.payload for s in stretches] == written
    assert max((s.end for s in stretches), default=0) == len(whole)


@given(st.binary(min_size=1, max_size=80), st.data())
def test_any_flipped_bit_is_noticed(payload: bytes, data: st.DataObject) -> None:
    damaged = bytearray(frame(payload))
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    assert payload not in [s.payload for s in scan(bytes(damaged))]


def test_a_marker_inside_a_payload_does_not_confuse_the_scan() -> None:
    payload = MARKER + frame(b"inner") + MARKER
    assert [s.payload for s in scan(frame(payload))] == [payload]


def test_empty_payloads_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to"):
        frame(b"")


def test_a_header_alone_is_no_frame() -> None:
    assert list(scan(frame(b"x")[:HEADER_BYTES])) == []
