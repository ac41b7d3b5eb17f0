"""FLAC and Opus (in Ogg) within one message: each message is a whole little file of its own.

Invariant: decoding makes at most ``max_frames`` frames, whatever the bytes claim; what is
delivered is all that the bytes hold. It does not know messages.
"""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from operators.records import Floats


@dataclass(frozen=True, slots=True)
class _Container:
    format: str
    subtype: str | None


_CONTAINERS = {"flac": _Container("FLAC", None), "opus": _Container("OGG", "OPUS")}


class Undecodable(Exception):  # noqa: N818  # named by what it says
    """These bytes are not the audio that was announced.

    Attributes:
        reason: "undecodable", "too_long", "rate" or "channels".
        detail: one line.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = " ".join(detail.split())


class _Whole(soundfile.SoundFile):  # type: ignore[misc]  # soundfile: no annotations
    """Read once from its begin: without the seek after it that fails where no length is told."""

    def seekable(self) -> bool:
        return False


def decompress(value: bytes, codec: str, *, rate_hz: int, channels: int, max_frames: int) -> Floats:
    """The audio in one message: (n, channels) float32; exact for 16-bit and 24-bit FLAC.

    Raises:
        Undecodable: damaged, of another format, rate or number of channels, or too long.
    """
    try:
        with _Whole(io.BytesIO(value)) as file:
            _check(file, codec, rate_hz, channels)
            announced = int(file.frames)
            samples: Floats = file.read(
                min(announced, max_frames + 1), dtype="float32", always_2d=True
            )
            ended = "Last page lacks an end-of-stream bit" not in file.extra_info
    except (soundfile.SoundFileError, OSError, ValueError, TypeError, RuntimeError) as error:
        said = getattr(error, "error_string", None) or str(error)
        raise Undecodable("undecodable", f"{codec}: {said}") from error
    if len(samples) > max_frames:
        raise Undecodable("too_long", f"{codec}: it decodes to more than {max_frames} frames")
    if not ended or len(samples) < announced < 1 << 62:
        raise Undecodable(
            "undecodable", f"{codec}: it ends after {len(samples)} frames, in the middle"
        )
    # an array of another's memory would keep ten seconds alive for a tenth of one
    return samples if samples.base is None else samples.copy()


def compress(samples: Floats | NDArray[np.int16], codec: str, *, rate_hz: int) -> bytes:
    """One whole file of these samples: FLAC of 16 bits, or Opus in Ogg.

    Args:
        samples: (n, channels); int16 for FLAC, which keeps them as they are (floats would be
            scaled by 32,767).
        codec: "flac" or "opus".
        rate_hz: sample rate.

    Raises:
        ValueError: the codec does not know that rate, or so many channels.
    """
    container = _CONTAINERS[codec]
    file = io.BytesIO()
    subtype = container.subtype or "PCM_16"
    try:
        soundfile.write(file, samples, rate_hz, format=container.format, subtype=subtype)
    except (soundfile.SoundFileError, ValueError) as error:
        raise ValueError(
            f"{codec} cannot hold {samples.shape[1]} channels at {rate_hz} Hz"
        ) from error
    return file.getvalue()


def _check(file: soundfile.SoundFile, codec: str, rate_hz: int, channels: int) -> None:
    container = _CONTAINERS[codec]
    if file.format != container.format or container.subtype not in (None, file.subtype):
        raise Undecodable("undecodable", f"{codec} was announced, it is {file.format_info}")
    if file.samplerate != rate_hz:
        raise Undecodable("rate", f"header rate={rate_hz}, {codec} of {file.samplerate} Hz")
    if file.channels != channels:
        raise Undecodable("channels", f"header ch={channels}, {codec} of {file.channels} channels")
