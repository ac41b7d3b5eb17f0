"""Which patterns are one sound at another pitch or pace, and what has to be said about it.

A pair is looked at cell by cell only if it stands out of all pairs at a glance, and only when one
of its templates has changed; a few pairs an interval, the rest with the next ones. It is a variant
if the cells agree well and clearly better slid (or at one length) than as they are: what fits best
as it is, is one sound in two patterns. Dense templates are left out: noise fits everything.

It needs no vectors, and a variant need not be ``similar``, nor the other way round: they are told
of different evidence, and a model may well hear a transposed sound as something else.

Invariant: bounded; what is told depends on the templates and on the order of intervals alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from operators.kinship.config import KinshipConfig
from operators.kinship.transposed import Fit, Look, compare, glance
from operators.records import Pattern, Relation
from operators.reported import Reported

Pair = tuple[str, str]


@dataclass(slots=True)
class _Known:
    """A pattern's latest template, and what its record said beside it."""

    template: bytes
    look: Look
    count: int
    first_s: float
    last_s: float


class Variants:
    """The ``variant`` relations of one stream."""

    def __init__(self, stream: str, config: KinshipConfig) -> None:
        self._stream = stream
        self._config = config
        self._known: dict[str, _Known] = {}
        self._glances: dict[Pair, float] = {}
        self._fits: dict[Pair, Fit] = {}
        self._reported = Reported(_moved)
        self._changed = False

    def learn(self, pattern: Pattern) -> None:
        """Take the news of a pattern; without a template only its count."""
        name = pattern.pattern
        known = self._known.get(name)
        if pattern.status in ("merged", "retired"):
            self._forget(name)
        elif pattern.template and (known is None or pattern.template != known.template):
            look = Look.read(pattern.template)
            self._forget(name)
            if look is not None and look.density <= self._config.max_density:
                self._take(name, _Known(pattern.template, look, 0, 0.0, 0.0))
        if name in self._known:
            known = self._known[name]
            known.count, known.first_s, known.last_s = (
                pattern.count,
                pattern.first_s,
                pattern.last_s,
            )

    def tell(self, *, final: bool) -> list[Relation]:
        """Relations that are withdrawn, new, or changed (``final``: however little)."""
        if not (self._changed or final):
            return []
        present = self._present(None if final else self._config.max_compared)
        return self._reported.changes(present, final=final)

    def _take(self, name: str, known: _Known) -> None:
        if len(self._known) >= self._config.max_templates:
            self._forget(min(self._known, key=lambda n: (self._known[n].last_s, n)))
        for other, theirs in self._known.items():
            first, second = sorted(((name, known.look), (other, theirs.look)), key=lambda e: e[0])
            self._glances[first[0], second[0]] = glance(first[1], second[1])[0]
        self._known[name] = known
        self._changed = True

    def _forget(self, name: str) -> None:
        if self._known.pop(name, None) is not None:
            self._changed = True
            for pairs in (self._glances, self._fits):
                for pair in [pair for pair in pairs if name in pair]:
                    del pairs[pair]

    def _candidates(self) -> list[Pair]:
        """Pairs that stand out at a glance, the likeliest first."""
        if len(self._known) < self._config.min_patterns:
            return []
        values = np.array(list(self._glances.values()))
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        bar = middle + self._config.min_glance_z * spread
        standing = (pair for pair, value in self._glances.items() if value >= bar)
        partners: dict[str, int] = {}
        chosen = []
        for pair in sorted(standing, key=lambda pair: (-self._glances[pair], pair)):
            ranks = [partners.get(name, 0) for name in pair]
            if min(ranks) < self._config.max_partners:
                chosen.append(pair)
                partners.update(zip(pair, (rank + 1 for rank in ranks), strict=True))
        return chosen

    def _present(self, at_most: int | None) -> dict[str, Relation]:
        """Relations by key; what was told and could not be compared again yet still stands."""
        pairs = self._candidates()
        told = {(each.source, each.target): key for key, each in self._reported.standing.items()}
        waiting = [pair for pair in pairs if pair not in self._fits]
        waiting.sort(key=lambda pair: pair not in told)
        for pair in waiting[:at_most]:
            first, second = (self._known[name].look for name in pair)
            self._fits[pair] = compare(first, second)
        self._changed = at_most is not None and len(waiting) > at_most
        present = {}
        for pair in pairs:
            fit = self._fits.get(pair)
            if fit is not None and self._is_variant(fit):
                relation = self._relation(pair, fit)
                present[relation.key] = relation
            elif fit is None and pair in told:
                present[told[pair]] = self._reported.standing[told[pair]]
        return present

    def _is_variant(self, fit: Fit) -> bool:
        config = self._config
        return fit.score >= config.min_fit and fit.score >= fit.plain + config.min_gain

    def _relation(self, pair: Pair, fit: Fit) -> Relation:
        first, second = (self._known[name] for name in pair)
        return Relation(
            stream=self._stream,
            kind="variant",
            source=pair[0],
            target=pair[1],
            support=min(first.count, second.count),
            probability=fit.score,
            first_s=min(first.first_s, second.first_s),
            last_s=max(first.last_s, second.last_s),
        )

    def snapshot(self) -> dict[str, Any]:
        """Templates, comparisons and what was reported, as plain data."""
        return {
            "known": [
                [name, each.template, each.count, each.first_s, each.last_s]
                for name, each in self._known.items()
            ],
            "fits": [
                [*pair, fit.score, fit.plain, fit.bands, fit.pace]
                for pair, fit in self._fits.items()
            ],
            "reported": self._reported.snapshot(),
            "changed": self._changed,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where ``snapshot`` was taken."""
        for name, template, count, first_s, last_s in state["known"]:
            look = Look.read(template)
            if look is not None:
                self._take(name, _Known(template, look, count, first_s, last_s))
        self._fits = {(a, b): Fit(*fit) for a, b, *fit in state["fits"]}
        self._reported.resume(state["reported"])
        self._changed = state["changed"]


def _moved(before: Relation, now: Relation) -> bool:
    """Whether a reader would want to hear of it again."""
    grown = now.support - before.support >= max(1.0, 0.1 * before.support)
    return grown or abs((now.probability or 0.0) - (before.probability or 0.0)) > 0.05
