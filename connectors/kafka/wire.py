"""Audio as it travels through a topic: the one place that writes and reads the wire format.

A message is a tenth of a second, or so, of one stream: key = stream id (UTF-8), value =
interleaved audio, and ASCII headers:

    v            1
    codec        pcm_s16le | pcm_f32le | flac | opus (in Ogg); the last two: a whole file a message
    rate, ch     sample rate in Hz, channels
    seq          number of the message within its stream and epoch, from 0
    ts           event time of the first sample, epoch nanoseconds
    epoch        optional: names one start of the producer; numbering begins anew with each
    traceparent  optional: W3C header of the span that sent it
    end          optional: 1 = the stream ends here for the time being; then the value is empty

Headers of other names are somebody else's and are left alone. 16-bit audio is divided by 32,768,
which float32 holds exactly.

Invariant: ``decode(*encode(message))`` is that message, bit for bit where the codec is lossless;
any bytes whatsoever give a message or a ``BadMessage`` with a stable reason, and never cost more
than ``LONGEST_S`` of audio does. It knows no broker and keeps no state of a stream.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from connectors.kafka.compressed import Undecodable, compress, decompress
from connectors.kafka.headers import (
    LONGEST_S,
    BadMessage,
    Form,
    Headers,
    check_end,
    check_repeated,
    epoch_of,
    form_of,
    stream_of,
    traceparent_of,
    whole,
    whose,
)
from operators.records import Floats

__all__ = ["AudioMessage", "BadMessage", "Codec", "Headers", "count_clipped", "decode", "encode"]

Codec: TypeAlias = Literal["pcm_s16le", "pcm_f32le", "flac", "opus"]
LIMIT_BYTES: Final = 4 << 20

_INT16 = np.dtype("<i2")
_FLOAT32 = np.dtype("<f4")
_SCALE = np.float32(32_768)
_UNSCALE = np.array(1 / 32_768, np.float32)
"""An array, which a product takes as it is: a number is made into one each time."""


class AudioMessage(NamedTuple):
    """One message of a stream; a tuple, as a frozen dataclass takes three times as long to make.

    Attributes:
        stream: id of the stream: the key.
        rate_hz: sample rate.
        samples: (n, channels) float32, read-only; (0, channels) where ``end`` is set.
        seq: its number within the stream and epoch.
        ts_ns: event time of the first sample.
        epoch: names one start of the producer; "" where it does not tell.
        traceparent: W3C header; "" where there is none that can be read.
        end: the stream ends here for the time being.
    """

    stream: str
    rate_hz: int
    samples: Floats
    seq: int
    ts_ns: int
    epoch: str = ""
    traceparent: str = ""
    end: bool = False


def decode(
    key: bytes | None, value: bytes | None, headers: Headers, *, limit_bytes: int = LIMIT_BYTES
) -> AudioMessage:
    """The message in what a topic holds.

    Args:
        key: of the record.
        value: of the record.
        headers: of the record, in order.
        limit_bytes: a longer value is refused.

    Raises:
        BadMessage: it breaks the format; says how, and whose it is where that can be told.
    """
    try:
        stream = stream_of(key)
        found = dict(headers)
        if len(found) != len(headers):
            check_repeated(headers)
        get = found.get
        form = form_of(get("v"), get("codec"), get("rate"), get("ch"))
        seq = whole("seq", get("seq"))
        ts_ns = whole("ts", get("ts"), signed=True)
        epoch = epoch_of(found["epoch"]) if "epoch" in found else ""
        traceparent = traceparent_of(found["traceparent"]) if "traceparent" in found else ""
        if value is None:
            raise BadMessage("null", "it has no value (a tombstone)")
        end = "end" in found
        if end:
            check_end(found["end"], value)
            samples = np.empty((0, form.channels), np.float32)
        elif not value:
            raise BadMessage("empty", "its value has 0 bytes, and it is not the end of a stream")
        elif len(value) > limit_bytes:
            raise BadMessage(
                "oversize",
                f"its value has {len(value)} bytes, more than the limit of {limit_bytes}",
                "send shorter messages (100 ms), or raise the limit in the settings of kafka",
            )
        else:
            samples = _SAMPLES[form.codec](value, form)
        samples.setflags(write=False)
        return AudioMessage(stream, form.rate_hz, samples, seq, ts_ns, epoch, traceparent, end)
    except BadMessage as bad:
        bad.stream, bad.seq = whose(key, headers)
        raise


def encode(
    message: AudioMessage, codec: Codec = "pcm_s16le"
) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of a message; codecs of 16 bits round, and cut off beyond [-1, 1).

    Raises:
        ValueError: what ``decode`` would refuse, or what the codec cannot hold.
    """
    key = message.stream.encode()
    rate, channels = b"%d" % message.rate_hz, b"%d" % message.samples.shape[1]
    try:
        stream_of(key)
        form = form_of(b"1", codec.encode(), rate, channels)
    except BadMessage as bad:
        raise ValueError(bad.detail) from None
    headers = [
        ("v", b"1"),
        ("codec", codec.encode()),
        ("rate", rate),
        ("ch", channels),
        ("seq", b"%d" % message.seq),
        ("ts", b"%d" % message.ts_ns),
    ]
    if message.epoch:
        headers.append(("epoch", message.epoch.encode("ascii")))
    if message.traceparent:
        headers.append(("traceparent", message.traceparent.encode("ascii")))
    if message.end:
        headers.append(("end", b"1"))
    return key, _value(message, form), headers


