"""What every source of audio implements, and what it is told.

A reader turns one target (a file, a folder, later a microphone or a topic) into the frames of
one stream. It knows nothing of the dataflow: it is asked for items, says when asking again makes
sense, and can write down where it is in plain data.

Invariant: whatever cannot be read becomes a ``Failure`` among the items, and the last item of a
stream is a ``Frame`` with ``last=True``; after it the reader is never asked again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from operators.records import Failure, Frame

Item: TypeAlias = Frame | Failure
Speed: TypeAlias = Literal["max", "realtime"]
State: TypeAlias = dict[str, Any]
"""Where a reader is: a versioned plain structure of numbers, strings and booleans."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a reader: the wall for time stamps, a steady one for pacing."""

    wall_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How every source of a run is read.

    Attributes:
        speed: "max", or "realtime": a frame is delivered when its audio would have ended.
        frame_ms: length of a frame; changes how audio is delivered, never what is heard.
        start_ns: event time of the first sample where the source knows none itself.
        clock: injected clocks.
    """

    speed: Speed = "max"
    frame_ms: int = 100
    start_ns: int = 0
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source is, in seconds of its stream; ``total_s`` is None where nobody knows."""

    stream: str
    position_s: float
    total_s: float | None
    done: bool


class Reader(Protocol):
    """One source, read without ever blocking for more than a few milliseconds.

    Attributes:
        live: audio that cannot wait (a microphone): it is delivered without credit and shed
            downstream. A replayable source is False: it waits for credit and is never shed.
    """

    live: ClassVar[bool]

    def __init__(self, stream: str, target: str, options: ReadOptions, state: State | None) -> None:
        """Take up ``target`` from ``state`` (None: from its start); opens nothing yet.

        Raises:
            ValueError: ``state`` was written by another version.
        """

    def next(self) -> list[Item]:
        """The items ready now, in order; may be empty."""

    @property
    def wait_ns(self) -> int:
        """Nanoseconds until asking again makes sense, as of the last ``next``; 0: at once."""

    @property
    def position(self) -> int:
        """Position in the stream after the last sample delivered."""

    @property
    def total_s(self) -> float | None:
        """Length of the whole stream if it is known; may read headers, so ask it elsewhere."""

    def snapshot(self) -> State:
        """Where to go on after the items delivered so far."""

    def close(self) -> None:
        """Release what is open; may be called twice, and ``snapshot`` still answers after it."""


def items_of(reader: Reader) -> Iterator[Item]:
    """Everything a reader that never waits delivers, to the end of its stream; then closes it."""
    try:
        last = False
        while not last:
            for item in reader.next():
                last = isinstance(item, Frame) and item.last
                yield item
    finally:
        reader.close()
