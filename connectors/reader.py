"""What a partition asks of whoever makes frames, and how far a source is.

Invariant: whatever cannot be read becomes a ``Failure`` among the items; a ``Frame`` with
``last=True`` concludes its stream, and once ``done`` the reader is never asked again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from connectors.chunks import State
from operators.records import Failure, Frame, SourceState

Item: TypeAlias = Frame | Failure | SourceState


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source is, in seconds of its streams; None where nobody knows.

    Attributes:
        total_s: length of all there is.
        lag_s: distance to the newest audio there is.
    """

    stream: str
    position_s: float
    total_s: float | None
    done: bool
    lag_s: float | None = None


class Reader(Protocol):
    """Frames of one source, without ever blocking for more than a few milliseconds.

    Attributes:
        live: it is asked even when there is no credit.
    """

    live: bool

    def next(self) -> list[Item]:
        """The items ready now, in order; may be empty."""

    def conclude(self) -> list[Item]:
        """The run is being stopped: what no later run can go on with is concluded."""

    def give_up(self) -> list[Item]:
        """Nothing more can be read: the end of what was heard so far."""

    @property
    def done(self) -> bool:
        """Nothing will follow in this run."""

    @property
    def finished(self) -> bool:
        """Nothing is left that a later run could hear."""

    @property
    def wait_ns(self) -> int:
        """Nanoseconds until asking again makes sense, as of the last ``next``; 0: at once."""

    @property
    def position(self) -> int:
        """Samples delivered, gaps included, all streams together."""

    @property
    def total_s(self) -> float | None:
        """Length of all there is, if it is known; may read headers, so ask it elsewhere."""

    @property
    def lag_s(self) -> float | None:
        """Seconds between what was read last and the newest there is; None where unknown."""

    def snapshot(self) -> State:
        """Where to go on after the items delivered so far."""

    def close(self) -> None:
        """Release what is open; may be called twice, and ``snapshot`` still answers after it."""


def items_of(reader: Reader) -> Iterator[Item]:
    """Everything a reader that never waits delivers, to the end of its stream; then closes it."""
    try:
        while not reader.done:
            yield from reader.next()
    finally:
        reader.close()
