"""``-``: raw interleaved PCM from standard input, as one stream.

Invariants: nothing is shed, whoever writes is held up instead (``connectors.pipe``); samples and
their times do not depend on how the pipe cut the bytes; what came before a defect is delivered
before the defect is said. A pipe cannot be read again: this source does not resume, and after a
crash what then arrives is placed behind what had been heard.
"""

import math
import os
from collections import deque
from dataclasses import dataclass
from typing import ClassVar

from connectors.chunks import (
    HIGHEST_RATE_HZ,
    LOWEST_RATE_HZ,
    MOST_CHANNELS,
    Break,
    Chunk,
    RawItem,
    ReadOptions,
    Resume,
    State,
)
from connectors.pcm import CONTAINERS, FORMATS, MAGIC_BYTES, Unpacker
from connectors.pipe import Pipe
from operators.records import Failure, Floats

CHUNKS_PER_S = 10
ASK_AGAIN_NS = 5_000_000
VERSION = 1

_FLAGS = "--rate 16000 --channels 1 --format s16le"


@dataclass(frozen=True, slots=True)
class StdinOptions:
    """What nothing in raw PCM says.

    Attributes:
        rate_hz: sample rate; None where nobody said it, which is refused when read.
        channels: interleaved channels; None likewise.
        format: a key of ``connectors.pcm.FORMATS``.
        fd: the file descriptor; it is never closed here.
    """

    rate_hz: int | None = None
    channels: int | None = None
    format: str = "s16le"
    fd: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why what is on the descriptor cannot be heard (any more): see ``Failure``."""

    reason: str
    detail: str
    remedy: str


def derived_name(target: str) -> str:
    """Stream id where nobody gave one."""
    del target
    return "stdin"


class Stdin:
    """Source of the one stream of standard input (see ``connectors.chunks.Source``)."""

    live: ClassVar[bool] = False
    resumes: ClassVar[bool] = False
    ends: ClassVar[bool] = True
    divides: ClassVar[bool] = False

    def __init__(self, name: str, target: str, options: ReadOptions, resume: Resume | None) -> None:
        del target
        if resume is not None and resume.source.get("version") != VERSION:
            raise ValueError(f"a resume state of version {resume.source.get('version')}")
        self._stream = name
        self._own = options.of("-", StdinOptions)
        heard_ns = resume.positions.get(name, 0) if resume else 0
        self._resumed = heard_ns > options.start_ns
        self._start_ns = max(options.start_ns, heard_ns)
        self._pcm: _Pcm | None = None
        self._frames = 0
        self._done = False
        self._wait_ns = 0

    @property
    def done(self) -> bool:
        """Whether the end of the pipe, or what is wrong with it, was handed over."""
        return self._done

    @property
    def wait_ns(self) -> int:
        """Five milliseconds where nothing was there."""
        return self._wait_ns

    @property
    def total_s(self) -> float | None:
        """Nobody knows how much will come down a pipe."""
        return None

    @property
    def lag_s(self) -> float | None:
        """Nobody knows how old the audio in a pipe is."""
        return None

    def next(self) -> list[RawItem]:
        """Chunks of at most 100 ms, a second in all; the last item is ``Break(over=True)``."""
        if self._done:
            return []
        items: list[RawItem] = []
        if self._pcm is None:
            if refusal := refused(self._own):
                return self._end(items, refusal)
            self._pcm = _Pcm(self._own)
            if self._resumed:
                items.append(self._failure(_NOT_AGAIN, fatal=False))
        items += [self._chunk(block, self._pcm.rate_hz) for block in self._pcm.read()]
        if self._pcm.ended:
            return self._end(items, self._pcm.verdict(self._frames))
        self._wait_ns = 0 if items else ASK_AGAIN_NS
        return items

    def snapshot(self) -> State:
        """Nothing but a version: there is no going back in a pipe."""
        return {"version": VERSION}

    def close(self) -> None:
        """Stop reading; the descriptor stays open."""
        if self._pcm is not None:
            self._pcm.close()

    def _chunk(self, samples: Floats, rate_hz: int) -> Chunk:
        start_ns = self._start_ns + self._frames * 1_000_000_000 // rate_hz
        joined = self._frames > 0
        self._frames += len(samples)
        return Chunk(self._stream, rate_hz, samples, start_ns, joined)

    def _end(self, items: list[RawItem], refusal: Refusal | None) -> list[RawItem]:
        if refusal is not None:
            items.append(self._failure(refusal, fatal=True))
        items.append(Break(self._stream, over=True))
        self._done = True
        self.close()
        return items

    def _failure(self, refusal: Refusal, *, fatal: bool) -> Failure:
        said = (refusal.reason, refusal.detail, refusal.remedy)
        return Failure(self._stream, "source", *said, math.nan, fatal_source=fatal)


class _Pcm:
    """The bytes of a descriptor as blocks of samples, at most ten a call."""

    def __init__(self, own: StdinOptions) -> None:
        self._own = own
        self.rate_hz = own.rate_hz or 0
        self._unpack = Unpacker(own.format, own.channels or 0, self.rate_hz // CHUNKS_PER_S)
        self._pipe = Pipe(own.fd)
        self._head: bytes | None = b""
        self._container = ""
        self._exhausted = False
        self._blocks: deque[Floats] = deque()

    @property
    def ended(self) -> bool:
        """Everything was read, and everything that was read was handed over."""
        return self._exhausted and not self._blocks

    def read(self) -> list[Floats]:
        """What has arrived, at most a second of it."""
        while len(self._blocks) < CHUNKS_PER_S and not self._exhausted:
            raw = self._pipe.take()
            if raw is None:
                break
            self._exhausted = not raw
            self._blocks.extend(self._unpack.feed(self._past_head(raw)))
        return [self._blocks.popleft() for _ in range(min(CHUNKS_PER_S, len(self._blocks)))]

    def verdict(self, frames: int) -> Refusal | None:
        """What is to be said after the last of ``frames``."""
        heard_s = frames / self.rate_hz
        if self._container:
            return _contained(self._container)
        if self._pipe.error is not None:
            return Refusal(
                "unreadable",
                f"stdin: cannot be read after {heard_s:.3f} s ({self._pipe.error.strerror})",
                "check what writes to the pipe",
            )
        if rest := self._unpack.rest:
            return Refusal(
                "truncated",
                f"stdin: the last {rest} bytes, at {heard_s:.3f} s, are no whole frame of"
                f" {self._unpack.frame_bytes} ({self._own.channels} x {self._own.format})",
                "check --format and --channels, and that what writes was not cut off",
            )
        if not frames:
            return Refusal(
                "empty",
                "stdin: ended before the first sample",
                "check what writes to the pipe: it has failed, or had nothing to write",
            )
        return None

    def close(self) -> None:
        self._pipe.close()

    def _past_head(self, raw: bytes) -> bytes:
        """Hold the first bytes back until they show whether they are those of a container."""
        if self._head is None:
            return raw
        self._head += raw
        if len(self._head) < MAGIC_BYTES and not self._exhausted:
            return b""
        self._container = CONTAINERS.get(self._head[:MAGIC_BYTES], "")
        if self._container:
            self._exhausted = True
            return b""
        head, self._head = self._head, None
        return head


_NOT_AGAIN = Refusal(
    "resumed",
    "stdin: what the earlier run had not heard of its pipe cannot be read again;"
    " what arrives now follows what was heard",
    "listen to a file or a topic where nothing may be missed",
)


def refused(own: StdinOptions) -> Refusal | None:
    """Why these options, or this descriptor, cannot be heard; None where they can."""
    if own.rate_hz is None or own.channels is None:
        missing = "sample rate" if own.rate_hz is None else "number of channels"
        return Refusal(
            "format",
            f"stdin: nobody said the {missing} of the raw PCM",
            f"add --rate --channels --format, as in: grym listen - {_FLAGS}",
        )
    if own.format not in FORMATS:
        return Refusal(
            "format",
            f"stdin: there is no PCM format '{own.format}'",
            f"give one of: --format {' | '.join(FORMATS)}",
        )
    if not LOWEST_RATE_HZ <= own.rate_hz <= HIGHEST_RATE_HZ:
        return Refusal(
            "sample_rate",
            f"stdin: a sample rate of {own.rate_hz} Hz is outside"
            f" {LOWEST_RATE_HZ}-{HIGHEST_RATE_HZ} Hz",
            "correct --rate, or resample before the pipe",
        )
    if not 1 <= own.channels <= MOST_CHANNELS:
        return Refusal(
            "channels",
            f"stdin: {own.channels} channels are outside 1-{MOST_CHANNELS}",
            "correct --channels, or mix down before the pipe",
        )
    if os.isatty(own.fd):
        return Refusal(
            "terminal",
            "stdin: a terminal, not a pipe with audio",
            "pipe raw PCM into it, as in:"
            f" ffmpeg -i in.mp3 -f s16le -ar 16000 -ac 1 - | grym listen - {_FLAGS}",
        )
    return None


def _contained(kind: str) -> Refusal:
    return Refusal(
        "container",
        f"stdin: begins with the header of a {kind} file, where raw PCM is expected",
        "listen to the file itself, or strip its header before the pipe, as in:"
        f" sox in.{kind.lower()} -t raw - | grym listen - {_FLAGS}",
    )
