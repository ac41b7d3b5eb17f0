"""What is known of one pattern: its occurrences as they were told, and those of them that count.

Claims on one event (closer together than ``within_us``) count once: going forward in time, the
first of each group does. So what counts follows from what was told, not from the order in which it
came, and a claim that is taken back gives way to the next one on the same event.

Invariant: of what is remembered, ``told`` holds every claim and ``extents`` those that count;
neither holds more than the latest ``keep`` events.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from statistics import median
from typing import TypeAlias

from operators.relations.pair_evidence import Extent

Claim: TypeAlias = tuple[int, int, str]
"""Onset and end of an occurrence (microseconds), and the pattern that it was told of: after a
merge its survivor's claims include those of others."""


@dataclass(slots=True)
class PatternEvidence:
    """How often a pattern was heard, from when to when, and its latest occurrences.

    Attributes:
        count: occurrences that count, forgotten ones included.
        extents: those that count and are remembered, ascending.
        told: claims that are remembered, ascending.
        trimmed: some were forgotten.
    """

    count: int = 0
    first_us: int = 0
    last_us: int = 0
    extents: list[Extent] = field(default_factory=list)
    told: list[Claim] = field(default_factory=list)
    trimmed: bool = False

    def forgotten(self, onset_us: int) -> bool:
        """Whether it is too old to be told from what was forgotten."""
        if not self.trimmed:
            return False
        return onset_us < (self.extents[0][0] if self.extents else self.last_us + 1)

    def knows(self, onset_us: int, within_us: int) -> bool:
        """Whether an onset within ``within_us`` counts already."""
        at = bisect_left(self.extents, (onset_us - within_us, 0))
        return at < len(self.extents) and self.extents[at][0] <= onset_us + within_us

    def claimed(self, onset_us: int, told_as: str) -> Claim | None:
        """The claim of this onset under this name, if there is one."""
        for claim in self.told[bisect_left(self.told, (onset_us, 0, "")) :]:
            if claim[0] != onset_us:
                return None
            if claim[2] == told_as:
                return claim
        return None

    def group(self, onset_us: int, within_us: int) -> tuple[int, int]:
        """First and last onset of the claims that hang together with this one."""
        at = bisect_left(self.told, (onset_us, 0, ""))
        first = last = onset_us
        for claim in reversed(self.told[:at]):
            if claim[0] < first - within_us:
                break
            first = claim[0]
        for claim in self.told[at:]:
            if claim[0] > last + within_us:
                break
            last = claim[0]
        return first, last

    def counting(self, first_us: int, last_us: int) -> set[Extent]:
        """What counts at present between two onsets."""
        low = bisect_left(self.extents, (first_us, 0))
        return set(self.extents[low : bisect_left(self.extents, (last_us + 1, 0))])

    def due(self, first_us: int, last_us: int, within_us: int) -> set[Extent]:
        """What ought to count of the claims between two onsets: the first of each event."""
        low = bisect_left(self.told, (first_us, 0, ""))
        due: list[Extent] = []
        for claim in self.told[low : bisect_left(self.told, (last_us + 1, 0, ""))]:
            if not due or claim[0] > due[-1][0] + within_us:
                due.append(claim[:2])
        return set(due)

    def add(self, extent: Extent, keep: int) -> None:
        """Count one occurrence; only the latest ``keep`` are remembered."""
        self.first_us = min(self.first_us, extent[0]) if self.count else extent[0]
        self.last_us = max(self.last_us, extent[0]) if self.count else extent[0]
        self.count += 1
        insort(self.extents, extent)
        if len(self.extents) > keep:
            del self.extents[0]
            del self.told[: bisect_left(self.told, (self.extents[0][0], 0, ""))]
            self.trimmed = True

    def take_back(self, extent: Extent) -> None:
        """Count one occurrence no more."""
        self.count -= 1
        self.extents.remove(extent)
        if self.extents:
            self.last_us = self.extents[-1][0]
            self.first_us = self.first_us if self.trimmed else self.extents[0][0]

    def duration_us(self) -> float:
        """Median length of the remembered extents (0 where none is)."""
        return median(end - onset for onset, end in self.extents) if self.extents else 0.0
