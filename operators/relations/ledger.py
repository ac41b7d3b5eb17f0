"""Everything the tracker remembers of what was heard: occurrences, patterns and pairs, bounded.

An occurrence may come late or twice; it is paired with whatever lies within reach on either
side of it, so that the order of arrival does not matter. It may be taken back: then all counts are
as if it had never been told (hulls, first and last, do not shrink). A merged pattern is taken back
event by event and counted again under the survivor, so that an event both had claimed counts once;
evidence older than the remembered occurrences is added up as it stands.

Invariant: no key counts twice. What is older than a pattern's remembered occurrences cannot be
told from a repetition and is refused, counted in ``stale``; nor can it be taken back (``unknown``).
"""

from bisect import bisect_left, insort
from typing import Any

from operators.relations.config import RelationConfig
from operators.relations.pair_evidence import Extent, PairEvidence
from operators.relations.pattern_evidence import PatternEvidence

Event = tuple[int, int, str]
Pair = tuple[str, str]
VERSION = 2


class Ledger:
    """The bounded memory of one stream.

    Attributes:
        patterns: pattern id -> its evidence.
        pairs: (a, b) with a < b -> their evidence.
        stale: occurrences refused because they were older than what is remembered.
        repeated: occurrences that had been counted before.
        unknown: occurrences to be taken back that are not remembered.
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
        self.unknown = 0
        self.evicted = 0

    def add(self, onset_us: int, end_us: int, pattern: str, told_as: str = "") -> bool:
        """Count an occurrence; False if it was counted before or is too old to tell.

        ``told_as`` is the pattern it was told of, where that was merged into this one.
        """
        evidence = self.patterns.get(pattern)
        if evidence is None:
            self._make_room_for_a_pattern()
            evidence = self.patterns.setdefault(pattern, PatternEvidence())
        if evidence.forgotten(onset_us):
            self.stale += 1
            return False
        known = evidence.knows(onset_us, self._same_us)
        self.repeated += known
        full = known and len(evidence.told) >= 2 * self._config.max_onsets
        if full or evidence.claimed(onset_us, told_as or pattern):
            return False
        insort(evidence.told, (onset_us, max(end_us, onset_us + 1), told_as or pattern))
        self._recount(pattern, evidence, *evidence.group(onset_us, self._same_us))
        self._evict()
        return not known

    def remove(self, onset_us: int, pattern: str, told_as: str = "") -> bool:
        """Count an occurrence no more, as if it had never been told; False if it is not known."""
        evidence = self.patterns.get(pattern)
        claim = evidence.claimed(onset_us, told_as or pattern) if evidence else None
        if evidence is None or claim is None:
            self.unknown += 1
            return False
        group = evidence.group(onset_us, self._same_us)
        evidence.told.remove(claim)
        self._recount(pattern, evidence, *group)
        if not evidence.count:
            del self.patterns[pattern]
        return True

    def fold(self, alias: str, survivor: str) -> None:
        """Count everything heard as ``alias`` as ``survivor`` from now on."""
        old = self.patterns.get(alias)
        if old is None or alias == survivor:
            return
        own = self.patterns.setdefault(survivor, PatternEvidence())
        retold = self._take_back(alias)
        self._fold_pairs(alias, survivor)
        begin_us = retold[0][0] if retold else old.last_us + 1
        self._fold_counts(old, own, begin_us)
        del self.patterns[alias]
        for onset_us, end_us, told_as in old.told:
            if onset_us >= begin_us:
                self.add(onset_us, end_us, survivor, told_as)
        own.trimmed = own.trimmed or old.trimmed

    def drop(self, pattern: str) -> None:
        """Forget a pattern and every pair it is part of."""
        self._events = [event for event in self._events if event[2] != pattern]
        for pair in [pair for pair in self.pairs if pattern in pair]:
            self._bins -= len(self.pairs.pop(pair).bins)
        self.patterns.pop(pattern, None)

    def _recount(
        self, pattern: str, evidence: PatternEvidence, first_us: int, last_us: int
    ) -> None:
        """After a claim came or went: count what is due now, and pair it; take back the rest."""
        counting = evidence.counting(first_us, last_us)
        due = evidence.due(first_us, last_us, self._same_us)
        for extent in sorted(counting - due):
            evidence.take_back(extent)
            at = bisect_left(self._events, (*extent, pattern))
            # What has left the log was not paired with what came since: it cannot be unpaired.
            if self._events[at : at + 1] == [(*extent, pattern)]:
                del self._events[at]
                self._pair(extent, pattern, -1)
        for extent in sorted(due - counting):
            evidence.add(extent, self._config.max_onsets)
            self._pair(extent, pattern, 1)
            insort(self._events, (*extent, pattern))
            if len(self._events) > self._config.max_events:
                del self._events[0]

    def _pair(self, extent: Extent, pattern: str, sign: int) -> None:
        low = bisect_left(self._events, (extent[0] - self._reach_us, 0, ""))
        high = bisect_left(self._events, (extent[0] + self._reach_us + 1, 0, ""))
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
            if not evidence.total:
                del self.pairs[pair]

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

    def _fold_counts(self, old: PatternEvidence, own: PatternEvidence, begin_us: int) -> None:
        """Add what is too old to be counted again event by event (from ``begin_us`` on it is)."""
        forgotten = old.count - len(old.extents)
        if forgotten:
            own.first_us = min(own.first_us, old.first_us) if own.count else old.first_us
            own.last_us = max(own.last_us, old.last_us) if own.count else old.last_us
            own.count += forgotten
        for claim in old.told:
            if claim[0] < begin_us and not own.claimed(claim[0], claim[2]):
                insort(own.told, claim)
        for extent in old.extents:
            if extent[0] < begin_us and not own.knows(extent[0], self._same_us):
                own.add(extent, self._config.max_onsets)

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
                name: [
                    *(e.count, e.first_us, e.last_us, e.trimmed),
                    [list(extent) for extent in e.extents],
                    [list(claim) for claim in e.told],
                ]
                for name, e in self.patterns.items()
            },
            "pairs": [
                [a, b, e.total, e.last_us, [[key, *cell] for key, cell in e.bins.items()]]
                for (a, b), e in self.pairs.items()
            ],
            "counters": [self.stale, self.repeated, self.unknown, self.evicted],
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
        for name, (count, first, last, trimmed, extents, told) in state["patterns"].items():
            kept = [(onset, end) for onset, end in extents]
            claims = [(onset, end, told_as) for onset, end, told_as in told]
            ledger.patterns[name] = PatternEvidence(count, first, last, kept, claims, trimmed)
        for a, b, total, last, cells in state["pairs"]:
            bins = {cell[0]: list(cell[1:]) for cell in cells}
            ledger.pairs[a, b] = PairEvidence(bins, total, last)
            ledger._bins += len(bins)
        counters = state["counters"]
        ledger.stale, ledger.repeated, ledger.unknown, ledger.evicted = counters
        return ledger
