"""One microphone under supervision: opened, heard, lost, taken back.

    new -> open -> live -> lost -> open -> live ...      new -> failed (it was never there)

Everything but ``blocks``, ``news``, ``leave`` and ``closed`` belongs to the supervisor's thread.
Invariant: what its source should know is in ``news`` once, in order, and no call raises.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

from connectors.chunks import Clock
from connectors.microphone.capture import Block, Capture, Take
from connectors.microphone.devices import opening
from connectors.microphone.errors import SoundError
from connectors.microphone.options import MicOptions
from connectors.microphone.portaudio import BLOCKS_PER_S, PortAudio, Stream
from connectors.microphone.target import Target
from operators.records import Failure, SourceCondition, SourceState

Phase: TypeAlias = Literal["new", "open", "live", "lost", "failed"]
NS = 1_000_000_000
_NEWS = 100
"""States that nobody asks for are forgotten, the oldest first."""
_OVERSLEPT_NS = 1_000_000_000
"""Longer than this between two looks, and it was we who were stopped, not the device."""


class Feed:
    """What the supervisor and the source of one microphone share.

    Args:
        stream: name of the source.
        source: what was typed, for messages.
        target: the device and its channel.
        options: how it is opened and watched.
        clock: stamps its blocks and measures its silence.
        wake: called when its stream ends by itself, on PortAudio's thread.
    """

    def __init__(
        self,
        stream: str,
        source: str,
        target: Target,
        options: MicOptions,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self.target = target
        self.source = source
        self.options = options
        self.blocks: deque[Block] = deque(maxlen=max(1, round(options.buffer_s * BLOCKS_PER_S)))
        self.news: deque[Failure | SourceState] = deque(maxlen=_NEWS)
        self.closed = threading.Event()
        self.leaves = False
        self.phase: Phase = "new"
        self._name = stream
        self._clock = clock
        self._wake = wake
        self._stream: Stream | None = None
        self._capture: Capture | None = None
        self._told: SourceState | None = None
        self._opened = ""
        self._why = ""
        self._attempts = 0
        self._retry_ns = 0
        self._looked_ns = 0
        self._awake_ns = 0
        self._tell("connecting", f"{source}: being opened")

    @property
    def heard(self) -> bool:
        """The device is open, and a new start of PortAudio would cut it off."""
        return self.phase in ("open", "live")

    @property
    def due(self) -> bool:
        """It is lost, and time to look for it."""
        return self.phase == "lost" and self._clock.steady_ns() >= self._retry_ns

    def leave(self) -> None:
        """Nobody listens any more: what is captured from now on is dropped; returns at once."""
        self.leaves = True
        capture = self._capture
        if capture is not None:
            capture.cut()
        self.blocks.clear()

    def open(self, sound: PortAudio) -> None:
        """Open the device for the first time; what cannot be opened now has failed."""
        try:
            self._open(sound)
        except SoundError as error:
            self.fail(error)

    def reopen(self, sound: PortAudio) -> None:
        """Open the device again; what cannot be opened now stays lost, or is lost as well."""
        try:
            self._open(sound)
        except SoundError as error:
            self.put_off(error.detail)

    def watch(self, sound: PortAudio) -> None:
        """Notice the first audio of an open device, and the end or silence of a live one."""
        now_ns = self._clock.steady_ns()
        if now_ns - self._looked_ns > _OVERSLEPT_NS:
            self._awake_ns = now_ns
        self._looked_ns = now_ns
        capture, stream = self._capture, self._stream
        if not self.heard or capture is None or stream is None:
            return
        if self.phase == "open" and capture.heard:
            self.phase = "live"
            self._attempts = 0
            self._tell("live", f"{self.source}: {self._opened}")
        allowed_s = self.options.silence_s if capture.heard else self.options.first_s
        silent_s = (now_ns - max(capture.heard_ns, self._awake_ns)) / NS
        if capture.lost or not sound.active(stream):
            self._lose("the device is gone or its sound server ended")
        elif silent_s > allowed_s:
            self._lose(f"no audio for {allowed_s:g} s")

    def interrupt(self, why: str) -> None:
        """Cut off what is still heard: PortAudio is about to be started again."""
        if self.heard:
            self._why = why
        self.release()

    def release(self) -> None:
        """Close the device; may wait for a sound server that does not answer."""
        capture, stream = self._capture, self._stream
        self._capture = self._stream = None
        if capture is not None:
            capture.cut()
        if stream is not None:
            stream.close()

    def put_off(self, obstacle: str) -> None:
        """It cannot be taken back now: look again later."""
        if self.phase == "failed":
            return
        delay_s = self.options.retry_s * 2 ** min(self._attempts, 30)
        self._retry_ns = self._clock.steady_ns() + round(
            min(delay_s, self.options.retry_most_s) * NS
        )
        self._attempts += 1
        self.phase = "lost"
        self._tell("degraded", f"{self.source}: {obstacle}; taken back as soon as it returns")

    def fail(self, error: SoundError) -> None:
        """Nothing will ever come."""
        if self.phase == "failed":
            return
        self.phase = "failed"
        self.release()
        detail = f"{self.source}: {error.detail}"
        self.news.append(
            Failure(
                *(self._name, "source", error.reason, detail, error.remedy, 0.0), fatal_source=True
            )
        )

    def _open(self, sound: PortAudio) -> None:
        self.release()
        plan = opening(sound.devices(), self.target, self.options)
        capture = Capture(self._clock, self.blocks, self._wake)
        stream = sound.open(plan, capture.on_block, capture.on_end)
        capture.begin(
            Take(plan.device.name, plan.channels, plan.rate_hz, stream.latency, self._why)
        )
        self._capture, self._stream = capture, stream
        self._opened = (
            f"'{plan.device.name}', {plan.channels} channel{'s' * (plan.channels > 1)}"
            f" at {plan.rate_hz} Hz"
        )
        self.phase = "open"

    def _lose(self, why: str) -> None:
        if self._capture is not None:
            self._capture.cut()
        self._why = why
        self.put_off(why)

    def _tell(self, state: SourceCondition, detail: str) -> None:
        told = SourceState(self._name, state, detail)
        if told != self._told:
            self._told = told
            self.news.append(told)
