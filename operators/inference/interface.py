"""What goes into inference, what comes out, and all it asks of a model."""

from typing import Protocol, TypeAlias

from operators.records import (
    BreakerTransition,
    Embedding,
    Failure,
    Floats,
    StreamEnd,
    Verdict,
    Window,
)

Item: TypeAlias = Window | StreamEnd
Result: TypeAlias = Embedding | Verdict | Failure | StreamEnd
Output: TypeAlias = Result | BreakerTransition


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

    def embed(self, windows: Floats) -> Floats:
        """(n, samples) float32 windows of one length to (n, dimension) rows."""
