"""``mic:NAME[,channel]``: a microphone as a source.

Invariant: a call never waits for the device; what was captured is delivered in order, and what
was not is counted in a ``Failure`` before what follows it.
"""

from typing import ClassVar

from connectors.chunks import RawItem, ReadOptions, Resume, State
from connectors.microphone.feed import NS, Feed
from connectors.microphone.options import MicOptions
from connectors.microphone.placing import Placing
from connectors.microphone.portaudio import BLOCKS_PER_S
from connectors.microphone.supervisor import SUPERVISOR
from connectors.microphone.target import parse

VERSION = 1
_ASK_AGAIN_NS = NS // BLOCKS_PER_S // 4
"""A quarter of a block: what the wait adds to the latency of a sound stays small beside it."""


class Microphone:
    """Captures one device, or one of its channels (see ``connectors.chunks.Source``).

    Nothing is opened before the first ``next``. A device that is not there by then has failed;
    one that is lost later is taken back when it returns.
    """

    live: ClassVar[bool] = True
    resumes: ClassVar[bool] = False
    ends: ClassVar[bool] = False
    divides: ClassVar[bool] = False

    def __init__(self, name: str, target: str, options: ReadOptions, resume: Resume | None) -> None:
        """Take up the microphone ``target``.

        Raises:
            ValueError: ``target`` is malformed, or ``resume`` was written by another version.
        """
        if resume is not None and resume.source.get("version") != VERSION:
            raise ValueError(f"a resume state of version {resume.source.get('version')}")
        meant = parse(target)
        self._feed = Feed(
            *(name, target, meant, options.of("mic", MicOptions), options.clock), SUPERVISOR.wake
        )
        heard_ns = resume.positions.get(name, 0) if resume else 0
        self._placing = Placing(name, target, meant.channel, heard_ns)
        self._opened = False
        self._done = False

    def next(self) -> list[RawItem]:
        """What was captured since, at most a second of it, and how the device is doing.

        Once the device has failed, what was captured before it did comes first.
        """
        if self._done:
            return []
        if not self._opened:
            self._opened = True
            SUPERVISOR.add(self._feed)
        items: list[RawItem] = [*self._news()]
        for _ in range(BLOCKS_PER_S):
            if not self._feed.blocks:
                break
            items += self._placing.place(self._feed.blocks.popleft())
        return items

    @property
    def done(self) -> bool:
        """It could not be opened, or was closed."""
        return self._done

    @property
    def wait_ns(self) -> int:
        """0 while captured audio waits."""
        return 0 if self._feed.blocks else _ASK_AGAIN_NS

    @property
    def total_s(self) -> float | None:
        """Nobody knows."""
        return None

    @property
    def lag_s(self) -> float | None:
        """Seconds of audio that wait in the buffer."""
        return len(self._feed.blocks) / BLOCKS_PER_S

    def snapshot(self) -> State:
        """Nothing but the version: what was not captured cannot be heard again."""
        return {"version": VERSION}

    def close(self) -> None:
        """Have the device released, which nobody waits for; what was not asked for is dropped."""
        self._done = True
        if self._opened:
            self._opened = False
            SUPERVISOR.remove(self._feed)

    def _news(self) -> list[RawItem]:
        items: list[RawItem] = []
        while self._feed.news:
            if self._feed.blocks and getattr(self._feed.news[0], "fatal_source", False):
                break
            item = self._feed.news.popleft()
            items.append(item)
            self._done = self._done or getattr(item, "fatal_source", False)
        return items
