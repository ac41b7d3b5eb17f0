import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c

from connectors.kafka.record import Record, Unreadable
from connectors.kafka.unpack import Leading, Unpacked

PLACE = TopicPartition("t", 0)
LIMIT = 1 << 20
CRC_AT, ATTRIBUTES_AT = 17, 21


def batch(*records: tuple, codec: int = 0, base: int = 0) -> bytearray:
    builder = MemoryRecordsBuilder(2, codec, 1 << 20)
    for index, (key, value, headers) in enumerate(records):
        builder.append(timestamp=1_000 + index, key=key, value=value, headers=headers)
    builder.close()
    data = bytearray(builder.buffer())
    struct.pack_into(">q", data, 0, base)
    return data


def signed(data: bytearray) -> bytearray:
    struct.pack_into(">I", data, CRC_AT, calc_crc32c(memoryview(bytes(data[ATTRIBUTES_AT:]))))
    return data


def read(data: bytes, offset: int = 0, limit: int = LIMIT) -> tuple[list, int]:
    part = Unpacked(limit, offset, PLACE, MemoryRecords(bytes(data)))
    return part.take(1_000_000), part.next_fetch_offset


def some(count: int, base: int = 0, codec: int = 0) -> bytearray:
    records = [(b"k", b"v%d" % index, [("a", b"1"), ("b", None)]) for index in range(count)]
    return batch(*records, base=base, codec=codec)


def test_records_are_read_as_they_were_written() -> None:
    (one, two), after = read(
        batch((b"k", b"v", [("a", b"1"), ("é", None)]), (None, None, []), base=7)
    )
    assert (one.offset, one.timestamp, one.key, one.value) == (7, 1_000, b"k", b"v")
    assert one.headers == [("a", b"1"), ("é", None)]
    assert (two.offset, two.timestamp, two.key, two.value) == (8, 1_001, None, None)
    assert after == 9


def test_compressed_records_are_read_within_the_limit_only() -> None:
    data = some(50, codec=1)
    assert [entry.offset for entry in read(data)[0]] == list(range(50))
    (bad,), after = read(data, limit=100)
    assert (bad.bad.reason, bad.offset, bad.last, after) == ("bomb", 0, 49, 50)


def test_reading_begins_in_the_middle_of_a_batch() -> None:
    assert [entry.offset for entry in read(some(5), offset=3)[0]] == [3, 4]


def test_a_batch_with_a_wrong_checksum_is_one_entry_and_reading_goes_on() -> None:
    middle = some(4, base=3)
    middle[-3] ^= 0xFF
    entries, after = read(some(3) + middle + some(2, base=7))
    assert [type(entry) for entry in entries] == [Record] * 3 + [Unreadable] + [Record] * 2
    bad = entries[3]
    assert (bad.bad.reason, bad.offset, bad.last, after) == ("crc", 3, 6, 9)
    assert bad.raw == bytes(middle)


def test_the_length_of_a_batch_that_contradicts_itself_is_not_believed() -> None:
    data = some(4)
    struct.pack_into(">i", data, 23, 1 << 30)
    (bad,), after = read(data)
    assert (bad.offset, bad.last, after) == (0, 0, 1)


def test_a_header_that_is_not_utf8_costs_one_record() -> None:
    data = batch((b"k", b"1", []), (b"k", b"2", [("name", b"x")]), (b"k", b"3", []))
    at = data.index(b"name")
    data[at : at + 4] = b"\xff\xfe\xfd\xfc"
    entries, after = read(signed(data))
    assert [getattr(entry, "value", None) for entry in entries] == [b"1", None, b"3"]
    assert (entries[1].bad.reason, entries[1].offset, entries[1].last) == ("corrupt", 1, 1)
    assert after == 3


def test_a_record_that_overruns_costs_the_rest_of_its_batch() -> None:
    data = some(3)
    data[61] = 0x7E
    entries, after = read(signed(data))
    assert [type(entry) for entry in entries] == [Unreadable]
    assert (entries[0].last, after) == (2, 3)


def test_a_million_headers_are_refused() -> None:
    entries, _ = read(batch((b"k", b"v", [("", None)] * 2_000), (b"k", b"v", [])))
    assert [type(entry) for entry in entries] == [Unreadable, Record]


