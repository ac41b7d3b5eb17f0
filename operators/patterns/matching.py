"""Which known sounds a stretch of sound holds: propose, compare, accept, select, twice.

The second round works on what the first left over: its cells are taken out of the fingerprints
and of the comparison, and places where something unexplained sets in count as onsets. That finds
the quieter of two overlapping sounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from operators.patterns.bank import Bank
from operators.patterns.canvas import Canvas, View
from operators.patterns.config import DetectorConfig
from operators.patterns.match import Placement, coarse
from operators.patterns.memory import Memory
from operators.patterns.pieces import independent
from operators.patterns.propose import cosines, print_rows, propose
from operators.patterns.residue import explained_cells, pooled_usable, residual_onsets
from operators.patterns.rivals import Rivals
from operators.patterns.select import (
    Hit,
    continues,
    inside,
    judged,
    overlap,
    plausible,
    same_place,
    select,
)
from operators.patterns.template import Template
from operators.records import BANDS, Floats

NESTED_RAW = 0.82
NESTED_OCCLUSION = 0.2
NESTED_SCORE = 0.5
NESTED_AUDIBLE = 0.5
ONSET_SLACK = 3
INDEPENDENT = 2


@dataclass(frozen=True, slots=True)
class Search:
    """Where the templates of a bank could sit in the part of a view that is under decision.

    Attributes:
        first, last: padded rows between which row 0 of a template may lie.
        onsets: padded rows.
    """

    bank: Bank
    view: View
    rows: Floats
    first: int
    last: int
    onsets: list[int]
    config: DetectorConfig

    @classmethod
    def of(
        cls,
        bank: Bank,
        canvas: Canvas,
        view: View,
        onsets: list[int],
        limit: int,
        config: DetectorConfig,
    ) -> "Search":
        """Between ``canvas.due`` and ``limit``; these and the onsets are absolute frames."""
        shift = view.pad - canvas.start
        return cls(
            bank=bank,
            view=view,
            rows=print_rows(view.level, view.floor),
            first=shift + canvas.due - max(4, int(bank.matrices()[2].max()) + 2),
            last=shift + limit,
            onsets=[shift + onset for onset in onsets],
            config=config,
        )

    def places(self) -> list[Placement]:
        """As if nothing were accounted for in the fingerprints."""
        return self._places(self.onsets, None)

    def places_left(self) -> list[Placement]:
        """In what is left, where the places at which something of it sets in are onsets, too."""
        explained = explained_cells(self.view)
        starts = self.onsets + residual_onsets(self.view, explained, self.first, self.last)
        return self._places(starts, pooled_usable(explained))

    def _places(self, onsets: list[int], usable: Floats | None) -> list[Placement]:
        prints, masks, leads = self.bank.matrices()
        score = cosines(self.rows, prints, masks, self.first, self.last, usable)
        candidates = propose(score, self.first, onsets, leads, self.config)
        return coarse(self.view, self.bank.templates, candidates, self.config.coarse)


def matches(memory: Memory, canvas: Canvas, view: View, onsets: list[int], limit: int) -> list[Hit]:
    """The known sounds that set in between ``canvas.due`` and ``limit``, in order of time.

    Args:
        memory: knows the templates; learns who rivals whom.
        canvas: the stretch under decision.
        view: its padded view; ``known`` is raised by what is found.
        onsets: absolute frames.
        limit: absolute frame.
    """
    templates, config = memory.bank.templates, memory.config
    if not templates or limit <= canvas.due:
        return []
    search = Search.of(memory.bank, canvas, view, onsets, limit, config)
    taken = np.zeros((len(view.level), BANDS), dtype=np.bool_)

    hits = judged(view, templates, search.places(), config)
    ranked = plausible(hits, config, second=False)
    chosen = select(view, _once(ranked, templates, search.onsets), taken, config)
    note_rivals(memory.rivals, templates, ranked, chosen)

    if chosen:
        # Where nothing was taken out, nothing changed.
        same = [hit for hit in hits if not any(overlap(hit, c) for c in chosen)]
        left = [
            hit.fit.place for hit in hits if not any(hit is other for other in (*chosen, *same))
        ]
        tried = {(hit.fit.place.index, hit.fit.place.row) for hit in hits}
        places = left + [p for p in search.places_left() if (p.index, p.row) not in tried]
        again = plausible([*judged(view, templates, places, config), *same], config, second=True)
        near = [h for h in again if not any(same_place(h, c) for c in chosen)]
        chosen += select(view, _once(near, templates, search.onsets, chosen), taken, config)
        chosen += _nested(templates, chosen, hits)
    return sorted(chosen, key=lambda h: (h.fit.place.row, h.index))


def _once(
    hits: list[Hit], templates: list[Template], at: list[int], before: Sequence[Hit] = ()
) -> list[Hit]:
    """Leave out matches that only continue a better one of the same template.

    A steady sound longer than its template fits again where the first match ends; without an onset
    there that is no second occurrence.
    """
    kept: list[Hit] = []
    for hit in hits:
        place = hit.fit.place
        onset = place.row + round(templates[hit.index].lead * place.tempo)
        sets_in = any(abs(onset - row) <= ONSET_SLACK for row in at)
        if sets_in or not any(continues(hit, other) for other in (*before, *kept)):
            kept.append(hit)
    return kept


def _nested(templates: list[Template], chosen: list[Hit], hits: list[Hit]) -> list[Hit]:
    """Known sounds that are part of a longer one and also occur on their own."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda h: h.rank):
        fit, part = hit.fit, templates[hit.index]
        wholes = [h for h in chosen if inside(hit, h)]
        if not wholes or fit.raw < NESTED_RAW or fit.occlusion > NESTED_OCCLUSION:
            continue
        if hit.score < NESTED_SCORE or fit.audible < NESTED_AUDIBLE:
            continue
        if any(same_place(hit, h) or continues(hit, h) for h in (*chosen, *kept)):
            continue
        if all(independent(part, templates[h.index]) >= INDEPENDENT for h in wholes):
            kept.append(replace(hit, nested=True))
    return kept


def note_rivals(
    rivals: Rivals, templates: list[Template], ranked: list[Hit], chosen: list[Hit]
) -> None:
    """Remember which templates were plausible for the same stretch."""
    for hit in ranked:
        rivals.claim(templates[hit.index].number)
    for winner in chosen:
        for other in ranked:
            if other.index == winner.index or not overlap(winner, other):
                continue
            lag = other.fit.place.row - winner.fit.place.row
            rivals.meet(templates[winner.index].number, templates[other.index].number, lag)
