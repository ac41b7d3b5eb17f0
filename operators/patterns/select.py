"""Which of the matches of a region happened? Greedy, each must explain something new.

A second pass compares what was left over again with the accounted-for cells taken out: that finds
the quieter of two overlapping sounds.

Invariant: the result depends on the matches as a set, not on their order.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.patterns.accept import acceptance
from operators.patterns.canvas import LOUDEST_DB, View
from operators.patterns.config import DetectorConfig
from operators.patterns.match import Fit, Placement, exact
from operators.patterns.template import Template

TOUCH_FRAMES = 4


@dataclass(frozen=True, slots=True)
class Hit:
    """A match with its acceptance."""

    fit: Fit
    score: float
    nested: bool = False

    @property
    def index(self) -> int:
        """Which template."""
        return self.fit.place.index

    @property
    def rank(self) -> tuple[float, int, int]:
        """Order of selection, best first."""
        worth = self.score**2 * math.sqrt(max(self.fit.energy, 0))
        return (-round(worth, 4), self.fit.place.row, self.index)


def judged(
    view: View, templates: list[Template], places: list[Placement], config: DetectorConfig
) -> list[Hit]:
    """Compare every placement exactly."""
    hits = []
    for place in places:
        fit = exact(view, templates[place.index], place, config)
        hits.append(Hit(fit, acceptance(fit, templates[place.index], config.acceptance)))
    return hits


def plausible(hits: list[Hit], config: DetectorConfig, *, second: bool) -> list[Hit]:
    """Those accepted as such, best first; one a template within a few frames."""
    weights = config.acceptance
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda h: h.rank):
        if hit.score < weights.threshold or (second and hit.fit.raw < weights.second_pass_raw):
            continue
        if any(same_place(hit, other) for other in kept):
            continue
        kept.append(hit)
    return kept


def same_place(a: Hit, b: Hit) -> bool:
    """Whether two matches are the same template at (nearly) the same place."""
    reach = min(8, max(3, len(a.fit.claims) // 4))
    return a.index == b.index and abs(a.fit.place.row - b.fit.place.row) <= reach


def select(
    view: View, hits: list[Hit], taken: NDArray[np.bool_], config: DetectorConfig
) -> list[Hit]:
    """Take matches in order while each explains enough that no better one explained.

    Args:
        view: the padded canvas; its ``known`` levels are raised by what is taken.
        hits: plausible matches, best first.
        taken: (rows, BANDS) bool of the cells accounted for; updated.
        config: how much must be new.
    """
    chosen: list[Hit] = []
    for hit in hits:
        rows = hit.fit.rows
        energy = np.clip(view.level[rows] - view.noise[rows], 0, LOUDEST_DB)
        mine = np.where(hit.fit.claims, energy, 0)
        total = float(mine.sum())
        new = float(np.where(taken[rows], 0, mine).sum())
        if total <= 0 or new < config.contribution * total:
            continue
        chosen.append(hit)
        taken[rows] |= hit.fit.claims
        np.maximum(view.known[rows], hit.fit.predicted, out=view.known[rows])
    return chosen


def continues(hit: Hit, other: Hit) -> bool:
    """Whether a match overlaps or touches another one of the same template."""
    a, b = hit.fit.rows, other.fit.rows
    touch = a.start <= b.stop + TOUCH_FRAMES and b.start <= a.stop + TOUCH_FRAMES
    return hit.index == other.index and bool(touch)


def inside(part: Hit, whole: Hit) -> bool:
    """Whether a match lies within a clearly longer one."""
    inner, outer = part.fit.rows, whole.fit.rows
    longer = outer.stop - outer.start >= 1.6 * (inner.stop - inner.start)
    return bool(longer and outer.start - 2 <= inner.start and inner.stop <= outer.stop + 4)


def overlap(a: Hit, b: Hit) -> bool:
    """Whether two matches share time."""
    return bool(a.fit.rows.start < b.fit.rows.stop and b.fit.rows.start < a.fit.rows.stop)
