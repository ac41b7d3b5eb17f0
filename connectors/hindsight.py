"""What hindsight corrected, as a person wants to be told: a line a look back, not one a revision.

A view passes every record through and shows what comes out. An occurrence that was told late is
held back until the next finding of its stream: if that is the revision that it belongs to, it is
part of a look back and gets no line of its own. So is what is told again after the revision that
took it back. What stands above such a line has been looked at in hindsight; what stands below is
provisional.

Invariant: every other record comes out once, in its stream's order; what is held is bounded.
"""

from collections import Counter
from dataclasses import dataclass, field

from operators.records import Novel, Occurrence, Pattern, StreamEnd
from operators.revision import Revision, RevisionKind

_FINDINGS = (Occurrence, Revision, Pattern, Novel, StreamEnd)
_STREAMS_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class LookBack:
    """What one look back corrected in a stream; ``at_s`` = stream position of the decision."""

    stream: str
    at_s: float
    added: int
    moved: int
    withdrawn: int


@dataclass(slots=True)
class _Open:
    """What is held of a stream; ``again`` = key that was just taken back to be told again."""

    late: Occurrence | None = None
    again: str = ""
    at_s: float = 0.0
    counts: Counter[RevisionKind] = field(default_factory=Counter)


class Hindsight:
    """Sorts what is corrected out of what is heard."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def take(self, item: object) -> list[object]:
        """What is to be shown now: records, and what was looked back at."""
        if not isinstance(item, _FINDINGS):
            return [item]
        held = self._open.get(item.stream, _Open())
        if isinstance(item, Revision):
            return self._revised(held, item)
        if isinstance(item, Occurrence) and item.backfilled:
            shown: list[object] = [] if held.late is None else [held.late]
            held.late = None if item.key == held.again else item
            held.again = ""
            return [*shown, *self._hold(item.stream, held)]
        return [*self._let_go(item.stream), item]

    def flush(self) -> list[object]:
        """Nothing follows: all that is held."""
        return [item for stream in list(self._open) for item in self._let_go(stream)]

    def _revised(self, held: _Open, item: Revision) -> list[object]:
        late, held.late = held.late, None
        shown: list[object] = []
        if held.counts and held.at_s != item.emitted_s:
            shown = self._let_go(item.stream)
            held = _Open()
        own = late is not None and (late.pattern, late.emitted_s) == (item.pattern, item.emitted_s)
        if late is not None and not own:
            shown.append(late)
        held.at_s = item.emitted_s
        held.again = "" if own else item.gone
        held.counts[item.kind] += 1
        return [*shown, *self._hold(item.stream, held)]

    def _hold(self, stream: str, held: _Open) -> list[object]:
        """Hold on to it; what has to go for it."""
        crowded = stream not in self._open and len(self._open) >= _STREAMS_KEPT
        gone = self._let_go(next(iter(self._open))) if crowded else []
        self._open[stream] = held
        return gone

    def _let_go(self, stream: str) -> list[object]:
        held = self._open.pop(stream, _Open())
        shown: list[object] = [] if held.late is None else [held.late]
        if held.counts:
            counts = held.counts
            shown.append(
                LookBack(
                    *(stream, held.at_s), counts["added"], counts["moved"], counts["withdrawn"]
                )
            )
        return shown
