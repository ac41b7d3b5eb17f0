"""Blocks of a microphone -> chunks of its stream, with every loss said before what follows it.

What was lost on the way (dropped here, by PortAudio, or with the device) shows in the positions
of the blocks, in their flags or in a new ``Take``; what lies between two chunks that do not join
is a ``Failure`` that names the reason and the length.

Invariant: two chunks join only if not one sample lies between them.
"""

import numpy as np

from connectors.chunks import Chunk, RawItem
from connectors.microphone.anchor import NS, Anchor, captured_ns
from connectors.microphone.capture import Block, Take
from operators.records import Failure, Floats

_OVERFLOW = "lower the load of this machine, or capture fewer channels or a lower sample rate"
_BUFFER_FULL = "the flow is too busy to follow: listen to fewer streams, or with fewer models"
_DEVICE_LOST = "if nobody unplugged it, look after its cable, its supply and the sound server"
_CLOCK = "nothing, after a suspend; else keep this machine's clock in step (NTP)"


class Placing:
    """The blocks of one microphone in order, as chunks and failures of a stream.

    Args:
        stream: id of the stream.
        source: what was typed, for messages.
        channel: of which only this channel is heard, from 1; None for all.
    """

    def __init__(self, stream: str, source: str, channel: int | None) -> None:
        self._stream = stream
        self._source = source
        self._channel = channel
        self._take: Take | None = None
        self._anchor = Anchor(1, 0, 0)
        self._next = 0

    def place(self, block: Block) -> list[RawItem]:
        """A chunk, with a failure before it where it does not join the last."""
        measured_ns = captured_ns(
            block.wall_ns, block.age_s, block.samples, block.take.rate_hz, block.take.latency_s
        )
        lost: list[RawItem] = []
        joined = False
        if self._take is None:
            self._begin(block, measured_ns)
        elif self._take is not block.take:
            passed_s = self._begin_late(block, measured_ns)
            lost.append(self._gap("device_lost", passed_s, _DEVICE_LOST, block.take.after))
        elif block.overflow:
            passed_s = self._begin_late(block, measured_ns)
            lost.append(self._gap("overflow", passed_s, _OVERFLOW))
        elif block.position != self._next:
            self._anchor.place(block.position)
            missing_s = (block.position - self._next) / block.take.rate_hz
            lost.append(self._gap("buffer_full", missing_s, _BUFFER_FULL))
        elif moved_ns := self._anchor.hear(block.position, measured_ns):
            lost.append(self._resynchronised(moved_ns))
        else:
            joined = True
        self._take = block.take
        self._next = block.position + block.samples
        start_ns = self._anchor.at(block.position)
        chunk = Chunk(
            self._stream, block.take.rate_hz, self._samples(block), start_ns, joined,
            name=block.take.device,
        )  # fmt: skip
        return [*lost, chunk]

    def _begin(self, block: Block, start_ns: int) -> None:
        self._anchor = Anchor(block.take.rate_hz, block.position, start_ns)

    def _begin_late(self, block: Block, measured_ns: int) -> float:
        """Place a block by the clock, not before the end of the last; seconds since then."""
        end_ns = self._anchor.at(self._next)
        start_ns = max(measured_ns, end_ns)
        self._begin(block, start_ns)
        return (start_ns - end_ns) / NS

    def _samples(self, block: Block) -> Floats:
        samples = np.frombuffer(block.data, np.float32).reshape(-1, block.take.channels)
        if self._channel is None:
            return samples
        picked: Floats = np.ascontiguousarray(samples[:, self._channel - 1 : self._channel])
        picked.flags.writeable = False
        return picked

    def _gap(self, why: str, lost_s: float, remedy: str, after: str = "") -> Failure:
        about = "" if why == "buffer_full" else "about "
        said = f" ({after})" if after else ""
        detail = f"{self._source}: {why}, {about}{lost_s:.3f} s of audio lost{said}"
        return Failure(self._stream, "source", "gap", detail, remedy, float("nan"))

    def _resynchronised(self, moved_ns: int) -> Failure:
        way = "later" if moved_ns > 0 else "earlier"
        what = (
            f"{self._source}: clock, what follows was captured {abs(moved_ns) / NS:.3f} s {way}"
            " than its samples count"
        )
        if moved_ns < 0:
            what += "; what overlaps what was heard is left out"
        return Failure(self._stream, "source", "clock", what, _CLOCK, float("nan"))
