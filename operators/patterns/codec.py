"""Template bytes as they are published and stored: versioned, self-describing, small.

Layout: ``GT`` + version byte (1) + lead byte, rows and bands as big-endian uint16, then one byte
a cell (row by row) and one a band for the floor, in steps of a quarter decibel below the loudest
cell (255 = loudest, 0 = empty or at least 63.5 dB below).
"""

import struct

import numpy as np

from operators.patterns.levels import EMPTY
from operators.records import Floats

MAGIC = b"GT"
VERSION = 1
_HEADER = struct.Struct(">2sBBHH")


def _codes(levels: Floats) -> bytes:
    return np.clip(np.rint(255 + levels * 4), 0, 255).astype(np.uint8).tobytes()


def encode(level: Floats, floor: Floats, lead: int) -> bytes:
    """Bytes of a template of (rows, bands) dB with its floor (bands,)."""
    header = _HEADER.pack(MAGIC, VERSION, min(max(lead, 0), 255), *level.shape)
    return header + _codes(np.where(level > EMPTY + 5, level, -64.0)) + _codes(floor)


def decode(data: bytes) -> tuple[Floats, Floats, int]:
    """Level (rows, bands), floor (bands,) and lead of ``encode``'s bytes.

    Raises:
        ValueError: the bytes are not a template of a version known here.
    """
    if len(data) < _HEADER.size:
        raise ValueError(f"template of {len(data)} bytes: expected at least {_HEADER.size}")
    magic, version, lead, rows, bands = _HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"template version {magic!r} {version}: expected {MAGIC!r} {VERSION}")
    codes = np.frombuffer(data, dtype=np.uint8, offset=_HEADER.size).astype(np.float32)
    if len(codes) != (rows + 1) * bands:
        raise ValueError(f"template of {rows} x {bands} with {len(codes)} cells: cut short")
    levels = ((codes - 255) / 4).reshape(rows + 1, bands)
    level = np.where(levels[:-1] > EMPTY, levels[:-1], EMPTY).astype(np.float32)
    return level, levels[-1], int(lead)
