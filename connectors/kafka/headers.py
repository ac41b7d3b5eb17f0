"""The key and the headers of an audio message, read strictly, and what is said of a bad one.

Invariant: whatever the bytes, either a value within its bounds or a ``BadMessage``; nothing that
was refused is kept.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from connectors.chunks import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS
from operators.traceparent import well_formed

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

LONGEST_S: Final = 10
MOST_SAMPLES: Final = 8 << 20
"""Of all channels together in one message: 32 MiB decoded."""
LONGEST_KEY_BYTES: Final = 256
WIDTH_BYTES: Final = {"pcm_s16le": 2, "pcm_f32le": 4, "flac": 0, "opus": 0}
"""Codec -> bytes of one sample; 0 where that is not fixed."""

NAMES: Final = frozenset(("v", "codec", "rate", "ch", "seq", "ts", "epoch", "traceparent", "end"))
"""Of the headers of this format; all others are somebody else's."""

_MAX_INT64 = (1 << 63) - 1
_LONGEST_NUMBER = 19
_LONGEST_WORD = 64
_CONTROLS = frozenset(("Cc", "Cs", "Zl", "Zp"))
_SEND_AGAIN = "mend what sends it; `grym publish` sends what can be read"


class BadMessage(Exception):  # noqa: N818  # named by what it says
    """A message that is no audio in this format; it goes to the dead letters, the stream goes on.

    Attributes:
        reason: a stable word: empty, null, oversize, length, nan, rate, channels, codec, version,
            header, key, undecodable or too_long.
        detail: one line: the thing and the value.
        remedy: one line: what to do.
        stream: its stream, where the key could be read, else "".
        seq: its number, where that could be read.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        remedy: str = _SEND_AGAIN,
        stream: str = "",
        seq: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.remedy = remedy
        self.stream = stream
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Form:
    """How the samples of a message are written.

    Attributes:
        codec: one of ``WIDTH_BYTES``.
        rate_hz: sample rate.
        channels: in a frame.
        frame_bytes: of one sample of all channels; 0 where that is not fixed.
        most_frames: bounds what is decoded.
    """

    codec: str
    rate_hz: int
    channels: int
    frame_bytes: int
    most_frames: int


@lru_cache(maxsize=1_024)
def stream_of(key: bytes | None) -> str:
    """The stream a key names.

    Raises:
        BadMessage: ``key``: there is none, or it is too long, not UTF-8, blank or not printable.
    """
    if not key:
        raise BadMessage("key", "it has no key; the key names the stream")
    if len(key) > LONGEST_KEY_BYTES:
        raise BadMessage("key", f"a key of {len(key)} bytes, more than {LONGEST_KEY_BYTES}")
    try:
        stream = key.decode()
    except UnicodeDecodeError:
        raise BadMessage("key", f"key {shown(key)} is not UTF-8") from None
    if not stream.strip() or any(unicodedata.category(each) in _CONTROLS for each in stream):
        raise BadMessage("key", f"key {shown(key)} is blank or has control characters")
    return stream


@lru_cache(maxsize=256)
def form_of(
    version: bytes | None, codec: bytes | None, rate: bytes | None, channels: bytes | None
) -> Form:
    """What the headers ``v``, ``codec``, ``rate`` and ``ch`` say.

    Raises:
        BadMessage: ``version``, ``codec``, ``rate``, ``channels`` or ``header``.
    """
    if version is None:
        raise BadMessage("header", "header v is missing: it was not sent in this format")
    if version != b"1":
        raise BadMessage(
            "version",
            f"header v={shown(version)}, this program reads v=1",
            "update what listens, or what sends",
        )
    name = _word("codec", codec)
    if name not in WIDTH_BYTES:
        raise BadMessage("codec", f"header codec={name}, expected {', '.join(WIDTH_BYTES)}")
    rate_hz = whole("rate", rate)
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise BadMessage("rate", f"header rate={rate_hz}, not {LOWEST_RATE_HZ}-{HIGHEST_RATE_HZ}")
    count = whole("ch", channels)
    if not 1 <= count <= MOST_CHANNELS:
        raise BadMessage("channels", f"header ch={count}, not 1-{MOST_CHANNELS}")
    most_frames = min(LONGEST_S * rate_hz, MOST_SAMPLES // count)
    return Form(name, rate_hz, count, WIDTH_BYTES[name] * count, most_frames)


def whole(name: str, raw: bytes | None, *, signed: bool = False) -> int:
    """A header that is a whole number of at most 63 bits.

    Raises:
        BadMessage: ``header``: it is missing, or something else.
    """
    if raw is None:
        raise BadMessage("header", f"header {name} is missing")
    negative = signed and raw.startswith(b"-")
    digits = raw[1:] if negative else raw
    if digits.isdigit() and len(digits) <= _LONGEST_NUMBER:
        number = int(digits)
        if number <= _MAX_INT64:
            return -number if negative else number
    raise BadMessage("header", f"header {name}={shown(raw)} is not a whole number")


@lru_cache(maxsize=1_024)
def epoch_of(raw: bytes | None) -> str:
    """The name of the producer's start: any printable word.

    Raises:
        BadMessage: ``header``: it is empty, too long, or not printable ASCII.
    """
    return _word("epoch", raw)


def traceparent_of(raw: bytes | None) -> str:
    """The header of a span; "" where it cannot be read, which is no defect of the audio."""
    return well_formed(_printable(raw))


def check_end(raw: bytes | None, value: bytes) -> None:
    """Make sure that the end of a stream says so as agreed.

    Raises:
        BadMessage: ``header``: another value than 1, or samples with it.
    """
    if raw != b"1" or value:
        raise BadMessage(
            "header", f"header end={shown(raw)} with {len(value)} bytes: expected 1 with none"
        )


def check_repeated(headers: Headers) -> None:
    """Make sure that no header of ours is there twice.

    Raises:
        BadMessage: ``header``: one is.
    """
    names = [name for name, _ in headers if name in NAMES]
    for name in names:
        if names.count(name) > 1:
            raise BadMessage("header", f"header {name} is there more than once")


def whose(key: bytes | None, headers: Headers) -> tuple[str, int | None]:
    """Stream and number of a bad message, as far as they can be read: "" and None otherwise."""
    try:
        stream = stream_of(key)
    except BadMessage:
        stream = ""
    numbers = [value for name, value in headers if name == "seq"]
    try:
        return stream, whole("seq", numbers[0]) if len(numbers) == 1 else None
    except BadMessage:
        return stream, None


def shown(raw: bytes | None) -> str:
    """Bytes for a person: quoted, in ASCII, at most 40 of them."""
    if raw is None:
        return "(null)"
    text = ascii(raw[:40])[2:-1]
    return f"'{text}...'" if len(raw) > 40 else f"'{text}'"


def _word(name: str, raw: bytes | None) -> str:
    if raw is None:
        raise BadMessage("header", f"header {name} is missing")
    word = _printable(raw)
    if not word:
        raise BadMessage("header", f"header {name}={shown(raw)} is not a word in ASCII")
    return word


def _printable(raw: bytes | None) -> str:
    """A short text of printable ASCII; "" where it is none."""
    if raw is None or len(raw) > _LONGEST_WORD or not raw.isascii():
        return ""
    text = raw.decode("ascii")
    return text if text.isprintable() else ""
