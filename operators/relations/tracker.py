"""The relations of one stream: evidence in, typed relations out, re-examined every minute.

Invariant: what is reported depends on what was heard and on the stream position, never on the
order of arrival, on repetitions or on the wall clock; an occurrence that was taken back is as good
as never told. Ids never change meaning: after a merge the survivor carries the evidence of both.
It does not know vectors (``kinship`` does), nor why two sounds belong together.
"""

import math
from typing import Any, cast

from operators.aliases import Aliases
from operators.records import Occurrence, Pattern, Relation, RelationKind, StreamEnd, to_s
from operators.relations.config import RelationConfig
from operators.relations.false_discovery import q_values
from operators.relations.heads import inherited_beats, whole_onsets
from operators.relations.indirect import indirect_links
from operators.relations.kinds import UNREPORTED
from operators.relations.ledger import Ledger
from operators.relations.links import Link, find_links
from operators.relations.periodic import Beat, find_beat
from operators.reported import Reported
from operators.revision import Revision

VERSION = 2


class RelationTracker:
    """Finds how the patterns of one stream relate in time.

    Args:
        stream: id of the stream.
        config: windows, floors and bounds.

    Attributes:
        ledger: the evidence, with its counters of what was refused or forgotten.
    """

    def __init__(self, stream: str, config: RelationConfig | None = None) -> None:
        self.config = config if config is not None else RelationConfig()
        self.ledger = Ledger(self.config)
        self._stream = stream
        self._confirmed: set[str] = set()
        self._alias = Aliases()
        self._reported = Reported(_moved)
        self._next_s = self.config.evaluate_every_s

    def observe(self, item: Occurrence | Pattern | Revision) -> list[Relation]:
        """Take an occurrence, a correction or the news of a pattern.

        What was decided after the next evaluation is due is counted after it, so that an
        evaluation depends on the stream position alone.

        Returns:
            What is new, materially changed or withdrawn, if an evaluation was due.
        """
        if isinstance(item, Pattern):
            self._learn(item)
            return []
        changed: list[Relation] = []
        if item.emitted_s >= self._next_s:
            every = self.config.evaluate_every_s
            now_s = math.floor(item.emitted_s / every) * every
            changed = self._evaluate(now_s, final=False)
            self._next_s = now_s + every
        told_as = item.pattern if isinstance(item, Occurrence) else item.pattern_from
        name, onset_us = self._alias.of(told_as), round(item.start_s * 1e6)
        if isinstance(item, Occurrence):
            self.ledger.add(onset_us, round(item.end_s * 1e6), name, told_as)
        elif item.gone:
            self.ledger.remove(onset_us, name, told_as)
        return changed

    def finish(self, end: StreamEnd) -> list[Relation]:
        """The final state: every relation that differs from what was last said of it."""
        return self._evaluate(to_s(end.index), final=True)

    def _learn(self, pattern: Pattern) -> None:
        if pattern.status == "merged" and pattern.into and pattern.into != pattern.pattern:
            survivor = self._alias.of(pattern.into)
            if survivor == pattern.pattern:
                return
            self._rename(pattern.pattern, survivor)
            self.ledger.fold(pattern.pattern, survivor)
        elif pattern.status == "retired":
            self.ledger.drop(pattern.pattern)
            self._confirmed.discard(pattern.pattern)
        elif pattern.status == "confirmed":
            self._confirmed.add(pattern.pattern)
            if len(self._confirmed) > self.config.max_patterns:
                self._confirmed &= set(self.ledger.patterns) | {pattern.pattern}

    def _rename(self, alias: str, survivor: str) -> None:
        self._alias.merge(alias, survivor)
        if alias in self._confirmed:
            self._confirmed.discard(alias)
            self._confirmed.add(survivor)

    def _members(self) -> list[str]:
        """The patterns that take part: heard often enough, which is less once confirmed."""
        config = self.config
        return sorted(
            name
            for name, evidence in self.ledger.patterns.items()
            if evidence.count
            >= (config.confirmed_enough if name in self._confirmed else config.enough)
        )

    def _evaluate(self, now_s: float, final: bool) -> list[Relation]:
        members = self._members()
        links = find_links(self.ledger, members, now_s, self.config)
        explained = indirect_links(links)
        present: dict[str, Relation] = {}
        for link in links:
            if link.kind not in UNREPORTED:
                relation = self._of_link(link, (link.source, link.target) in explained)
                present[relation.key] = relation
        for relation in self._periodic(members, links):
            present[relation.key] = relation
        return self._reported.changes(present, final=final)

    def _of_link(self, link: Link, indirect: bool) -> Relation:
        return Relation(
            stream=self._stream,
            kind=cast("RelationKind", link.kind),
            source=link.source,
            target=link.target,
            support=link.support,
            lag_s=link.lag_s,
            lag_sd_s=link.lag_sd_s,
            probability=link.probability,
            lift=link.lift,
            q=link.q,
            first_s=link.first_s,
            last_s=link.last_s,
            indirect=indirect,
        )

    def _periodic(self, members: list[str], links: list[Link]) -> list[Relation]:
        """One relation for each pattern with a beat; a beat inherited over a link is indirect."""
        beats: dict[str, Beat] = {}
        onsets_us = whole_onsets(self.ledger, members, links)
        for name in members:
            beat = find_beat([onset / 1e6 for onset in onsets_us[name]], self.config)
            if beat is not None:
                beats[name] = beat
        names = sorted(beats)
        q_of = dict(
            zip(names, q_values([beats[name].p for name in names], len(members)), strict=True)
        )
        names = [name for name in names if q_of[name] <= self.config.fdr]
        inherited = inherited_beats({name: beats[name] for name in names}, links)
        return [
            Relation(
                stream=self._stream,
                kind="periodic",
                source=name,
                target="",
                support=beats[name].support,
                lag_sd_s=beats[name].jitter_s,
                period_s=beats[name].period_s,
                probability=beats[name].share,
                lift=beats[name].support / beats[name].expected,
                q=q_of[name],
                first_s=beats[name].first_s,
                last_s=beats[name].last_s,
                indirect=name in inherited,
            )
            for name in names
        ]

    def snapshot(self) -> dict[str, Any]:
        """Everything that survives a restart, as plain data."""
        return {
            "version": VERSION,
            "stream": self._stream,
            "ledger": self.ledger.snapshot(),
            "confirmed": sorted(self._confirmed),
            "alias": self._alias.snapshot(),
            "reported": self._reported.snapshot(),
            "next_s": self._next_s,
        }

    @classmethod
    def restore(
        cls, state: dict[str, Any], config: RelationConfig | None = None
    ) -> "RelationTracker":
        """The tracker that ``snapshot`` described; goes on exactly where it stopped.

        Raises:
            ValueError: the state is of another version.
        """
        if state["version"] != VERSION:
            msg = f"relations: state of version {state['version']}, this build reads {VERSION}"
            raise ValueError(f"{msg}; start without the recovery state")
        tracker = cls(state["stream"], config)
        tracker.ledger = Ledger.restore(state["ledger"], tracker.config)
        tracker._confirmed = set(state["confirmed"])
        tracker._alias = Aliases.restore(state["alias"])
        tracker._reported.resume(state["reported"])
        tracker._next_s = state["next_s"]
        return tracker


def _moved(said: Relation, now: Relation) -> bool:
    """Whether a reader would want to hear of it again: evidence, timing or standing changed."""
    return (
        abs(now.support - said.support) >= max(1.0, 0.1 * said.support)
        or said.indirect != now.indirect
        or abs((now.lag_s or 0.0) - (said.lag_s or 0.0)) > 0.05
        or abs((now.period_s or 0.0) - (said.period_s or 0.0)) > 0.05
    )
