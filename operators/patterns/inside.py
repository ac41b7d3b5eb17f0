"""Looks for a known sound inside of a longer known one, which would account for its cells.

A single faint part of a louder whole proves little. All remembered occurrences of the whole
together prove more: they tell what it sounds like without the part, so that where the part is, both
together explain what was heard better than the whole alone (see ``masked``); and a part that has
its place in the whole stands out there against every other place (see ``placed``).

Invariants: only what is also heard on its own is looked for; what lies at one place in every
occurrence, always as loud, is a piece of the whole and explains nothing more; one place has one
part; nothing is found twice; nothing is learnt from what is found, because the whole sounds along.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from operators.patterns.accept import acceptance
from operators.patterns.along import Laid
from operators.patterns.archive import Archive
from operators.patterns.backfill import heard_before
from operators.patterns.canvas import Canvas, View
from operators.patterns.config import DetectorConfig
from operators.patterns.looked import Held, Looked, Sight, Spot
from operators.patterns.masked import Backdrop, backdrops, gains_of
from operators.patterns.match import Fit, Placement, exact
from operators.patterns.memory import Memory
from operators.patterns.pieces import WHOLES, may_contain
from operators.patterns.placed import placed
from operators.patterns.template import PRINT_FRAMES, Template

EDGE_FRAMES = 8
LATEST = 16
"""How many occurrences of the whole are looked at."""
SLACK_FRAMES = 2
APART_FRAMES, AFTER_ONSET_FRAMES = 8, 5
FIRST_ROW = EDGE_FRAMES - SLACK_FRAMES
"""Row of an occurrence at which the first of the places lies."""
SHARE, WORTH, SCORE = 0.3, 12.0, 0.3
"""Least worth of a part of what is possible, and in all; least acceptance but for its share."""
SUPPORT, SUPPORT_SHARE = 3, 0.3
"""In how many of the occurrences it has to be, and in which share of them."""
COVERED = 0.5
"""Share of a part from which a place is another sound's."""

_Stretch: TypeAlias = tuple[int, int, int]
"""Place, length in frames and number of the template."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part found in a whole: ``first`` = absolute frame of the part's row 0."""

    template: Template
    fit: Fit
    first: int


@dataclass(slots=True)
class _Whole:
    """A longer sound whose latest occurrences are looked through: their rows 0 in ``rows``.

    What was heard there is unpacked only when there is something new to look for.
    """

    template: Template
    archive: Archive
    rows: list[int] = field(init=False)
    held: Held = field(init=False)
    _canvases: list[Canvas] = field(default_factory=list)
    _backdrops: tuple[Backdrop, Backdrop] | None = None
    _laid: Laid | None = None

    def __post_init__(self) -> None:
        held: dict[int, tuple[tuple[int, int], ...]] = {}
        for row in self.template.recent[-LATEST:]:
            spans = self.archive.between(*self._reach(row), self.template.origin_ns)
            if spans and all(row - other >= APART_FRAMES for other in held):
                held[row] = tuple((span.start, len(span.codes)) for span in spans)
        self.rows, self.held = list(held), tuple(held.items())

    def _reach(self, row: int) -> tuple[int, int]:
        return row - EDGE_FRAMES, row + self.template.frames + EDGE_FRAMES

    @property
    def canvases(self) -> list[Canvas]:
        """What was heard around each occurrence."""
        if not self._canvases:
            origin_ns = self.template.origin_ns
            heard = [self.archive.excerpt(*self._reach(row), origin_ns) for row in self.rows]
            self._canvases = [canvas for canvas in heard if canvas is not None]
        return self._canvases

    def places(self, part: Template) -> int:
        """How many places a part can have in it."""
        return self.template.frames - part.frames + 3 * SLACK_FRAMES

    @property
    def laid(self) -> Laid:
        """The occurrences side by side."""
        if self._laid is None:
            self._laid = Laid.of(self.canvases)
        return self._laid

    @property
    def backdrops(self) -> tuple[Backdrop, Backdrop]:
        """What the whole is like without a part."""
        if self._backdrops is None:
            self._backdrops = backdrops(self.canvases, self.template, EDGE_FRAMES)
        return self._backdrops


