"""Blocks of a microphone -> chunks of its stream, with every loss said before what follows it.

What was lost on the way (dropped here, by PortAudio, or with the device) shows in the positions
of the blocks, in their flags or in a new ``Take``; what lies between two chunks that do not join
is a ``Failure`` that names the reason and the length.

Invariant: two chunks join only if not one sample lies between them, and no chunk is placed before
the end of what was captured: whoever listens would leave it out as heard already. So audio is
counted on while the wall clock lies behind (see ``anchor``), which is said.
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
_BEHIND = "keep this machine's clock in step (NTP); set right, it is followed again"


class Placing:
    """The blocks of one microphone in order, as chunks and failures of a stream.

    Args:
        stream: id of the stream.
        source: what was typed, for messages.
        channel: of which only this channel is heard, from 1; None for all.
        heard_ns: event time up to which an earlier run heard the stream.
    """

    def __init__(self, stream: str, source: str, channel: int | None, heard_ns: int = 0) -> None:
        self._stream = stream
        self._source = source
        self._channel = channel
        self._take: Take | None = None
        self._anchor = Anchor(1, 0, heard_ns)
        self._next = 0
        self._overflows = 0

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
            passed_s = self._begin(block, measured_ns)
            lost.append(self._gap("device_lost", passed_s, _DEVICE_LOST, block.take.after))
        elif block.overflows != self._overflows:
            full = block.position != self._next
            passed_s = self._begin(block, measured_ns)
            why = "overflow and buffer_full" if full else "overflow"
            lost.append(self._gap(why, passed_s, _OVERFLOW))
        elif block.position != self._next:
            self._anchor.place(block.position, self._anchor.counted(self._next))
            missing_s = (block.position - self._next) / block.take.rate_hz
            lost.append(self._gap("buffer_full", missing_s, _BUFFER_FULL))
        elif moved_ns := self._anchor.hear(block.position, measured_ns):
            lost.append(self._later(moved_ns) if moved_ns > 0 else self._behind())
            joined = moved_ns < 0
        else:
            joined = True
        self._take = block.take
        self._next = block.position + block.samples
        self._overflows = block.overflows
        start_ns = self._anchor.at(block.position)
        chunk = Chunk(
            self._stream, block.take.rate_hz, self._samples(block), start_ns, joined,
            name=block.take.device,
        )  # fmt: skip
        return [*lost, chunk]

    def _begin(self, block: Block, measured_ns: int) -> float:
        """Place a block by the clock, not before what was captured; seconds since that.

        Where the clock lay behind it is read as before, unless it has caught up meanwhile.
        """
        end_ns = self._anchor.counted(self._next)
        least_ns = end_ns
        if self._take is block.take:
            least_ns = self._anchor.counted(block.position)
        behind_ns = self._anchor.behind_ns if measured_ns < end_ns else 0
        start_ns = max(measured_ns + behind_ns, least_ns)
        self._anchor = Anchor(block.take.rate_hz, block.position, start_ns, behind_ns)
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

    def _later(self, moved_ns: int) -> Failure:
        return self._clock(
            f"what follows was captured {moved_ns / NS:.3f} s later than its samples count", _CLOCK
        )

    def _behind(self) -> Failure:
        return self._clock(
            f"this machine's clock lies {self._anchor.behind_ns / NS:.3f} s behind the audio, which"
            " is counted on: its times are ahead of the clock until that has caught up",
            _BEHIND,
        )

    def _clock(self, what: str, remedy: str) -> Failure:
        detail = f"{self._source}: clock, {what}"
        return Failure(self._stream, "source", "clock", detail, remedy, float("nan"))
