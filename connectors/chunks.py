"""What every source of audio hands over, and what it is told: chunks, before any resampling.

A source turns one target (a file, a folder, a microphone, a topic, a pipe) into ``Chunk``s of one
stream or several. It knows nothing of the dataflow, of resampling or of frames: ``listen`` makes
frames of its chunks (``connectors.framed``), ``publish`` sends them on as they are. It is asked
for items, says when asking again makes sense, and can write down where it is in plain data.

Invariant: whatever cannot be read becomes a ``Failure`` among the items, never an exception; no
call blocks for more than a few milliseconds.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

from operators.records import Failure, Floats, SourceState

LOWEST_RATE_HZ = 4_000
HIGHEST_RATE_HZ = 384_000
MOST_CHANNELS = 64
"""Of one source or message: what lies beyond is a mistake of whoever wrote it."""
Speed: TypeAlias = Literal["max", "realtime"]
State: TypeAlias = dict[str, Any]
"""Where a source is: a versioned plain structure of numbers, strings and booleans."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio as it was captured, stored or sent.

    Attributes:
        stream: id of the stream it belongs to.
        rate_hz: sample rate.
        samples: (n, channels) float32, read-only; 16-bit audio is divided by 32,768 (exact).
        start_ns: event time of the first sample, as the source knows it.
        joined: it goes on where the stream's chunk before ended: its samples are counted on, and
            ``start_ns`` is not looked at. Otherwise ``start_ns`` places it.
        mark: reading again from this mark repeats this chunk's first sample and all that follows
            on this stream ({} where a source cannot go back).
        name: what it was read from, for messages; "" where the stream's id says it.
        traceparent: W3C header of the span that sent it.
    """

    stream: str
    rate_hz: int
    samples: Floats
    start_ns: int
    joined: bool
    mark: State = field(default_factory=dict)
    name: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Break:
    """What was read of a stream so far is not continued: hear it out now.

    Attributes:
        mark: reading again from this mark repeats what follows the break.
        over: nothing follows for the time being: conclude what waits for more.
    """

    stream: str
    mark: State = field(default_factory=dict)
    over: bool = False


RawItem: TypeAlias = Chunk | Break | Failure | SourceState


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a reader: the wall for time stamps, a steady one for pacing."""

    wall_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of what several processes divide is ours: ``index`` of ``count``, from 0."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How every source of a run is read.

    Attributes:
        speed: "max", or "realtime": a frame is delivered when its audio would have ended.
        frame_ms: length of a frame; changes how audio is delivered, never what is heard.
        start_ns: event time of the first sample where the source knows none itself.
        clock: injected clocks.
        share: of the partitions of a topic.
        own: scheme -> the options of that kind of source.
    """

    speed: Speed = "max"
    frame_ms: int = 100
    start_ns: int = 0
    clock: Clock = field(default_factory=Clock)
    share: Share = field(default_factory=Share)
    own: Mapping[str, Any] = field(default_factory=dict)

    def of(self, scheme: str, default: Callable[[], T]) -> T:
        """The options of one kind of source, or its defaults."""
        return self.own[scheme] if scheme in self.own else default()


@dataclass(frozen=True, slots=True)
class Resume:
    """Where an earlier run stood.

    Attributes:
        source: what ``snapshot`` of the source returned.
        marks: stream -> the mark from which to read it again.
        positions: stream -> event time (ns) up to which it was delivered.
    """

    source: State
    marks: Mapping[str, State] = field(default_factory=dict)
    positions: Mapping[str, int] = field(default_factory=dict)


class Asked(Protocol):
    """What is asked for audio again and again, and how far it is."""

    @property
    def done(self) -> bool:
        """Nothing will follow in this run."""

    @property
    def wait_ns(self) -> int:
        """Nanoseconds until asking again makes sense, as of the last ``next``; 0: at once."""

    @property
    def total_s(self) -> float | None:
        """Length of all there is, if it is known; may read headers, so ask it elsewhere."""

    @property
    def lag_s(self) -> float | None:
        """Seconds between what was read last and the newest there is; None where unknown."""

    def snapshot(self) -> State:
        """Where to go on after the items returned so far; of a source, ``Resume.source``."""

    def close(self) -> None:
        """Release what is open; may be called twice, and ``snapshot`` still answers after it."""


class Source(Asked, Protocol):
    """One source of audio. Constructing it opens nothing; the first ``next`` does.

    Attributes:
        live: audio that cannot wait (a microphone): it is shed downstream when all is busy. A
            replayable source is False: it is asked only while there is credit, never shed.
        resumes: a later run can go on where this one stopped; otherwise stopping concludes.
        ends: it has an end, behind which a later run finds nothing.
        divides: several processes can divide it (``ReadOptions.share``).
    """

    live: ClassVar[bool]
    resumes: ClassVar[bool]
    ends: ClassVar[bool]
    divides: ClassVar[bool]

    def __init__(self, name: str, target: str, options: ReadOptions, resume: Resume | None) -> None:
        """Take up ``target``, whose stream is (or begins with) ``name``.

        Raises:
            ValueError: ``resume`` was written by another version.
        """

    def next(self) -> list[RawItem]:
        """The items ready now, in order, at most a second of audio a stream; may be empty."""