def test_control_records_are_passed_over() -> None:
    data = some(2)
    struct.pack_into(">h", data, ATTRIBUTES_AT, 0x20)
    assert read(signed(data)) == ([], 2)


def test_the_time_of_the_broker_counts_where_the_topic_says_so() -> None:
    data = some(3)
    struct.pack_into(">h", data, ATTRIBUTES_AT, 0x08)
    assert {entry.timestamp for entry in read(signed(data))[0]} == {1_002}


def test_the_old_message_format_is_refused_by_name() -> None:
    builder = MemoryRecordsBuilder(1, 0, 1 << 20)
    builder.append(timestamp=1, key=b"k", value=b"v")
    builder.close()
    (bad,), after = read(builder.buffer())
    assert (bad.bad.reason, after) == ("format", 1)


def test_a_batch_too_short_to_be_one_moves_on() -> None:
    (bad,), after = read(struct.pack(">qi", 5, 1) + b"\0", offset=5)
    assert (bad.bad.reason, after) == ("corrupt", 6)


@given(st.binary(max_size=400), st.integers(0, 4), st.integers(1, 5))
def test_any_bytes_in_a_batch_give_entries_in_ascending_order(
    junk: bytes, codec: int, count: int
) -> None:
    data = some(count)[:61] + junk
    struct.pack_into(">i", data, 8, len(data) - 12)
    struct.pack_into(">h", data, ATTRIBUTES_AT, codec)
    entries, after = read(signed(data) + some(2, base=10))
    offsets = [entry.offset for entry in entries]
    assert offsets == sorted(set(offsets))
    assert offsets[-2:] == [10, 11]
    assert after == 12


@given(st.integers(0, 200), st.integers(0, 255))
def test_one_flipped_byte_never_ends_the_reading(at: int, to: int) -> None:
    data = some(5)
    at = 12 + at % (len(data) - 12)
    data[at] = to
    entries, _ = read(data + some(2, base=5))
    assert [entry.value for entry in entries[-2:]] == [b"v0", b"v1"]


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["v", "codec", "rate", "seq", "other", "x" * 70]),
        st.none() | st.sampled_from([b"", b"1", b"16000", b"y" * 200]) | st.binary(max_size=3),
    ),
    max_size=6,
)


@given(st.lists(HEADERS, min_size=1, max_size=12), st.integers(0, 3))
def test_headers_are_read_as_written_whatever_those_of_the_records_before(
    written: list[list[tuple[str, bytes | None]]], same: int
) -> None:
    leading = Leading()
    first = written[0][:same]
    sent = [first + headers for headers in written]
    for half in (sent, sent[::-1]):
        data = batch(*((b"k", b"v", headers) for headers in half))
        part = Unpacked(LIMIT, 0, PLACE, MemoryRecords(bytes(data)), leading=leading)
        assert [entry.headers for entry in part.take(1_000)] == half


def test_headers_that_end_too_soon_are_not_taken_from_the_record_before() -> None:
    same = [("v", b"1"), ("codec", b"pcm_s16le"), ("rate", b"16000")]
    records = [(b"k", b"%d" % index, [*same, ("seq", b"%d" % index)]) for index in range(4)]
    data = batch(*records)
    at = data.rindex(b"\x08\x02v")  # the last record says four headers: now it says one
    data[at] = 0x02
    entries, after = read(signed(data))
    assert [type(entry) for entry in entries] == [Record] * 3 + [Unreadable]
    assert after == 4


def test_what_was_cut_off_is_never_taken_for_the_beginning_of_whole_headers() -> None:
    leading = Leading()
    whole = b"\x02a\x0a12345"
    for _ in range(3):
        with pytest.raises(ValueError, match="too soon"):
            leading.read(whole[:-2], 0, 1)
    assert leading.read(whole + b"xx", 0, 1) == ([("a", b"12345")], len(whole))


def test_headers_of_any_length_are_read_though_long_ones_are_not_kept() -> None:
    long = [("a", b"x" * 10_000), ("b", b"1")]
    entries, _ = read(batch(*((b"k", b"v", long) for _ in range(3))))
    assert [entry.headers for entry in entries] == [long] * 3
