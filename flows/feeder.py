"""One source on its way to a topic: asked for chunks, cut into messages, sent when it is time.

Invariant: messages of a stream are sent in their order, each once; whatever goes wrong becomes a
``Failure`` and concerns this source only. Nothing here waits.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import isnan

import numpy as np

from connectors.chunks import Break, Chunk, Clock, RawItem, Source
from connectors.kafka.recut import Recut
from connectors.kafka.wire import AudioMessage, count_clipped
from operators.records import Failure, SourceState

LEAST_NAP_NS = 1_000_000
MOST_ASKED = 20
"""Calls for what a source holds when it is stopped: a second of audio each."""


@dataclass(slots=True)
class Sent:
    """What was sent of one stream.

    Attributes:
        messages: ends of the stream included.
        clipped: samples that a codec of 16 bits cut off.
        failed: it cannot be sent; the rest of it is left out.
    """

    messages: int = 0
    audio_s: float = 0.0
    clipped: int = 0
    failed: bool = False
    begin_ns: int | None = None


@dataclass(slots=True)
class Feeder:
    """A source, and what waits of it.

    Attributes:
        name: of the source.
        source: what is read.
        send: takes a message or says that it has to wait; ValueError where it cannot be sent.
        show: told of failures and states.
        clips: the codec holds no samples beyond [-1, 1].
        clock: injected clocks.
        sent: stream -> what was sent of it; of all sources.
        owners: stream -> the source it comes from; of all sources.
        paced: a message is due when its audio would have ended.
        failed: the source, or a stream of it, did not get there whole.
    """

    name: str
    source: Source
    send: Callable[[AudioMessage], bool]
    show: Callable[[Failure | SourceState], None]
    clips: bool
    clock: Clock
    sent: dict[str, Sent]
    owners: dict[str, str]
    paced: bool = False
    failed: bool = False
    _over: bool = False
    _started_ns: int | None = None
    _recuts: dict[str, Recut] = field(default_factory=dict)
    _ready: deque[AudioMessage] = field(default_factory=deque)

    @property
    def done(self) -> bool:
        """Everything was sent, the ends of all streams included."""
        return self._over and not self._ready

    @property
    def waiting(self) -> int:
        """Messages that were read and not handed over, without those that never will be."""
        return sum(not self.sent[message.stream].failed for message in self._ready)

    def step(self) -> int | None:
        """Send what is due, or ask for more.

        Returns:
            Nanoseconds until that makes sense again; None where there is no room for what is due.
        """
        if self._started_ns is None:
            self._started_ns = self.clock.steady_ns()
        while self._ready:
            early_ns = self._early_ns(self._ready[0], self._started_ns)
            if early_ns > 0:
                return early_ns
            if not self._sent_off(self._ready[0]):
                return None
            self._ready.popleft()
        if self._over:
            return 0
        try:
            for item in self.source.next():
                self._take(item)
            waits_ns = self.source.wait_ns
            if self.source.done:
                self._conclude()
        except Exception as error:  # whatever it is: the other sources go on
            self._give_up(error)
        return 0 if self._ready or self._over else max(waits_ns, LEAST_NAP_NS)

    def stop(self) -> None:
        """Ask for nothing more: what was read and the ends of the streams are due now.

        What cannot be read again, because it was captured or came down a pipe, was read as well
        when the source holds it.
        """
        self.paced = False
        if self._over:
            return
        try:
            if self._started_ns is not None and not self.source.resumes:
                self._take_what_is_held()
            self._conclude()
        except Exception as error:  # whatever it is: the other sources go on
            self._give_up(error)

    def _take_what_is_held(self) -> None:
        for _ in range(MOST_ASKED):
            items = self.source.next()
            if not items:
                return
            for item in items:
                self._take(item)
        if not self.source.done:
            self._fail(
                self.name,
                "stopped",
                f"more than {MOST_ASKED} s of audio waited when it was stopped",
                "the rest was not read; end what writes it first",
            )

    def _take(self, item: RawItem) -> None:
        if isinstance(item, SourceState):
            self.show(item)
            return
        if isinstance(item, Failure):
            self._say(item)
            if item.reason == "gap" and item.stream in self._recuts:
                self._recuts[item.stream].gap()
            return
        recut = self._recut(item.stream)
        if recut is not None:
            self._queue(recut.feed(item) if isinstance(item, Chunk) else recut.leave(item))

    def _queue(self, messages: Iterable[AudioMessage]) -> None:
        for message in messages:
            if np.isfinite(message.samples).all():
                self._ready.append(message)
                continue
            # its number is never sent: a listener hears a gap there
            self._fail(
                message.stream,
                "nan",
                "samples that are not numbers",
                "a tenth of a second is left out, heard as a gap; repair what recorded it",
            )

    def _recut(self, stream: str) -> Recut | None:
        """The cutter of a stream; None where another source has a stream of that name."""
        recut = self._recuts.get(stream)
        if recut is None:
            if self.owners.setdefault(stream, self.name) != self.name:
                if not self.failed:
                    self._fail(
                        stream,
                        "two_places",
                        f"it is a stream of {self.owners[stream]}, too",
                        f"left out; give this source a name of its own: name={self.name}",
                        fatal=True,
                    )
                return None
            recut = self._recuts[stream] = Recut(stream, self.clock.wall_ns)
            self.sent[stream] = Sent()
        return recut

    def _sent_off(self, message: AudioMessage) -> bool:
        """Whether a message was sent, or never will be."""
        sent = self.sent[message.stream]
        if sent.failed:
            return True
        try:
            if not self.send(message):
                return False
        except ValueError as error:
            sent.failed = True
            self._fail(
                message.stream,
                "unsendable",
                str(error),
                "left out; name the stream anew (name=...) or use the other --codec",
                fatal=True,
            )
            return True
        sent.messages += 1
        sent.audio_s += len(message.samples) / message.rate_hz
        if self.clips:
            sent.clipped += count_clipped(message.samples)
        return True

    def _early_ns(self, message: AudioMessage, started_ns: int) -> int:
        if not self.paced:
            return 0
        sent = self.sent[message.stream]
        if sent.begin_ns is None:
            sent.begin_ns = message.ts_ns
        ended_ns = message.ts_ns + len(message.samples) * 1_000_000_000 // message.rate_hz
        return started_ns + ended_ns - sent.begin_ns - self.clock.steady_ns()

    def _conclude(self) -> None:
        self._over = True
        for stream, recut in self._recuts.items():
            self._queue(recut.leave(Break(stream, over=True)))

    def _give_up(self, error: Exception) -> None:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        self._fail(self.name, "error", f"given up ({said})", "report it with this line", fatal=True)
        self._conclude()

    def _fail(
        self, stream: str, reason: str, detail: str, remedy: str, *, fatal: bool = False
    ) -> None:
        detail = f"{stream}: {detail}"
        self._say(Failure(stream, "source", reason, detail, remedy, float("nan"), fatal))

    def _say(self, failure: Failure) -> None:
        self.failed = self.failed or failure.fatal_source
        if isnan(failure.start_s):
            sent = self.sent.get(failure.stream, Sent())
            failure = replace(failure, start_s=sent.audio_s)
        self.show(failure)
