"""What a partition asks of whoever makes frames, and how far a source is.

Invariant: whatever cannot be read becomes a ``Failure`` among the items; a ``Frame`` with
``last=True`` concludes its stream, and once ``done`` the reader is never asked again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from connectors.chunks import Asked
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


class Reader(Asked, Protocol):
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
    def finished(self) -> bool:
        """Nothing is left that a later run could hear."""

    @property
    def position(self) -> int:
        """Samples delivered, gaps included, all streams together."""


def items_of(reader: Reader) -> Iterator[Item]:
    """Everything a reader that never waits delivers, to the end of its stream; then closes it."""
    try:
        while not reader.done:
            yield from reader.next()
    finally:
        reader.close()
