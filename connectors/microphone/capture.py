"""What PortAudio's thread does with a block: it copies it and puts it where the flow finds it.

No lock, no log, no arithmetic that could be done later: what takes long here loses audio. The
buffer drops the oldest block when it is full; each block knows its position, so that whoever
takes the next one sees exactly how much is missing.

Invariant: positions count every sample that the device delivered, kept or dropped, and overflows
every loss before it was delivered.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from connectors.chunks import Clock


@dataclass(frozen=True, slots=True)
class Take:
    """One opening of a device, from its first sample to its loss.

    Attributes:
        device: its full name.
        channels: interleaved channels of the blocks.
        rate_hz: sample rate.
        latency_s: what PortAudio buffers, as it estimates it.
        after: why there was a break before it, for a person; "" for the first.
    """

    device: str
    channels: int
    rate_hz: int
    latency_s: float = 0.0
    after: str = ""


class Block(NamedTuple):
    """A block of audio as the callback found it.

    Attributes:
        take: the opening it belongs to.
        position: of its first sample within the take.
        data: interleaved float32 of the machine's byte order.
        samples: samples a channel.
        wall_ns: when the callback was called.
        age_s: how long before that the first sample was captured, if PortAudio is to be believed.
        overflows: blocks of the take so far, this one included, just before or within which audio
            was lost. A count, so that dropping a block hides none.
    """

    take: Take
    position: int
    data: bytes
    samples: int
    wall_ns: int
    age_s: float
    overflows: int


class Capture:
    """The callbacks of one open stream.

    Args:
        clock: stamps the blocks.
        buffer: takes the blocks; bounded, the oldest goes first.
        ended: called once when the stream ends without having been asked to.
    """

    def __init__(self, clock: Clock, buffer: deque[Block], ended: Callable[[], None]) -> None:
        self.lost = False
        self.heard_ns = clock.steady_ns()
        self._clock = clock
        self._buffer = buffer
        self._ended = ended
        self._take: Take | None = None
        self._position = 0
        self._overflows = 0

    @property
    def heard(self) -> bool:
        """Any audio has come."""
        return self._position > 0

    def on_block(self, data: Any, samples: int, times: Any, status: Any) -> None:
        """PortAudio delivers a block."""
        take = self._take
        if take is None:
            return
        self._overflows += bool(status.input_overflow)
        self._buffer.append(
            Block(
                take,
                self._position,
                bytes(data),
                samples,
                self._clock.wall_ns(),
                times.currentTime - times.inputBufferAdcTime,
                self._overflows,
            )
        )
        self._position += samples
        self.heard_ns = self._clock.steady_ns()

    def on_end(self) -> None:
        """The stream has ended."""
        if self._take is not None:
            self.lost = True
            self._ended()

    def begin(self, take: Take) -> None:
        """From now on blocks are kept, as part of ``take``."""
        self._take = take

    def cut(self) -> None:
        """From now on nothing is kept, and an end is no news."""
        self._take = None
