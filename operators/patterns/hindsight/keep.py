"""What the last look back saw, so that only stretches are decided again for which it matters.

A stretch is decided again when a template that was plausible there is gone or has changed
materially, or when a new or changed one is plausible there now. Changes are measured against the
template as it was when it last counted as changed, so that small ones add up.

Invariant: part of the snapshot, so that a restored detector decides what the other would have;
bounded by the archive and the number of templates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import numpy as np

from operators.patterns.hindsight.seen import Seen
from operators.patterns.levels import EMPTY
from operators.patterns.template import Template
from operators.records import Floats

MATERIAL_DB = 1.5
"""Mean change of the cells of a template that can change what it matches."""
SLACK_FRAMES, SLACK_SHARE = 4, 0.15
"""By how much its end may move without that."""
PLAIN = tuple(each.name for each in fields(Seen))

Key: TypeAlias = tuple[int, int, int]
"""Origin, first frame and rows of a stretch."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was seen in a stretch, and the numbers of all templates that were plausible there."""

    seen: tuple[Seen, ...]
    plausible: frozenset[int]


@dataclass(slots=True)
class Kept:
    """Verdicts by stretch; levels and lead of the templates that they were reached with."""

    verdicts: dict[Key, Verdict] = field(default_factory=dict)
    templates: dict[int, tuple[Floats, int]] = field(default_factory=dict)
    _plain: list[tuple[Any, ...]] = field(default_factory=list)

    def changed(self, templates: Iterable[Template]) -> frozenset[int]:
        """Numbers of templates that are new, gone or materially different; these are noted."""
        now = {t.number: t for t in templates}
        changed = {number for number in self.templates if number not in now}
        for number in changed:
            del self.templates[number]
        for number, template in now.items():
            before = self.templates.get(number)
            if before is None or _differs(template, *before):
                changed.add(number)
                self.templates[number] = (template.level, template.lead)
        return frozenset(changed)

    def retain(self, verdicts: Mapping[Key, Verdict]) -> None:
        """From now on these are the verdicts."""
        self.verdicts = dict(verdicts)
        self._plain = [
            (*key, sorted(v.plausible), [[getattr(s, name) for name in PLAIN] for s in v.seen])
            for key, v in self.verdicts.items()
        ]

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``)."""
        return {
            "verdicts": self._plain,
            "templates": [
                [number, level.astype(np.float16), lead]
                for number, (level, lead) in self.templates.items()
            ],
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Kept":
        """What ``snapshot`` described."""
        kept = cls()
        for origin_ns, start, rows, plausible, seen in state["verdicts"]:
            ones = tuple(Seen(**dict(zip(PLAIN, s, strict=True))) for s in seen)
            kept.verdicts[origin_ns, start, rows] = Verdict(ones, frozenset(plausible))
        kept.retain(kept.verdicts)
        for number, level, lead in state["templates"]:
            kept.templates[number] = (np.asarray(level, dtype=np.float32), lead)
        return kept


def _differs(template: Template, level: Floats, lead: int) -> bool:
    if template.level is level and template.lead == lead:
        return False
    frames = min(len(level), len(template.level))
    longer = max(len(level), len(template.level)) - frames
    if template.lead != lead or longer > max(SLACK_FRAMES, SLACK_SHARE * frames):
        return True
    now, then = template.level[:frames], level[:frames]
    audible = (now > EMPTY + 5) | (then > EMPTY + 5)
    away = np.minimum(np.abs(now - then), 10.0)[audible]
    return bool(away.size) and float(away.mean()) > MATERIAL_DB
