"""What is said of rates, and how far discovery has come (silence has no occurrence of its own).

Invariant: times are positions in the stream; the wall clock is nowhere.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["more", "fewer", "silent", "again"]


@dataclass(frozen=True, slots=True)
class Reached:
    """Discovery has decided everything that ended before ``at_s``."""

    stream: str
    at_s: float


@dataclass(frozen=True, slots=True)
class RateChange:
    """A pattern comes at another rate than it used to.

    Attributes:
        at_s: when the change took place, as far as can be told: the last onset at the old rate,
            or the first one after a silence.
        direction: "more" or "fewer" often, "silent", or "again" after a silence that was told.
        rate_before_per_h, rate_per_h: occurrences an hour before and since.
        p: bound on the chance of counts as uneven as these at one rate, for this one comparison.
        count_before, count: occurrences that the two rates are taken from.
        emitted_s: stream position of the decision.
    """

    stream: str
    pattern: str
    at_s: float
    direction: Direction
    rate_before_per_h: float
    rate_per_h: float
    p: float
    count_before: int
    count: int
    emitted_s: float
    traceparent: str = ""
