"""Everything the tracker remembers of what was heard: occurrences, patterns and pairs, bounded.

An occurrence may come late or twice; it is paired with whatever lies within reach on either
side of it, so that the order of arrival does not matter. A merged pattern is taken back event
by event and counted again under the survivor, so that an event both had claimed counts once;
evidence older than the remembered occurrences is added up as it stands.

Invariant: no key counts twice. What is older than a pattern's remembered occurrences cannot be
told from a repetition and is refused, counted in ``stale``.
"""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from operators.relations.config import RelationConfig
from operators.relations.pair_evidence import Extent, PairEvidence

Event = tuple[int, int, str]
Pair = tuple[str, str]
VERSION = 1


@dataclass(slots=True)
class PatternEvidence:
    """What is known of one pattern: how often, from when to when, and its latest extents."""

    count: int = 0
    first_us: int = 0
    last_us: int = 0
    extents: list[Extent] = field(default_factory=list)
    trimmed: bool = False

    def knows(self, onset_us: int, within_us: int) -> bool:
        """Whether an onset within ``within_us`` was counted already."""
        at = bisect_left(self.extents, (onset_us - within_us, 0))
        return at < len(self.extents) and self.extents[at][0] <= onset_us + within_us

    def add(self, extent: Extent, keep: int) -> None:
        """Count one occurrence; only the latest ``keep`` extents stay."""
        self.first_us = min(self.first_us, extent[0]) if self.count else extent[0]
        self.last_us = max(self.last_us, extent[0]) if self.count else extent[0]
        self.count += 1
        insort(self.extents, extent)
        if len(self.extents) > keep:
            del self.extents[0]
            self.trimmed = True

    def duration_us(self) -> float:
        """Median length of the remembered extents (0 where none is)."""
        return median(end - onset for onset, end in self.extents) if self.extents else 0.0


