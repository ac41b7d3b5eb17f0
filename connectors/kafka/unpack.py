"""Record batches as brokers send them -> records, one by one, whatever is wrong with some.

kafka-python 3.0.12 raises at the first damaged batch without saying where, and its next poll
never returns unless one seeks elsewhere. ``Unpacked`` takes the place of the class with which its
fetcher reads a response: what is damaged becomes an ``Unreadable`` in its place and reading goes
on behind it, so that nothing is raised and the defect is never met. Format of batches and
records: Kafka protocol, message format v2.

Invariant: any bytes give records and ``Unreadable``s in the order of their offsets, and the
position always moves on; one batch costs at most ``limit`` bytes decompressed.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from kafka.consumer.fetcher import Fetcher
from kafka.errors import KafkaError

from connectors.kafka.headers import NAMES, BadMessage
from connectors.kafka.inflate import inflate
from connectors.kafka.record import Entry, Record, Unreadable

MOST_HEADERS: Final = 1_000
MOST_KEPT_BYTES: Final = 4_096
"""Of one record's headers; longer ones are read and not kept to compare with."""
MAGIC: Final = 2
_Header: TypeAlias = tuple[str, bytes | None]
_HEADER_BYTES: Final = 61
_LOG_APPEND_TIME: Final = 1
_NOT_ONE_BYTE: Final = 0x81
"""Bits of a number's first byte that are set where it is negative or goes on in the next."""
_OURS: Final = {name.encode(): name for name in NAMES}
_REWRITE = "mend what sends it; what the topic holds of it is left out"


class Unpacked(Fetcher.PartitionRecords):  # type: ignore[misc]  # the driver has no types
    """What one response holds of one partition, as the driver's fetcher asks for it.

    Args:
        limit: bytes of one batch when decompressed.
        *args: as the driver gives them.
        leading: what reads headers; the same for all that one consumer fetches.
        **named: as the driver gives them.
    """

    next_fetch_offset: int

    def __init__(
        self, limit: int, *args: Any, leading: "Leading | None" = None, **named: Any
    ) -> None:
        self._limit = limit
        self._leading = leading or Leading()
        super().__init__(*args, **named)

    def _unpack_records(self, *driver: Any) -> Iterator[Entry]:
        batches = driver[1]
        while True:
            try:
                batch = batches.next_batch()
            except KafkaError as error:
                offset = self.next_fetch_offset
                self.next_fetch_offset = offset + 1
                yield Unreadable(offset, offset, BadMessage("corrupt", str(error), _REWRITE), b"")
                break
            if batch is None:
                break
            yield from self._batch(batch)
        self.drain()

    def _batch(self, batch: Any) -> Iterator[Entry]:
        first = max(int(batch.base_offset), self.next_fetch_offset)
        try:
            data = self._checked(batch)
        except BadMessage as bad:
            raw = bytes(batch._buffer)
            last = _last(batch, first)
            self.next_fetch_offset = last + 1
            yield Unreadable(first, last, bad, raw)
            return
        self.leader_epoch = batch.leader_epoch
        if not batch.is_control_batch:
            for entry in _records(batch, data, self._leading):
                if entry.offset >= self.next_fetch_offset:
                    self.next_fetch_offset = entry.offset + 1
                    yield entry
        # The batch says where it ends, even where records at its end were compacted away.
        self.next_fetch_offset = max(first, batch.last_offset) + 1

    def _checked(self, batch: Any) -> bytes:
        if batch.magic != MAGIC:
            raise BadMessage(
                "format", f"message format v{batch.magic}, which has no headers", _REWRITE
            )
        if not batch.validate_crc():
            raise BadMessage("crc", "a batch whose checksum is wrong", _REWRITE)
        data = bytes(memoryview(batch._buffer)[_HEADER_BYTES:])
        return inflate(batch.compression_type, data, self._limit)


