"""Looks at the last half hour again and says what is to be corrected.

Every stretch is decided again with the templates of today; templates are rebuilt from all their
occurrences; what turns out to be a piece of a longer sound goes; and everything is decided once
more. What then differs from what was told is told: as occurrences and revisions.

Invariants: what was told before the horizon is settled and never touched; after a pass exactly
what was seen stands, but for what sets in right at the horizon, which is left as it was told.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from operators.patterns import announce
from operators.patterns.canvas import Canvas
from operators.patterns.hindsight import renew
from operators.patterns.hindsight.decide import (
    concerns,
    decide,
    mark,
    part_seen,
    stretches,
    with_known,
)
from operators.patterns.hindsight.keep import Key, Verdict
from operators.patterns.hindsight.parting import Parting
from operators.patterns.hindsight.seen import Seen
from operators.patterns.hindsight.told import Entry, entry_of
from operators.patterns.inside import Inside
from operators.patterns.kin import Kin
from operators.patterns.memory import Memory, Moment
from operators.patterns.rivals import Rivals
from operators.patterns.template import Template
from operators.records import FRAME_S, Occurrence, Pattern
from operators.revision import Revision

Found: TypeAlias = Occurrence | Pattern | Revision
SAME_FRAMES = 2
"""An onset that moved by no more than this is not told again."""
MOVED_FRAMES = 8
SAME_LENGTH_FRAMES, SAME_LENGTH = 8, 0.25
"""Nor is one that lasts longer or shorter by less than this, or than this share of the longer."""


@dataclass(slots=True)
class Hindsight:
    """One pass over what is remembered from an absolute frame on.

    Attributes:
        since: what begins before this absolute frame is left out.
        told_since: what set in before this one is settled: it may reach across ``since``.
    """

    memory: Memory
    moment: Moment
    since: int
    told_since: int
    _before: dict[int, tuple[int, str]] = field(default_factory=dict)
    _parting: Parting = field(init=False)

    def __post_init__(self) -> None:
        self._parting = Parting(self.memory, self.moment)

    def run(self) -> list[Found]:
        """Correct what was told; templates, counts and the archive follow."""
        memory = self.memory
        found: list[Found] = []
        self._before = {t.number: (t.count, t.status) for t in memory.bank.templates}
        seen = renew.by_number(self._decide())
        found += self._parting.run(seen)
        templates = memory.bank.templates
        renew.note(templates, seen, self._border)
        changed = [
            t
            for t in templates
            if renew.renewed(t, seen.get(t.number, ()), templates, memory.archive, memory.config)
        ]
        memory.bank.changed()
        kin = Kin(memory, self.moment)
        found += kin.compare(changed)
        for part in renew.rigid_parts(memory.bank.templates, seen, kin.own):
            found += kin.retire(part)
        final = self._decide()
        renew.note(memory.bank.templates, renew.by_number(final), self._border)
        final += self._inside(final)
        found += self._tell(final)
        return found

    @property
    def _border(self) -> int:
        """What sets in before this absolute frame stays as it was told.

        Right after what is settled a sound may have been settled, or have moved across.
        """
        return self.told_since + MOVED_FRAMES if self.told_since > self.since else self.since

    def _decide(self) -> list[Seen]:
        """All stretches with the present templates; the archive knows what is accounted for.

        What none of the templates that changed since the last time matters for stands.
        """
        memory = self.memory
        rivals = memory.rivals
        kept, verdicts = memory.kept, dict[Key, Verdict]()
        changed = kept.changed(memory.bank.templates)
        for whole in stretches(memory.archive, self.since):
            key = (whole.origin_ns, whole.start, len(whole.level))
            verdict = kept.verdicts.get(key)
            if verdict is None or self._matters(changed, verdict, whole):
                memory.rivals = Rivals(memory.config.bounds.pairs)
                seen = decide(memory, whole)
                plausible = {*memory.rivals.claims, *(one.number for one in seen)}
                verdict = Verdict(tuple(seen), frozenset(plausible))
                mark(memory.archive, whole)
            verdicts[key] = verdict
        memory.rivals = rivals
        kept.retain(verdicts)
        return [one for verdict in verdicts.values() for one in verdict.seen]

    def _matters(self, changed: frozenset[int], verdict: Verdict, whole: Canvas) -> bool:
        """Whether a stretch could be decided otherwise now that some templates have changed."""
        if not changed.isdisjoint(verdict.plausible):
            return True
        templates = [t for t in self.memory.bank.templates if t.number in changed]
        covered = with_known(self.memory.archive, whole)
        return concerns(templates, covered, self.memory.config)

    def _inside(self, seen: list[Seen]) -> list[Seen]:
        """Parts of longer sounds, which account for the parts' cells (see ``inside``)."""
        templates = self.memory.bank.templates
        inside = Inside.of(self.memory)
        at = {number: [one.first for one in own] for number, own in renew.by_number(seen).items()}
        found: list[Seen] = []
        for whole in templates:
            for part in inside.parts_of(whole):
                known = at.setdefault(part.template.number, [])
                if any(abs(part.first - first) <= MOVED_FRAMES for first in known):
                    continue
                known.append(part.first)
                found.append(part_seen(part))
        self.memory.looked.sweep()
        return found

    def _tell(self, seen: list[Seen]) -> list[Found]:
        """What stands and was not told, what was told and does not stand."""
        told = self.memory.told
        told.settle(self.told_since)
        templates = {t.number: t for t in self.memory.bank.templates}
        old: dict[str, list[Entry]] = {}
        for entry in told.within(self.told_since, 1 << 60):
            old.setdefault(told.owner(entry), []).append(entry)
        fresh: list[Seen] = []
        gone: list[Entry] = []
        for template in templates.values():
            own = [one for one in seen if one.number == template.number]
            kept, news = _paired(old.pop(template.pattern, []), own)
            gone += kept
            fresh += news
        gone += [entry for entries in old.values() for entry in entries]
        first = self._border
        gone = sorted((e for e in gone if e.onset >= first), key=lambda e: (e.onset, e.pattern))
        fresh = sorted((s for s in fresh if s.onset >= first), key=lambda s: (s.onset, s.number))
        found: list[Found] = []
        for one in fresh:
            found += self._added(one, templates[one.number], gone)
        for entry in gone:
            found += self._withdrawn(entry)
        return found + self._states()

    def _added(self, one: Seen, template: Template, gone: list[Entry]) -> list[Found]:
        near = [e for e in gone if abs(e.onset - one.onset) <= MOVED_FRAMES]
        nearest = min(near, key=lambda e: (abs(e.onset - one.onset), e.pattern), default=None)
        if nearest is not None:
            gone.remove(nearest)
            self._forget(nearest)
        occurrence = announce.occurrence(
            template, self.moment, one.onset, one.lasting, score=one.score, backfilled=True
        )
        entry = entry_of(occurrence)
        self.memory.told.add(entry)
        template.credit(one.onset, one.lasting, one.score)
        if nearest is None:
            return [occurrence, self._revision(occurrence, "", occurrence.pattern)]
        revision = self._revision(nearest, nearest.pattern, occurrence.pattern)
        # Under one and the same key it is told again once it is gone.
        return [revision, occurrence] if nearest.key == entry.key else [occurrence, revision]

    def _withdrawn(self, entry: Entry) -> list[Found]:
        self._forget(entry)
        return [self._revision(entry, entry.pattern, "")]

    def _forget(self, entry: Entry) -> None:
        told = self.memory.told
        owner = told.owner(entry)
        told.remove(entry)
        for template in self.memory.bank.templates:
            if template.pattern == owner:
                template.count -= 1
                template.score_sum -= entry.score

    def _revision(self, at: Entry | Occurrence, pattern_from: str, pattern: str) -> Revision:
        return Revision(
            stream=self.moment.stream,
            start_s=at.start_s,
            start_ns=at.start_ns,
            pattern_from=pattern_from,
            pattern=pattern,
            reason="split" if (pattern_from, pattern) in self._parting.done else "hindsight",
            emitted_s=self.moment.emitted_frame * FRAME_S,
            traceparent=self.moment.traceparent,
        )

    def _states(self) -> list[Found]:
        """Every pattern that differs from before; those without support go."""
        config = self.memory.config
        found: list[Found] = []
        for template in list(self.memory.bank.templates):
            if template.count < 2:
                found += self._unsupported(template)
                continue
            sure = config.confirms(template.count, template.mean_score)
            if template.status == "born" and sure:
                template.status = "confirmed"
            elif template.status == "confirmed" and not sure:
                template.status = "born"
            if self._before.get(template.number) != (template.count, template.status):
                found.append(announce.pattern(template, self.moment))
        return found

    def _unsupported(self, template: Template) -> list[Found]:
        """A pattern goes, and what still stands of it goes with it."""
        told = self.memory.told
        left = [e for e in told.within(self.since, 1 << 60) if told.owner(e) == template.pattern]
        found = [revision for entry in left for revision in self._withdrawn(entry)]
        return [*found, *Kin(self.memory, self.moment).retire(template)]


def _paired(entries: list[Entry], seen: list[Seen]) -> tuple[list[Entry], list[Seen]]:
    """What of the told was not seen like that, and what of the seen was not told; nearest first."""
    if not entries or not seen:
        return entries, seen
    away = np.abs(np.subtract.outer([e.onset for e in entries], [s.onset for s in seen]))
    lengths = [e.frames for e in entries], [s.lasting for s in seen]
    change = np.abs(np.subtract.outer(*lengths))
    slack = np.maximum(SAME_LENGTH_FRAMES, SAME_LENGTH * np.maximum.outer(*lengths))
    rows, columns = np.nonzero((away <= SAME_FRAMES) & (change <= slack))
    taken_e: set[int] = set()
    taken_s: set[int] = set()
    for at in np.lexsort((columns, rows, away[rows, columns])):
        row, column = int(rows[at]), int(columns[at])
        if row not in taken_e and column not in taken_s:
            taken_e.add(row)
            taken_s.add(column)
    return (
        [e for n, e in enumerate(entries) if n not in taken_e],
        [s for n, s in enumerate(seen) if n not in taken_s],
    )
