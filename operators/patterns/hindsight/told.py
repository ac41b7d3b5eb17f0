"""What was said of the stretch that can still be corrected.

Invariant: exactly the occurrences that stand, as a reader who applies the revisions holds them;
bounded, the oldest are settled (and forgotten here) first.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from operators.aliases import Aliases
from operators.records import HOP_SAMPLES, Occurrence, to_s

ENTRIES = 8_192


@dataclass(frozen=True, slots=True)
class Entry:
    """One occurrence that stands.

    Attributes:
        pattern: as it was told (a merge does not rewrite it).
        onset, frames: absolute spectral frame, and how long it lasts.
        start_ns: with ``pattern`` its key.
    """

    pattern: str
    onset: int
    frames: int
    start_ns: int
    score: float

    @property
    def key(self) -> tuple[int, str]:
        """What tells it from every other one of the stream."""
        return self.start_ns, self.pattern

    @property
    def start_s(self) -> float:
        """Onset in seconds from the start of the stream."""
        return to_s(max(0, self.onset) * HOP_SAMPLES)


NAMES = tuple(f.name for f in fields(Entry))


def entry_of(occurrence: Occurrence) -> Entry:
    """An occurrence as it is remembered."""
    frame_s = to_s(HOP_SAMPLES)
    onset = round(occurrence.start_s / frame_s)
    return Entry(
        occurrence.pattern,
        onset,
        max(1, round((occurrence.end_s - occurrence.start_s) / frame_s)),
        occurrence.start_ns,
        occurrence.score,
    )


@dataclass(slots=True)
class Told:
    """The entries by key.

    Attributes:
        alias: which pattern a merged one is a part of now.
        settled: what set in before this absolute frame is forgotten here, whatever is looked at.
    """

    entries: dict[tuple[int, str], Entry] = field(default_factory=dict)
    alias: Aliases = field(default_factory=Aliases)
    settled: int = -(1 << 60)

    def add(self, entry: Entry) -> None:
        """An occurrence was told (again)."""
        self.entries.pop(entry.key, None)
        self.entries[entry.key] = entry
        while len(self.entries) > ENTRIES:
            del self.entries[next(iter(self.entries))]

    def remove(self, entry: Entry) -> None:
        """An occurrence was taken back."""
        self.entries.pop(entry.key, None)

    def merged(self, pattern: str, into: str) -> None:
        """From now on occurrences of ``pattern`` are those of ``into``."""
        self.alias.merge(pattern, into)

    def let_go(self, pattern: str) -> None:
        """A pattern was forgotten for want of room: what was told of it is settled."""
        self.entries = {k: e for k, e in self.entries.items() if self.owner(e) != pattern}

    def owner(self, entry: Entry) -> str:
        """The pattern an entry belongs to today."""
        return self.alias.of(entry.pattern)

    def settle(self, before: int) -> None:
        """Forget what lies before an absolute frame: nothing will correct it any more."""
        self.settled = max(self.settled, before)
        self.entries = {key: e for key, e in self.entries.items() if e.onset >= before}
        self.alias.keep({e.pattern for e in self.entries.values()})

    def within(self, first: int, last: int) -> list[Entry]:
        """Entries with their onset in [first, last), in order of time."""
        inside = [e for e in self.entries.values() if first <= e.onset < last]
        return sorted(inside, key=lambda e: (e.onset, e.pattern))

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``)."""
        return {
            "entries": [
                {name: getattr(entry, name) for name in NAMES} for entry in self.entries.values()
            ],
            "alias": self.alias.snapshot(),
            "settled": self.settled,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Told":
        """What ``snapshot`` described."""
        told = cls(alias=Aliases.restore(state["alias"]), settled=int(state["settled"]))
        for plain in state["entries"]:
            entry = Entry(**plain)
            told.entries[entry.key] = entry
        return told
