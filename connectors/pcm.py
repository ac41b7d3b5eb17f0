"""Raw interleaved PCM -> samples, and what gives away that the bytes are something else.

Formats are named as ffmpeg names them (https://trac.ffmpeg.org/wiki/audio%20types). Integers are
divided by half their range, which is exact for 16 and 24 bits.

Invariant: the samples do not depend on how the bytes were cut into pieces; bytes short of a frame
(one sample of every channel) wait for the rest of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from operators.records import Floats

CONTAINERS: Mapping[bytes, str] = MappingProxyType(
    {
        b"RIFF": "WAV",
        b"RF64": "WAV",
        b"FORM": "AIFF",
        b"fLaC": "FLAC",
        b"OggS": "Ogg",
        b"caff": "CAF",
        b".snd": "AU",
        b"ID3\x03": "MP3",
        b"ID3\x04": "MP3",
    }
)
"""First four bytes of what is often sent down a pipe by mistake: it would be heard as noise."""
MAGIC_BYTES = 4


@dataclass(frozen=True, slots=True)
class Format:
    """An encoding of one sample: its size, and how flat float32 samples are made of bytes."""

    sample_bytes: int
    decode: Callable[[bytes], Floats]


def _s16(raw: bytes) -> Floats:
    return np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(1 << 15)


def _s24(raw: bytes) -> Floats:
    wide = np.zeros((len(raw) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(1 << 31)


def _s32(raw: bytes) -> Floats:
    return np.frombuffer(raw, "<i4").astype(np.float32) / np.float32(1 << 31)


def _f32(raw: bytes) -> Floats:
    return np.frombuffer(raw, "<f4").astype(np.float32)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "s16le": Format(2, _s16),
        "s24le": Format(3, _s24),
        "s32le": Format(4, _s32),
        "f32le": Format(4, _f32),
    }
)


class Unpacker:
    """Bytes in pieces of any size -> blocks of whole frames.

    Args:
        encoding: a key of ``FORMATS``.
        channels: samples in a frame.
        most: frames in a block.
    """

    def __init__(self, encoding: str, channels: int, most: int) -> None:
        self._format = FORMATS[encoding]
        self._channels = channels
        self._frame = self._format.sample_bytes * channels
        self._most = most * self._frame
        self._rest = b""

    @property
    def rest(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._rest)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return self._frame

    def feed(self, raw: bytes) -> list[Floats]:
        """All whole frames there are now: (frames, channels) float32 blocks, read-only."""
        raw = self._rest + raw
        whole = len(raw) - len(raw) % self._frame
        self._rest = raw[whole:]
        return [
            self._block(raw[at : min(at + self._most, whole)]) for at in range(0, whole, self._most)
        ]

    def _block(self, raw: bytes) -> Floats:
        block = self._format.decode(raw).reshape(-1, self._channels)
        block.flags.writeable = False
        return block
