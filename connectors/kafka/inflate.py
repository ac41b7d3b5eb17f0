"""Compressed record batches -> their records, never more of them than was allowed.

kafka-python 3.0.12 decompresses whatever it is sent: a batch of 200 KB that holds 200 MB of
zeros costs 600 MB of memory. Here every codec stops at a limit.

Invariant: at most ``limit`` bytes (and one block of the codec) are ever produced.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

from connectors.kafka.headers import BadMessage

_GZIP: Final = 31
"""Window bits of zlib for data with a gzip header."""
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16


def inflate(codec: int, data: bytes, limit: int) -> bytes:
    """The records of a batch.

    Args:
        codec: as the batch's attributes name it: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
        data: what follows the header of the batch.
        limit: bytes, at most.

    Raises:
        BadMessage: ``codec``: unknown, or its package is missing; ``bomb``: it grows beyond
            ``limit``; ``corrupt``: it is not that codec.
    """
    if codec == 0:
        return data
    if codec not in _CODECS:
        raise BadMessage("codec", f"compressed by codec {codec}, which is none of Kafka's")
    name, package, decoder = _CODECS[codec]
    try:
        records = decoder(data, limit)
    except ImportError:
        raise BadMessage(
            "codec",
            f"compressed by {name}, which cannot be read here",
            f"pip install {package}, or send it uncompressed or as gzip",
        ) from None
    except BadMessage:
        raise
    except Exception as error:  # every package has its own
        raise BadMessage("corrupt", f"what should be {name} is none ({error})") from None
    if len(records) > limit:
        raise _bomb(limit)
    return records


def _gzip(data: bytes, limit: int) -> bytes:
    out = bytearray()
    while data:
        member = zlib.decompressobj(_GZIP)
        out += member.decompress(data, limit + 1 - len(out))
        if len(out) > limit:
            break
        if not member.eof:
            raise BadMessage("corrupt", "its gzip ends too early")
        data = member.unused_data
    return bytes(out)


def _snappy(data: bytes, limit: int) -> bytes:
    snappy: Any = import_module("snappy")
    out = bytearray()
    for block in _snappy_blocks(data):
        # A block begins with its length when decompressed.
        if _length(block) + len(out) > limit:
            raise _bomb(limit)
        out += snappy.decompress(block)
    return bytes(out)


def _snappy_blocks(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_XERIAL):
        yield data
        return
    at = _XERIAL_HEADER_BYTES
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        if size <= 0:
            raise BadMessage("corrupt", f"a block of {size} bytes in its snappy")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _length(block: bytes) -> int:
    value = 0
    for index, byte in enumerate(block[:5]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value
    raise BadMessage("corrupt", "its snappy does not say how long it is")


def _lz4(data: bytes, limit: int) -> bytes:
    decompressor = import_module("lz4.frame").LZ4FrameDecompressor()
    out: bytes = decompressor.decompress(data, max_length=limit + 1)
    if len(out) <= limit and not decompressor.eof:
        raise BadMessage("corrupt", "its lz4 ends too early")
    return out


def _zstd(data: bytes, limit: int) -> bytes:
    zstandard: Any = import_module("zstandard")
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        out: bytes = reader.read(limit + 1)
    return out


def _bomb(limit: int) -> BadMessage:
    return BadMessage(
        "bomb",
        f"a compressed batch that grows beyond the limit of {limit} bytes",
        "send smaller batches, or raise max_batch_bytes in the settings of kafka",
    )


_CODECS: Final[dict[int, tuple[str, str, Callable[[bytes, int], bytes]]]] = {
    1: ("gzip", "", _gzip),
    2: ("snappy", "python-snappy", _snappy),
    3: ("lz4", "lz4", _lz4),
    4: ("zstd", "zstandard", _zstd),
}