@dataclass(slots=True)
class Inside:
    """Looks through the remembered occurrences of longer sounds."""

    templates: Sequence[Template]
    archive: Archive
    config: DetectorConfig
    looked: Looked

    @classmethod
    def of(cls, memory: Memory) -> "Inside":
        """Over all that a detector remembers."""
        return cls(memory.bank.templates, memory.archive, memory.config, memory.looked)

    def parts(self, fresh: Template) -> list[Part]:
        """New occurrences of one that is new or has become better, in longer sounds and of shorter.

        Which is to say: of ``fresh`` in those that may contain it, and of parts in ``fresh``.
        """
        found: list[Part] = []
        for whole in self.templates:
            if may_contain(whole, fresh):
                found += self._among([fresh], whole)
        return found + self.parts_of(fresh)

    def parts_of(self, whole: Template) -> list[Part]:
        """New occurrences, in one longer sound, of those shorter ones that may be parts of it."""
        return self._among([part for part in self.templates if may_contain(whole, part)], whole)

    def own(self, part: Template, whole: Template) -> bool:
        """Whether a part that keeps its place in a whole explains what the whole does not."""
        if len(whole.recent) < WHOLES or whole.frames <= part.frames:
            return False
        heard = _Whole(whole, self.archive)
        return _supported(self._spots(part, heard), heard)

    def _among(self, parts: Sequence[Template], whole: Template) -> list[Part]:
        if not parts:
            return []
        heard = _Whole(whole, self.archive)
        spots = {part.number: self._spots(part, heard) for part in parts}
        if not any(spots.values()):
            return []
        taken = self._taken(heard)
        found: list[Part] = []
        # Those that explain most come first, and each place has one part.
        for part in sorted(parts, key=lambda p: (-sum(s.share for s in spots[p.number]), p.number)):
            free = [s for s in spots[part.number] if not _covered(s, part, taken[s.number])]
            if _supported(free, heard):
                for spot in free:
                    taken[spot.number].append((spot.place, part.frames, part.number))
                found += self._new(part, heard, free)
        return found

    def _taken(self, whole: _Whole) -> list[list[_Stretch]]:
        """What other sounds are known to lie in each occurrence."""
        taken: list[list[_Stretch]] = [[] for _ in whole.rows]
        for other in self.templates:
            if other is whole.template:
                continue
            for number, row in enumerate(whole.rows):
                first = bisect_right(other.recent, row - other.frames)
                last = bisect_left(other.recent, row + whole.template.frames)
                taken[number] += [
                    (at - row + SLACK_FRAMES, other.frames, other.number)
                    for at in other.recent[first:last]
                    # What the whole lies in itself leaves room for its parts.
                    if at > row or at + other.frames < row + whole.template.frames
                ]
        return taken

    def _spots(self, part: Template, whole: _Whole) -> tuple[Spot, ...]:
        """Where the part may be: the likeliest place in each occurrence."""
        sight = Sight.of(part, whole.template, whole.held)
        spots = self.looked.recall(sight)
        if spots is None:
            spots = tuple(self._search(part, whole))
            self.looked.note(sight, spots)
        return spots

    def _search(self, part: Template, whole: _Whole) -> list[Spot]:
        if len(whole.rows) < WHOLES or part.origin_ns != whole.template.origin_ns:
            return []
        spots = [*self._masked(part, whole)]
        return spots if _supported(spots, whole) else self._placed(part, whole) or spots

    def _masked(self, part: Template, whole: _Whole) -> Iterable[Spot]:
        """Where both together explain far better what was heard than the whole alone."""
        gains = gains_of(part)
        if not gains:
            return
        places = whole.places(part)
        others, around = (each.weigh(part, gains, FIRST_ROW, places) for each in whole.backdrops)
        # Nothing may hang on the last bit of a sum of floats.
        share = np.round(np.minimum(others.share, around.share), 4)
        worth = np.round(np.minimum(others.worth, around.worth), 2)
        worth[(share < SHARE) | (worth < WORTH)] = 0
        for number, place in enumerate(worth.argmax(axis=1)):
            if worth[number, place] > 0:
                fit = self._fit(part, whole, number, int(place))
                score = acceptance(fit, part, self.config.acceptance, explained=1.0)
                if score >= SCORE:
                    yield Spot(number, int(place), float(share[number, place]))

    def _placed(self, part: Template, whole: _Whole) -> list[Spot]:
        """Where all occurrences resemble it as nowhere else."""
        likeness = np.round(whole.laid.likeness(part, FIRST_ROW, whole.places(part)), 4)
        found = placed(likeness, part.frames, lambda n, at: self._fit(part, whole, n, at))
        after = SLACK_FRAMES + whole.template.lead - part.lead + AFTER_ONSET_FRAMES
        if found and np.median([at for _, at, _ in found]) < after:
            return []
        return [Spot(number, at, float(likeness[number, at])) for number, at, _ in found]

    def _fit(self, part: Template, whole: _Whole, number: int, place: int) -> Fit:
        view = View.of(whole.canvases[number], PRINT_FRAMES)
        at = Placement(0, PRINT_FRAMES + FIRST_ROW + place, 1.0, True, 1.0)
        return exact(view, part, at, self.config)

    def _new(self, part: Template, whole: _Whole, spots: Sequence[Spot]) -> Iterable[Part]:
        """Those that were not heard before; noted, so that none is found twice."""
        for spot in spots:
            first = whole.rows[spot.number] + spot.place - SLACK_FRAMES
            if heard_before(part, first):
                continue
            part.heard_at(first)
            yield Part(part, self._fit(part, whole, spot.number, spot.place), first)


def _supported(spots: Sequence[Spot], whole: _Whole) -> bool:
    """Whether a part lies in enough of the occurrences."""
    return len(spots) >= max(SUPPORT, SUPPORT_SHARE * len(whole.rows))


def _covered(spot: Spot, part: Template, taken: Sequence[_Stretch]) -> bool:
    """Whether another sound takes most of a place."""
    return any(
        min(spot.place + part.frames, first + frames) - max(spot.place, first)
        > COVERED * part.frames
        for first, frames, number in taken
        if number != part.number
    )
