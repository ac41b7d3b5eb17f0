"""Looks for a new or improved template in what was heard before.

Invariant: what another sound accounts for is not explained again; an occurrence is never found
twice; the work is bounded by the number of candidates.
"""

from dataclasses import dataclass

import numpy as np

from operators.patterns.accept import acceptance
from operators.patterns.archive import Archive, Span
from operators.patterns.canvas import LOUDEST_DB, View
from operators.patterns.config import DetectorConfig
from operators.patterns.match import Fit, coarse, exact
from operators.patterns.propose import LEAST_SEEN, Candidate
from operators.patterns.template import PRINT_FRAMES, Template

CANDIDATES = 24
ON_ONSET_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Past:
    """A match in the archive: ``first`` = absolute frame of the template's row 0."""

    span: Span
    view: View
    fit: Fit
    score: float
    first: int


def search(template: Template, archive: Archive, config: DetectorConfig) -> list[Past]:
    """Occurrences that were missed, in order of time; their cells are marked as accounted for."""
    if not archive.spans:
        return []
    shape = template.shape
    score, starts = archive.cosines(shape.print_, shape.print_mask, LEAST_SEEN)
    peaks = np.flatnonzero(
        (score[1:-1] > config.propose_free)
        & (score[1:-1] >= score[:-2])
        & (score[1:-1] > score[2:])
    )
    peaks = peaks[np.argsort(-score[1:-1][peaks], kind="stable")][:CANDIDATES] + 1
    owner = np.searchsorted(starts, peaks, side="right") - 1
    past: list[Past] = []
    pad = config.bounds.template_frames + PRINT_FRAMES
    for number in np.unique(owner):
        span = archive.spans[number]
        if span.origin_ns != template.origin_ns:
            continue
        rows = [int(p) - starts[number] for p in peaks[owner == number]]
        past += _in_span(template, span, rows, pad, config)
    return sorted(past, key=lambda p: p.first)


def _in_span(
    template: Template, span: Span, rows: list[int], pad: int, config: DetectorConfig
) -> list[Past]:
    rows = [r for r in rows if not heard_before(template, span.start + r)]
    if not rows:
        return []
    view = span.view(pad)
    onsets = [o - span.start for o in span.onsets]
    candidates = [
        Candidate(
            0,
            pad + r,
            0.0,
            any(abs(r + template.lead - o) <= ON_ONSET_FRAMES for o in onsets),
        )
        for r in rows
    ]
    found: list[Past] = []
    for place in coarse(view, [template], candidates, config.coarse):
        fit = exact(view, template, place, config)
        score = acceptance(fit, template, config.acceptance)
        found.append(Past(span, view, fit, score, span.start + place.row - pad))
    taken: list[Past] = []
    for past in sorted(found, key=lambda p: (-p.score, p.first)):
        heard = heard_before(template, past.first)
        if _convincing(past, config) and not heard and _new(past, config):
            span.claim(past.first - span.start, past.fit.claims)
            template.heard_at(past.first)
            taken.append(past)
    return taken


def heard_before(template: Template, first: int) -> bool:
    """Whether an occurrence with row 0 close to an absolute frame is remembered."""
    apart = min(20, max(8, template.frames // 2))
    return any(abs(first - row) < apart for row in template.recent)


def _convincing(past: Past, config: DetectorConfig) -> bool:
    weights = config.acceptance
    return past.score >= weights.threshold and past.fit.raw >= weights.second_pass_raw


def _new(past: Past, config: DetectorConfig) -> bool:
    rows = past.fit.rows
    energy = np.clip(past.view.level[rows] - past.view.noise[rows], 0, LOUDEST_DB)
    mine = np.where(past.fit.claims, energy, 0)
    first = past.first - past.span.start
    lo, hi = max(0, first), min(len(past.span.codes), first + len(mine))
    old = past.span.explained[lo:hi]
    new = float(np.where(old, 0, mine[lo - first : hi - first]).sum())
    return new >= config.contribution * max(float(mine.sum()), 1e-6)
