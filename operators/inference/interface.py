"""What goes into inference, what comes out, and all it asks of a model."""

from typing import Protocol, TypeAlias

from operators.records import (
    BreakerTransition,
    Embedding,
    Failure,
    Floats,
    RungChange,
    StreamEnd,
    Verdict,
    Window,
)

Item: TypeAlias = Window | StreamEnd
Result: TypeAlias = Embedding | Verdict | Failure | StreamEnd
Event: TypeAlias = BreakerTransition | RungChange | Failure
Output: TypeAlias = Result | BreakerTransition | RungChange


class Embedder(Protocol):
    """The part of a model that inference needs; it is called from one thread at a time.

    After a call went past its deadline the next one may come from a new thread while the old
    one still hangs in the model.
    """

    @property
    def name(self) -> str:
        """What reports and spans call it."""

    @property
    def space(self) -> str:
        """The vector space its rows belong to."""

    @property
    def dimension(self) -> int:
        """Length of a row."""

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """(n, samples) float32 windows of one length at ``rate_hz`` to (n, dimension) rows."""
