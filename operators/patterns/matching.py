"""Which known sounds a stretch of sound holds: propose, compare, accept, select, twice.

The second round works on what the first left over: its cells are taken out of the fingerprints
and of the comparison, and places where something unexplained sets in count as onsets. That finds
the quieter of two overlapping sounds.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from operators.patterns.canvas import Canvas, View
from operators.patterns.kin import independent
from operators.patterns.match import coarse
from operators.patterns.memory import Memory
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
from operators.records import BANDS

NESTED_RAW = 0.82
NESTED_OCCLUSION = 0.2
NESTED_SCORE = 0.5
NESTED_AUDIBLE = 0.5
ONSET_SLACK = 3
INDEPENDENT = 2


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
    prints, masks, leads = memory.bank.matrices()
    first = view.pad + canvas.due - canvas.start - max(4, int(leads.max()) + 2)
    last = view.pad + limit - canvas.start
    rows = print_rows(view.level, view.floor)
    at = [view.pad + onset - canvas.start for onset in onsets]
    taken = np.zeros((len(view.level), BANDS), dtype=np.bool_)

    score = cosines(rows, prints, masks, first, last)
    candidates = propose(score, first, at, leads, config)
    places = coarse(view, templates, candidates, config.coarse)
    hits = judged(view, templates, places, config)
    ranked = plausible(hits, config, second=False)
    chosen = select(view, _once(ranked, templates, at), taken, config)
    note_rivals(memory.rivals, templates, ranked, chosen)

    if chosen:
        explained = explained_cells(view)
        starts = at + residual_onsets(view, explained, first, last)
        score = cosines(rows, prints, masks, first, last, pooled_usable(explained))
        candidates = propose(score, first, starts, leads, config)
        # Where nothing was taken out, nothing changed.
        same = [hit for hit in hits if not any(overlap(hit, c) for c in chosen)]
        left = [
            hit.fit.place for hit in hits if not any(hit is other for other in (*chosen, *same))
        ]
        tried = {(hit.fit.place.index, hit.fit.place.row) for hit in hits}
        more = coarse(view, templates, candidates, config.coarse)
        places = left + [p for p in more if (p.index, p.row) not in tried]
        again = plausible([*judged(view, templates, places, config), *same], config, second=True)
        near = [h for h in again if not any(same_place(h, c) for c in chosen)]
        chosen += select(view, _once(near, templates, at, chosen), taken, config)
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
