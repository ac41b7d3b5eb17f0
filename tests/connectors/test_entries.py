from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from connectors.entries import Storable, decode, encode
from operators.records import Centroid, Embedding, Novel, Occurrence, Pattern, Relation
from operators.remarks import Description, Tag
from operators.revision import Revision

text = st.text(max_size=20)
number = st.floats(allow_nan=False, width=64)
whole = st.integers(-(2**62), 2**62)
vector = arrays(np.float32, st.integers(1, 16), elements=st.floats(width=32))
maybe = st.none() | number
records = st.one_of(
    st.builds(
        Embedding, text, whole, whole, number, st.booleans(), number, text, vector, whole, text
    ),
    st.builds(Occurrence, text, text, number, number, whole, number, number, st.booleans(), text),
    st.builds(
        Revision,
        *(text, number, whole, text, text),
        st.sampled_from(["merge", "split", "hindsight"]),
        *(number, text),
    ),
    st.builds(
        Pattern,
        *(text, text, text, whole, number, number, whole, whole, number),
        st.sampled_from(["born", "confirmed", "merged", "split", "retired"]),
        *(text, st.binary(max_size=50), number, text),
    ),
    st.builds(
        Relation,
        *(text, st.sampled_from(["sequential", "periodic"]), text, text, whole),
        *(maybe, maybe, maybe, maybe, maybe, maybe, number, number),
        *(st.booleans(), st.booleans(), text),
    ),
    st.builds(Centroid, text, text, text, vector, whole, st.booleans()),
    st.builds(Description, text, text, text, text, number, number, whole, text),
    st.builds(Tag, text, whole, whole, number, text, number),
)


@given(records)
def test_a_record_survives_encoding_field_by_field(record: Storable) -> None:
    again = decode(encode(record))
    assert type(again) is type(record)
    for field in fields(record):
        old, new = getattr(record, field.name), getattr(again, field.name)
        if isinstance(old, np.ndarray):
            assert new.dtype == np.float32
            assert not new.flags.writeable
            np.testing.assert_array_equal(new, old)
        else:
            assert new == old
            assert type(new) is type(old)


def test_numpy_scalars_become_plain_numbers() -> None:
    record = Occurrence("s", "p", np.float32(0.5), 1.0, np.int64(7), 1.0, 2.0, np.bool_(True))  # type: ignore[arg-type]
    again = decode(encode(record))
    assert again == Occurrence("s", "p", 0.5, 1.0, 7, 1.0, 2.0, True)


def test_a_record_that_no_store_keeps_is_refused() -> None:
    with pytest.raises(TypeError, match="Novel"):
        encode(Novel("s", 0.0, 1.0))  # type: ignore[arg-type]


def test_a_value_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        encode(Occurrence("s", object(), 0.0, 1.0, 0, 1.0, 2.0, False))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x03rest",
        b"\x00",
        b"\x02\xff\xff\xff\xff{",
        b"\x01\xff\xff\xff\xff{",
        b'\x01\x04\x00\x00\x00["x"',
        b"\x01",
    ],
)
def test_bytes_of_another_version_or_origin_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="entry"):
        decode(payload)


def test_entries_of_the_version_before_are_still_read() -> None:
    fields = b'["centroid","mic","pa","logmel-0a1b2c3d-2",3]'
    raw = np.array([0.5, -1.0], "<f4").tobytes()
    again = decode(b"\x01" + len(fields).to_bytes(4, "little") + fields + raw)
    assert isinstance(again, Centroid)
    assert (again.stream, again.pattern, again.space) == ("mic", "pa", "logmel-0a1b2c3d-2")
    assert (again.count, again.withdrawn) == (3, False)
    np.testing.assert_array_equal(again.vector, [0.5, -1.0])
    occurrence = Occurrence("s", "p", 0.5, 1.0, 7, 1.0, 2.0, True)
    assert decode(b"\x01" + encode(occurrence)[1:]) == occurrence


def test_an_entry_says_its_version() -> None:
    record = Centroid("mic", "pa", "m-0-2", np.ones(2, np.float32), 3, withdrawn=True)
    payload = encode(record)
    assert payload[0] == 2
    with pytest.raises(ValueError, match="cannot be read"):
        decode(b"\x01" + payload[1:])