class Ledger:
    """The bounded memory of one stream.

    Attributes:
        patterns: pattern id -> its evidence.
        pairs: (a, b) with a < b -> their evidence.
        stale: occurrences refused because they were older than what is remembered.
        repeated: occurrences that had been counted before.
        evicted: pairs forgotten for lack of room.
    """

    def __init__(self, config: RelationConfig) -> None:
        self._config = config
        self._reach_us = round(config.max_lag_s * 1e6)
        self._bin_us = round(config.bin_s * 1e6)
        self._same_us = round(config.same_onset_s * 1e6)
        self._events: list[Event] = []
        self._bins = 0
        self.patterns: dict[str, PatternEvidence] = {}
        self.pairs: dict[Pair, PairEvidence] = {}
        self.stale = 0
        self.repeated = 0
        self.evicted = 0

    def add(self, onset_us: int, end_us: int, pattern: str) -> bool:
        """Count an occurrence; False if it was counted before or is too old to tell."""
        evidence = self.patterns.get(pattern)
        if evidence is None:
            self._make_room_for_a_pattern()
            evidence = self.patterns.setdefault(pattern, PatternEvidence())
        if evidence.trimmed and onset_us < evidence.extents[0][0]:
            self.stale += 1
            return False
        if evidence.knows(onset_us, self._same_us):
            self.repeated += 1
            return False
        extent = (onset_us, max(end_us, onset_us + 1))
        evidence.add(extent, self._config.max_onsets)
        self._pair(extent, pattern, 1)
        insort(self._events, (*extent, pattern))
        if len(self._events) > self._config.max_events:
            del self._events[0]
        self._evict()
        return True

    def fold(self, alias: str, survivor: str) -> None:
        """Count everything heard as ``alias`` as ``survivor`` from now on."""
        old = self.patterns.get(alias)
        if old is None or alias == survivor:
            return
        own = self.patterns.setdefault(survivor, PatternEvidence())
        retold = self._take_back(alias)
        self._fold_pairs(alias, survivor)
        self._fold_counts(old, own, {event[:2] for event in retold})
        del self.patterns[alias]
        for onset_us, end_us, _ in retold:
            self.add(onset_us, end_us, survivor)

    def drop(self, pattern: str) -> None:
        """Forget a pattern and every pair it is part of."""
        self._events = [event for event in self._events if event[2] != pattern]
        for pair in [pair for pair in self.pairs if pattern in pair]:
            self._bins -= len(self.pairs.pop(pair).bins)
        self.patterns.pop(pattern, None)

    def _pair(self, extent: Extent, pattern: str, sign: int) -> None:
        low = bisect_left(self._events, (extent[0] - self._reach_us, 0, ""))
        high = bisect_right(self._events, (extent[0] + self._reach_us, -1, ""))
        for onset_us, end_us, other in self._events[low:high]:
            if other == pattern:
                continue
            near = (onset_us, end_us)
            if pattern < other:
                pair, a, b = (pattern, other), extent, near
            else:
                pair, a, b = (other, pattern), near, extent
            evidence = self.pairs.get(pair)
            if evidence is None:
                if sign < 0:
                    continue
                evidence = self.pairs[pair] = PairEvidence({})
            self._bins += evidence.add(a, b, self._bin_us, sign)

    def _take_back(self, alias: str) -> list[Event]:
        """Remove the remembered events of a pattern from the log and from all pairs."""
        events = [event for event in self._events if event[2] == alias]
        self._events = [event for event in self._events if event[2] != alias]
        for event in events:
            self._pair(event[:2], alias, -1)
        return events

    def _fold_pairs(self, alias: str, survivor: str) -> None:
        for pair in sorted(pair for pair in self.pairs if alias in pair):
            evidence = self.pairs.pop(pair)
            self._bins -= len(evidence.bins)
            other = pair[0] if pair[1] == alias else pair[1]
            if other == survivor or not evidence.total:
                continue
            target = (survivor, other) if survivor < other else (other, survivor)
            own = self.pairs.setdefault(target, PairEvidence({}))
            flipped = (pair[0] == alias) != (target[0] == survivor)
            self._bins += own.fold(evidence, flipped)

    def _fold_counts(self, old: PatternEvidence, own: PatternEvidence, later: set[Extent]) -> None:
        """Add what is too old to be counted again event by event (``later`` is)."""
        own.count += old.count - len(old.extents)
        for extent in old.extents:
            if extent not in later and not own.knows(extent[0], self._same_us):
                own.add(extent, self._config.max_onsets)
        if old.count > len(old.extents):
            own.trimmed = True
            own.first_us = min(own.first_us, old.first_us) if own.extents else old.first_us

    def _make_room_for_a_pattern(self) -> None:
        if len(self.patterns) >= self._config.max_patterns:
            self.drop(min(self.patterns, key=lambda name: (self.patterns[name].last_us, name)))

    def _evict(self) -> None:
        """When there is no more room, forget the weakest pairs until a twentieth is free."""
        pairs, bins = self._config.max_pairs, self._config.max_bins
        if len(self.pairs) <= pairs and self._bins <= bins:
            return
        weakest = sorted(
            self.pairs, key=lambda pair: (self.pairs[pair].total, self.pairs[pair].last_us, pair)
        )
        for pair in weakest:
            if len(self.pairs) <= 0.95 * pairs and self._bins <= 0.95 * bins:
                break
            self._bins -= len(self.pairs.pop(pair).bins)
            self.evicted += 1

    def snapshot(self) -> dict[str, Any]:
        """Everything as plain lists and numbers."""
        return {
            "version": VERSION,
            "events": [list(event) for event in self._events],
            "patterns": {
                name: [e.count, e.first_us, e.last_us, [list(x) for x in e.extents], e.trimmed]
                for name, e in self.patterns.items()
            },
            "pairs": [
                [a, b, e.total, e.last_us, [[key, *cell] for key, cell in e.bins.items()]]
                for (a, b), e in self.pairs.items()
            ],
            "counters": [self.stale, self.repeated, self.evicted],
        }

    @classmethod
    def restore(cls, state: dict[str, Any], config: RelationConfig) -> "Ledger":
        """The ledger that ``snapshot`` described.

        Raises:
            ValueError: the state is of another version.
        """
        if state["version"] != VERSION:
            msg = f"relations: state of version {state['version']}, this build reads {VERSION}"
            raise ValueError(f"{msg}; start without the recovery state")
        ledger = cls(config)
        ledger._events = [(onset, end, name) for onset, end, name in state["events"]]
        for name, (count, first, last, extents, trimmed) in state["patterns"].items():
            kept = [(onset, end) for onset, end in extents]
            ledger.patterns[name] = PatternEvidence(count, first, last, kept, trimmed)
        for a, b, total, last, cells in state["pairs"]:
            bins = {cell[0]: list(cell[1:]) for cell in cells}
            ledger.pairs[a, b] = PairEvidence(bins, total, last)
            ledger._bins += len(bins)
        ledger.stale, ledger.repeated, ledger.evicted = state["counters"]
        return ledger
