"""What was said of an event is corrected: the record that tells so.

A correction never changes the meaning of an id. It takes one occurrence back, adds one that was
missed, or says that an event belongs to another pattern than was said at the time.

Invariant: whoever applies the revisions of a stream in order to its occurrences holds what the
detector holds: ``pattern_from`` names an occurrence that is gone, and an occurrence that is added
is told as an ``Occurrence`` of its own just before. A key that is told and taken back in that order
is gone; an occurrence that only lasts otherwise than was said keeps its key, and is told again just
after it was taken back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from operators.records import Occurrence

RevisionReason: TypeAlias = Literal["merge", "split", "hindsight"]
RevisionKind: TypeAlias = Literal["added", "moved", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Revision:
    """One event is seen differently now.

    Attributes:
        start_s, start_ns: of the occurrence that is gone; of the new one where none is.
        pattern_from: pattern of the occurrence that is gone; "" = one was added.
        pattern: pattern that the event belongs to now; "" = it was withdrawn.
        emitted_s: stream position of the decision.
    """

    stream: str
    start_s: float
    start_ns: int
    pattern_from: str
    pattern: str
    reason: RevisionReason
    emitted_s: float
    traceparent: str = ""

    @property
    def gone(self) -> str:
        """Key of the occurrence that is gone; "" where none is."""
        return f"{self.stream}|{self.start_ns}|{self.pattern_from}" if self.pattern_from else ""

    @property
    def kind(self) -> RevisionKind:
        """What it does to the list of occurrences; an event that moves leaves and comes."""
        if not self.pattern_from:
            return "added"
        return "moved" if self.pattern else "withdrawn"


def settled(found: Iterable[object]) -> list[Occurrence]:
    """The occurrences that stand in the end, in the order in which they were told first.

    Args:
        found: occurrences and revisions as they were told, whatever else between them; of equal
            keys the last occurrence holds.
    """
    standing: dict[str, Occurrence] = {}
    for item in found:
        if isinstance(item, Occurrence):
            standing[item.key] = item
        elif isinstance(item, Revision):
            standing.pop(item.gone, None)
    return list(standing.values())
