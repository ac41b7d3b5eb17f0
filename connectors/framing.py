"""Frames of a log on disk: marker, length, checksum, payload; and how to find the next one.

A frame is ``marker (4) | length (4, little endian) | crc32 (4) | payload``; the checksum covers
length and payload (CRC-32 as in zlib and IEEE 802.3). The marker lets a reader go on after a
damaged stretch.

Invariant: ``scan`` yields a payload only when its checksum agrees, and accounts for every byte it
was given: as part of a frame, of a damaged stretch, or of the unread rest.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MARKER = b"\xa5GRM"
HEADER_BYTES = 12
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
_NUMBERS = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes ``start`` to ``end`` of the scanned buffer; ``payload`` None where they are damaged."""

    start: int
    end: int
    payload: bytes | None


def frame(payload: bytes) -> bytes:
    """The bytes to append for one payload.

    Raises:
        ValueError: the payload is empty or larger than ``MAX_PAYLOAD_BYTES``.
    """
    if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"a payload has 1 to {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
    return MARKER + _NUMBERS.pack(len(payload), _checksum(payload)) + payload


def scan(buffer: bytes) -> Iterator[Stretch]:
    """Read frames one after the other, stepping over what is damaged.

    A damaged stretch is yielded only where a whole frame follows it. What is left at the end
    without a whole frame (a frame still being written, a torn tail) is not yielded: the caller
    sees that the last ``end`` falls short of the buffer.
    """
    at = 0
    while True:
        found, payload = _next_frame(buffer, at)
        if payload is None:
            return
        if found > at:
            yield Stretch(at, found, None)
        at = found + HEADER_BYTES + len(payload)
        yield Stretch(found, at, payload)


def _next_frame(buffer: bytes, start: int) -> tuple[int, bytes | None]:
    at = buffer.find(MARKER, start)
    while at >= 0:
        payload = _payload_at(buffer, at)
        if payload is not None:
            return at, payload
        at = buffer.find(MARKER, at + 1)
    return len(buffer), None


def _payload_at(buffer: bytes, at: int) -> bytes | None:
    begin = at + HEADER_BYTES
    if begin > len(buffer):
        return None
    length, checksum = _NUMBERS.unpack_from(buffer, at + len(MARKER))
    if not 0 < length <= MAX_PAYLOAD_BYTES or begin + length > len(buffer):
        return None
    payload = buffer[begin : begin + length]
    return payload if _checksum(payload) == checksum else None


def _checksum(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "little")))
