"""Chunks of one stream -> messages of a tenth of a second, numbered for whoever listens.

A chunk that goes on where the one before ended is cut on; one that does not is a new ``epoch``
with numbers from 0, because nothing is missing between two files of a folder. After a *gap* (audio
that was there and was lost) the numbers jump instead, so that a listener counts it too.

Invariant: every sample of every chunk is in exactly one message, in order, unaltered; ``ts_ns`` is
the chunk's ``start_ns`` advanced by counting samples.
"""

from collections.abc import Callable, Iterator

import numpy as np

from connectors.chunks import Break, Chunk
from connectors.kafka.wire import AudioMessage
from operators.records import Floats

MESSAGES_PER_S = 10
_NS_PER_S = 1_000_000_000


class Recut:
    """The messages of one stream.

    Args:
        stream: its id.
        wall_ns: injected clock; names the epochs.
    """

    def __init__(self, stream: str, wall_ns: Callable[[], int]) -> None:
        self._stream = stream
        self._wall_ns = wall_ns
        self._rate_hz = 0
        self._channels = 0
        self._held: list[Floats] = []
        self._held_frames = 0
        self._anchor_ns = 0
        self._counted = 0
        self._epoch_ns = 0
        self._seq = 0
        self._gap = False
        self._traceparent = ""
        self.over = True
        """Nothing was cut since the last end, or ever."""

    def gap(self) -> None:
        """Audio was lost before what comes next."""
        self._gap = True

    def feed(self, chunk: Chunk) -> Iterator[AudioMessage]:
        """The messages that are full with this chunk, and the rest of what it does not go on."""
        channels = chunk.samples.shape[1]
        if not chunk.joined or not self._epoch_ns:
            yield from self.flush()
            self._begin(chunk.start_ns)
        elif (chunk.rate_hz, channels) != (self._rate_hz, self._channels):
            yield from self.flush()
            self._anchor_ns, self._counted = self._now_ns, 0
        self._rate_hz, self._channels = chunk.rate_hz, channels
        self._traceparent = chunk.traceparent
        self.over = False
        if len(chunk.samples):
            self._held.append(chunk.samples)
            self._held_frames += len(chunk.samples)
        length = max(1, round(chunk.rate_hz / MESSAGES_PER_S))
        if self._held_frames < length:
            return
        whole = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        full = len(whole) - len(whole) % length
        self._held = [whole[full:]] if full < len(whole) else []
        self._held_frames = len(whole) - full
        for begin in range(0, full, length):
            yield self._message(whole[begin : begin + length])

    def flush(self) -> Iterator[AudioMessage]:
        """What is held, as a message of less than a tenth of a second."""
        if self._held_frames:
            held, self._held, self._held_frames = self._held, [], 0
            yield self._message(np.concatenate(held))

    def leave(self, pause: Break) -> Iterator[AudioMessage]:
        """What is held and, where nothing follows for the time being, the end of the stream."""
        yield from self.flush()
        if pause.over and not self.over:
            self.over = True
            nothing = np.empty((0, self._channels), np.float32)
            yield self._numbered(nothing, end=True)

    def _begin(self, start_ns: int) -> None:
        if self._gap and self._epoch_ns:
            self._seq += 1
        else:
            self._epoch_ns = max(self._wall_ns(), self._epoch_ns + 1)
            self._seq = 0
        self._gap = False
        self._anchor_ns, self._counted = start_ns, 0

    @property
    def _now_ns(self) -> int:
        return self._anchor_ns + self._counted * _NS_PER_S // max(self._rate_hz, 1)

    def _message(self, samples: Floats) -> AudioMessage:
        message = self._numbered(samples, end=False)
        self._counted += len(samples)
        return message

    def _numbered(self, samples: Floats, *, end: bool) -> AudioMessage:
        message = AudioMessage(
            self._stream,
            self._rate_hz,
            samples,
            self._seq,
            self._now_ns,
            str(self._epoch_ns),
            self._traceparent,
            end,
        )
        self._seq += 1
        return message