def count_clipped(samples: Floats) -> int:
    """How many samples a codec of 16 bits would cut off: those beyond [-1, 1]."""
    if not samples.size or max(samples.max(), -samples.min()) <= 1:
        return 0
    return int(np.count_nonzero(np.abs(samples) > 1))


def _pcm16(value: bytes, form: Form) -> Floats:
    shape = (_frames(value, form), form.channels)
    # Converting first and multiplying in place takes less than one product of both types.
    samples: Floats = np.ndarray(shape, _INT16, value).astype(np.float32)
    np.multiply(samples, _UNSCALE, samples)
    return samples


def _pcm_float(value: bytes, form: Form) -> Floats:
    frames = _frames(value, form)
    return _finite(np.frombuffer(value, _FLOAT32).reshape(frames, form.channels))


def _frames(value: bytes, form: Form) -> int:
    frames, rest = divmod(len(value), form.frame_bytes)
    if rest:
        detail = f"{len(value)} bytes are no multiple of a frame of {form.frame_bytes}"
        raise BadMessage("length", detail)
    if frames > form.most_frames:
        raise BadMessage("too_long", f"{frames} frames are more than {LONGEST_S} s of audio")
    return frames


def _compressed(value: bytes, form: Form) -> Floats:
    try:
        samples = decompress(
            value,
            form.codec,
            rate_hz=form.rate_hz,
            channels=form.channels,
            max_frames=form.most_frames,
        )
    except Undecodable as error:
        raise BadMessage(error.reason, error.detail) from None
    if not len(samples):
        raise BadMessage("empty", f"{form.codec} without a single sample")
    return _finite(samples)


def _finite(samples: Floats) -> Floats:
    if not np.isfinite(samples).all():
        bad = int(np.count_nonzero(~np.isfinite(samples)))
        raise BadMessage("nan", f"{bad} of {samples.size} samples are not numbers")
    return samples


_SAMPLES: Final[dict[str, Callable[[bytes, Form], Floats]]] = {
    "pcm_s16le": _pcm16,
    "pcm_f32le": _pcm_float,
    "flac": _compressed,
    "opus": _compressed,
}


def _value(message: AudioMessage, form: Form) -> bytes:
    samples = message.samples
    if message.end is (len(samples) > 0):
        raise ValueError("the end of a stream has no samples, and every other message has some")
    if len(samples) > form.most_frames:
        raise ValueError(f"{len(samples)} frames are more than {LONGEST_S} s of audio")
    if not np.isfinite(samples).all():
        raise ValueError("samples that are not numbers")
    if message.end:
        return b""
    if form.codec == "pcm_f32le":
        return samples.astype(_FLOAT32, copy=False).tobytes()
    if form.codec == "opus":
        return compress(samples, "opus", rate_hz=form.rate_hz)
    whole_numbers = _to_int16(samples)
    if form.codec == "flac":
        return compress(whole_numbers, "flac", rate_hz=form.rate_hz)
    return whole_numbers.tobytes()


def _to_int16(samples: Floats) -> NDArray[np.int16]:
    scaled = samples * _SCALE
    np.rint(scaled, out=scaled)
    np.minimum(scaled, 32_767, out=scaled)
    np.maximum(scaled, -32_768, out=scaled)
    return scaled.astype(_INT16)
