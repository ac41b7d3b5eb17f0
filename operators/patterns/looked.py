"""What came of looking for one sound inside another, so that it is not looked for twice.

A look back goes through all pairs of sounds that one may lie in the other, and finds most of them,
and all they are judged by, as they were the last time.

Invariants: recalled only where looking again would find the same, so that it may be forgotten at
any time, and is no part of a snapshot; at most PAIRS pairs.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from operators.patterns.template import Shape, Template

PAIRS = 65_536
Held: TypeAlias = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
"""Row 0 of each occurrence, and start and length of the spans that remember it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a part may be: in which occurrence of the whole, at which place, how well."""

    number: int
    place: int
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A pair of sounds, and all that decides what is found of one in the other."""

    pair: tuple[int, int]
    shapes: tuple[Shape, Shape]
    about: tuple[tuple[int, int], tuple[float, ...], float, Held]

    @classmethod
    def of(cls, part: Template, whole: Template, held: Held) -> "Sight":
        """As they are now; ``held`` = where the whole is looked through."""
        gains = tuple(clip.gain for clip in part.exemplars)
        about = ((part.lead, whole.lead), gains, part.tail, held)
        return cls((part.number, whole.number), (part.shape, whole.shape), about)

    def same(self, other: "Sight") -> bool:
        """Whether looking at this finds what was found at the other."""
        shapes = all(a is b for a, b in zip(self.shapes, other.shapes, strict=True))
        return shapes and self.about == other.about


@dataclass(slots=True)
class Looked:
    """The latest look at every pair."""

    _pairs: dict[tuple[int, int], tuple[Sight, tuple[Spot, ...]]] = field(default_factory=dict)
    _asked: dict[tuple[int, int], tuple[Sight, tuple[Spot, ...]]] = field(default_factory=dict)

    def recall(self, sight: Sight) -> tuple[Spot, ...] | None:
        """What was found, or None if it has to be looked at."""
        before = self._pairs.get(sight.pair)
        if before is None or not sight.same(before[0]):
            return None
        self._asked[sight.pair] = before
        return before[1]

    def note(self, sight: Sight, spots: tuple[Spot, ...]) -> None:
        """Remember what was found."""
        if len(self._pairs) >= PAIRS:
            self._pairs, self._asked = {}, {}
        self._pairs[sight.pair] = self._asked[sight.pair] = (sight, spots)

    def sweep(self) -> None:
        """Forget what was not asked for since the last sweep."""
        self._pairs, self._asked = self._asked, {}
