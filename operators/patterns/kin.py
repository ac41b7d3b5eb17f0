"""Templates that turn out to be one sound: merged, or retired as a fragment of a longer one.

Invariant: the survivor keeps its id; the other one's becomes an alias and is never used again.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

import numpy as np

from operators.patterns import announce
from operators.patterns.memory import Memory, Moment
from operators.patterns.rivals import MERGE_LAG, RIGID_FRAMES, Resemblance, resemblance
from operators.patterns.template import Template
from operators.patterns.update import remember
from operators.records import Pattern

PART_SHARE = 0.8
INSIDE_SHARE = 0.75
BESIDE_FRAMES = 15
RIGID_BESIDE = 1.0
RIGID_SHARE = 0.5
SIMILAR_PRINT = 0.6
MEETINGS = 3
MUTUAL, EITHER = 0.55, 0.7
INDEPENDENT = 2
FOUND_INSIDE = 0.65
SLACK_FRAMES = 4


def _between(rows: list[int], first: int, last: int) -> list[int]:
    """Those of ascending rows within [first, last]."""
    return rows[bisect_left(rows, first) : bisect_right(rows, last)]


def lags_inside(part: Template, whole: Template) -> list[int]:
    """Rows of ``whole`` at which ``part`` began, for each of its remembered occurrences inside."""
    longest = whole.frames - part.frames // 2
    return [
        row - start
        for row in part.recent
        for start in _between(whole.recent, row - longest, row + SLACK_FRAMES)
    ]


def adjoining(row: int, frames: int, whole: Template) -> list[int]:
    """Lags at which a stretch lies in or close beside remembered occurrences of ``whole``."""
    first, last = row - whole.frames - BESIDE_FRAMES, row + frames + BESIDE_FRAMES
    return [row - start for start in _between(whole.recent, first, last)]


def beside(part: Template, whole: Template) -> bool:
    """Whether ``part`` is heard at one rigid lag from ``whole`` and hardly ever without it."""
    if part.frames > PART_SHARE * whole.frames:
        return False
    lags = [lag for row in part.recent for lag in adjoining(row, part.frames, whole)[:1]]
    if len(lags) < 3 or len(part.recent) - len(lags) >= INDEPENDENT:
        return False
    return float(np.std(lags)) <= RIGID_BESIDE and len(lags) >= RIGID_SHARE * len(whole.recent)


def independent(part: Template, whole: Template) -> int:
    """Remembered occurrences of ``part`` outside of every one of ``whole``."""
    return sum(
        not _between(whole.recent, row - whole.frames, row + SLACK_FRAMES) for row in part.recent
    )


def fragment(part: Template, whole: Template) -> bool:
    """Whether ``part`` is nothing but a piece of ``whole``."""
    if part.frames > PART_SHARE * whole.frames or len(whole.recent) < 3:
        return False
    inside = lags_inside(part, whole)
    if len(inside) < 2 or independent(part, whole) >= INDEPENDENT:
        return False
    if len(inside) < INSIDE_SHARE * len(part.recent):
        return False
    fits = [resemblance(whole, part, lag).b_in_a for lag in sorted(set(inside))[:8]]
    return float(np.mean(fits)) >= FOUND_INSIDE


def _prints_alike(a: Template, b: Template) -> float:
    one, two = a.shape.print_, b.shape.print_
    return float(
        (one * two).sum() / np.sqrt(max(float((one * one).sum() * (two * two).sum()), 1e-6))
    )


@dataclass(slots=True)
class Kin:
    """One round of looking for templates that are the same."""

    memory: Memory
    moment: Moment

    def settle(self, heard: list[Template]) -> list[Pattern]:
        """Look at the templates that were just heard and those they met."""
        found: list[Pattern] = []
        for template in heard:
            for number in self.memory.rivals.met(template.number):
                other = next((t for t in self.memory.bank.templates if t.number == number), None)
                if other is None or not any(t is template for t in self.memory.bank.templates):
                    continue
                found += self._settle_pair(template, other)
        return found

    def compare(self, fresh: list[Template]) -> list[Pattern]:
        """Hold templates that are new or were rebuilt against all others."""
        found: list[Pattern] = []
        for template in fresh:
            for other in list(self.memory.bank.templates):
                if other is template or template.status in ("merged", "retired"):
                    continue
                part = next(
                    (
                        p
                        for p, w in ((other, template), (template, other))
                        if fragment(p, w) or beside(p, w)
                    ),
                    None,
                )
                if part is not None:
                    found += self.retire(part)
                    continue
                if _prints_alike(template, other) < SIMILAR_PRINT:
                    continue
                alike = resemblance(template, other, template.lead - other.lead)
                if min(alike.a_in_b, alike.b_in_a) >= self.memory.config.merge_at_birth:
                    found += self._merge(template, other, alike)
        return found

    def _settle_pair(self, a: Template, b: Template) -> list[Pattern]:
        for whole, part in ((a, b), (b, a)):
            if fragment(part, whole) or beside(part, whole):
                return self.retire(part)
        n, lag, spread = self.memory.rivals.lag(a.number, b.number)
        if n < MEETINGS or spread > RIGID_FRAMES or abs(lag) > MERGE_LAG:
            return []
        claims = [max(1, self.memory.rivals.claims.get(t.number, 1)) for t in (a, b)]
        alike = resemblance(a, b, round(lag))
        both = sorted((alike.a_in_b, alike.b_in_a))
        if n >= 0.4 * min(claims) and both[0] >= MUTUAL and both[1] >= EITHER:
            return self._merge(a, b, alike)
        return []

    def _merge(self, a: Template, b: Template, alike: Resemblance) -> list[Pattern]:
        """The one heard more often (the older, if equal) takes in the other."""
        keep, gone, lag, gain = a, b, alike.lag, alike.gain
        if (b.count, -b.number) > (a.count, -a.number):
            keep, gone, lag, gain = b, a, -lag, -gain
        keep.count += gone.count
        keep.score_sum += gone.score_sum
        keep.first_sample = min(keep.first_sample, gone.first_sample)
        keep.last_sample = max(keep.last_sample, gone.last_sample)
        keep.salience += gone.salience
        for clip in gone.exemplars:
            moved = replace(clip, anchor=clip.anchor - lag, gain=clip.gain + gain)
            remember(keep, moved, self.memory.config)
        for row in gone.recent:
            keep.heard_at(row - lag)
        gone.status = "merged"
        self.memory.told.merged(gone.pattern, keep.pattern)
        self._remove(gone)
        return [
            announce.pattern(gone, self.moment, into=keep.pattern),
            announce.pattern(keep, self.moment),
        ]

    def retire(self, gone: Template) -> list[Pattern]:
        """It is no sound of its own; what was told of it is left to hindsight."""
        gone.status = "retired"
        self._remove(gone)
        return [announce.pattern(gone, self.moment)]

    def _remove(self, gone: Template) -> None:
        self.memory.bank.remove(gone)
        self.memory.rivals.forget(gone.number)