class Leading:
    """Reads the headers of records, of which the first are mostly those of the record before.

    A sender begins each with the same words (version, codec, rate, channels). Bytes that are the
    same mean the same, so those are compared and not read again: a record then costs a third less.
    """

    __slots__ = ("_before", "_headers", "_raw")

    def __init__(self) -> None:
        self._raw = b""
        self._headers: list[_Header] = []
        self._before: list[_Header] = []

    def read(self, data: bytes, at: int, count: int) -> tuple[list[_Header], int]:
        """``count`` headers from ``at`` on, and where they end.

        Raises:
            ValueError: they are damaged.
            IndexError: they end too soon.
        """
        known = self._headers
        if known and count >= len(known) and data.startswith(self._raw, at):
            headers = known.copy()
            return headers, _read_headers(data, at + len(self._raw), count - len(known), headers)
        headers = []
        end = _read_headers(data, at, count, headers)
        if end > len(data):
            raise ValueError("headers that end too soon")
        if end - at <= MOST_KEPT_BYTES:
            self._learn(data, at, headers)
        return headers, end

    def _learn(self, data: bytes, at: int, headers: list[_Header]) -> None:
        same = 0
        while same < min(len(headers), len(self._before)) and headers[same] == self._before[same]:
            same += 1
        self._raw = data[at : _read_headers(data, at, same, [])]
        self._headers = headers[:same]
        self._before = headers


def _last(batch: Any, first: int) -> int:
    """Offset of the last record of a batch that is not to be trusted."""
    if batch.magic != MAGIC:
        return max(first, int(batch.base_offset))
    delta = int(batch.last_offset_delta)
    whole = delta >= 0 and delta == batch.records_count - 1
    return max(first, batch.base_offset + delta) if whole else first


def _records(batch: Any, data: bytes, leading: Leading) -> Iterator[Entry]:
    base, first_ms = int(batch.base_offset), int(batch.first_timestamp)
    fixed_ms = batch.max_timestamp if batch.timestamp_type == _LOG_APPEND_TIME else None
    at, offset = 0, base
    for _ in range(batch.records_count):
        begin, end = at, -1
        try:
            length, at = _varint(data, at)
            if not 0 <= length <= len(data) - at:
                raise ValueError(f"a record of {length} bytes where {len(data) - at} are left")
            end = at + length
            record = _record(data, at, end, base, first_ms, leading)
        except (ValueError, IndexError) as error:
            last = offset if end >= 0 else max(offset, int(batch.last_offset))
            bad = BadMessage("corrupt", f"a record that is damaged ({error})", _REWRITE)
            yield Unreadable(offset, last, bad, data[begin : end if end >= 0 else len(data)])
            if end < 0:
                return
        else:
            if fixed_ms is not None:
                record.timestamp = fixed_ms
            yield record
            offset = record.offset
        at, offset = end, offset + 1


def _record(data: bytes, at: int, end: int, base: int, first_ms: int, leading: Leading) -> Record:
    after, at = _varint(data, at + 1)
    delta, at = _varint(data, at)
    size, at = _varint(data, at)
    key = None
    if size >= 0:
        key = data[at : at + size]
        at += size
    size, at = _varint(data, at)
    value = None
    if size >= 0:
        value = data[at : at + size]
        at += size
    count, at = _varint(data, at)
    if not 0 <= count <= MOST_HEADERS or delta < 0:
        raise ValueError(f"{count} headers")
    headers, at = leading.read(data, at, count)
    if at != end:
        raise ValueError(f"{end - at} bytes too many")
    return Record(base + delta, first_ms + after, key, value, headers)


def _read_headers(data: bytes, at: int, count: int, headers: list[_Header]) -> int:
    """Append ``count`` headers; returns where they end.

    A length below 64 is one byte, twice itself. By far the most are, so they are read here: a
    call for each would cost as much again.
    """
    for _ in range(count):
        size = data[at]
        if size & _NOT_ONE_BYTE:
            size, at = _varint(data, at)
            if size < 0:
                raise ValueError("a header without a name")
        else:
            size >>= 1
            at += 1
        raw = data[at : at + size]
        at += size
        name = _OURS.get(raw) or raw.decode()
        size = data[at]
        if size & _NOT_ONE_BYTE:
            size, at = _varint(data, at)
            if size < 0:
                headers.append((name, None))
                continue
        else:
            size >>= 1
            at += 1
        headers.append((name, data[at : at + size]))
        at += size
    return at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag number of variable length, and where it ends."""
    byte = data[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at + 1
        shift += 7
        if shift > 63:
            raise ValueError("a number without an end")
