"""Templates that turn out to be one sound: merged, or retired as a fragment of a longer one.

Invariant: the survivor keeps its id; the other one's becomes an alias and is never used again.
"""

from dataclasses import dataclass, replace

import numpy as np

from operators.patterns import announce
from operators.patterns.inside import Inside
from operators.patterns.memory import Memory, Moment
from operators.patterns.pieces import beside, fragment
from operators.patterns.pitch import FINE_SPEEDS, played
from operators.patterns.rivals import MERGE_LAG, RIGID_FRAMES, Resemblance, resemblance
from operators.patterns.template import Shape, Template
from operators.patterns.update import remember
from operators.records import Pattern

SIMILAR_PRINT = 0.6
MEETINGS = 3
MUTUAL, EITHER = 0.55, 0.7
RELATED, RETUNED = 0.3, 0.75
"""What is RELATED alike may be the same at another pitch; RETUNED alike at that pitch, it is."""


def _apart(a: Template, b: Template) -> bool:
    """Whether they were one template and turned out to be two sounds."""
    return a.number == b.apart or b.number == a.apart


def _prints_alike(a: Template, b: Template) -> float:
    one, two = a.shape.print_, b.shape.print_
    return float(
        (one * two).sum() / np.sqrt(max(float((one * one).sum() * (two * two).sum()), 1e-6))
    )


def _retuned(a: Template, b: Template, lag: int) -> Resemblance | None:
    """How they resemble each other if one sound was founded at two pitches; None if it was not."""
    if len(a.speeds) == 1 or len(b.speeds) == 1:
        return None
    for speed in FINE_SPEEDS:
        alike = resemblance(a, b, lag, Shape.of(played(b.level, speed), b.floor))
        if min(alike.a_in_b, alike.b_in_a) >= RETUNED:
            return alike
    return None


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
                    (p for p, w in ((other, template), (template, other)) if self._piece(p, w)),
                    None,
                )
                if part is not None:
                    found += self.retire(part)
                    continue
                if _apart(template, other) or _prints_alike(template, other) < SIMILAR_PRINT:
                    continue
                lag = template.lead - other.lead
                alike = resemblance(template, other, lag)
                least = min(alike.a_in_b, alike.b_in_a)
                if least >= self.memory.config.merge_at_birth:
                    found += self._merge(template, other, alike)
                elif least >= RELATED and (retuned := _retuned(template, other, lag)):
                    found += self._merge(template, other, retuned, learns=False)
        return found

    def _settle_pair(self, a: Template, b: Template) -> list[Pattern]:
        for whole, part in ((a, b), (b, a)):
            if self._piece(part, whole):
                return self.retire(part)
        n, lag, spread = self.memory.rivals.lag(a.number, b.number)
        if _apart(a, b) or n < MEETINGS or spread > RIGID_FRAMES or abs(lag) > MERGE_LAG:
            return []
        claims = [max(1, self.memory.rivals.claims.get(t.number, 1)) for t in (a, b)]
        alike = resemblance(a, b, round(lag))
        both = sorted((alike.a_in_b, alike.b_in_a))
        if n >= 0.4 * min(claims) and both[0] >= MUTUAL and both[1] >= EITHER:
            return self._merge(a, b, alike)
        return []

    def _piece(self, part: Template, whole: Template) -> bool:
        """Whether one is nothing but a piece of the other, or of what follows it."""
        return beside(part, whole) or (fragment(part, whole) and not self.own(part, whole))

    def own(self, part: Template, whole: Template) -> bool:
        """Whether one explains what the other does not, so that it is a sound of its own."""
        return Inside.of(self.memory).own(part, whole)

    def _merge(
        self, a: Template, b: Template, alike: Resemblance, *, learns: bool = True
    ) -> list[Pattern]:
        """The one heard more often (the older, if equal) takes in the other.

        It learns from what was heard of that one, unless it was of another pitch.
        """
        keep, gone, lag, gain = a, b, alike.lag, alike.gain
        if (b.count, -b.number) > (a.count, -a.number):
            keep, gone, lag, gain = b, a, -lag, -gain
        keep.count += gone.count
        keep.score_sum += gone.score_sum
        keep.first_sample = min(keep.first_sample, gone.first_sample)
        keep.last_sample = max(keep.last_sample, gone.last_sample)
        keep.salience += gone.salience
        for clip in gone.exemplars if learns else ():
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
