"""Decides a remembered stretch again, with the templates of today.

The archive is walked as the live detector walks what it hears (``matching``), but every template
that is known now is known from the start, nothing counts as accounted for yet, what follows a sound
has always been heard, and across a short pause it is seen together with what came before.

Invariant: depends on the archive and the templates alone.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from operators.patterns.archive import Archive, Span
from operators.patterns.bank import Bank
from operators.patterns.canvas import NOTHING, Canvas, View
from operators.patterns.config import DetectorConfig
from operators.patterns.hindsight.seen import Seen
from operators.patterns.inside import Part
from operators.patterns.match import Fit
from operators.patterns.matching import Search, matches
from operators.patterns.memory import Memory
from operators.patterns.refit import PAUSE_FRAMES
from operators.patterns.residue import NEAR_DB
from operators.patterns.select import judged, plausible
from operators.patterns.template import PRINT_FRAMES, Template

STEP_FRAMES = 240
PART_SCORE = 0.6
"""What is found under a whole that accounts for its cells is never surer than this."""


def stretches(archive: Archive, since: int) -> Iterator[Canvas]:
    """Spans that continue each other, joined across short pauses; nothing is accounted for.

    Args:
        archive: what is remembered.
        since: absolute frame; what begins before it is left out.
    """
    group: list[Span] = []
    for span in archive.spans:
        if span.start < since:
            continue
        last = group[-1] if group else None
        if last and not _joins(last, span):
            yield from _joined(archive, group)
            group = []
        group.append(span)
    if group:
        yield from _joined(archive, group)


def _joins(span: Span, more: Span) -> bool:
    return span.origin_ns == more.origin_ns and 0 <= more.start - span.end <= PAUSE_FRAMES


def _joined(archive: Archive, spans: list[Span]) -> Iterator[Canvas]:
    heard = archive.excerpt(spans[0].start, spans[-1].end, spans[0].origin_ns)
    if heard is not None:
        yield replace(heard, onsets=[onset for span in spans for onset in span.onsets])


def _spans_of(archive: Archive, whole: Canvas) -> Iterator[tuple[Span, slice]]:
    """The spans of a stretch, each with its rows in it."""
    first = bisect_left(archive.spans, whole.start, key=lambda span: span.start)
    for span in archive.spans[first:]:
        if span.start >= whole.end:
            break
        if span.end <= whole.end:
            yield span, slice(span.start - whole.start, span.end - whole.start)


def mark(archive: Archive, whole: Canvas) -> None:
    """The archive knows from now on what is accounted for in a stretch."""
    explained = whole.known > whole.level - NEAR_DB
    for span, rows in _spans_of(archive, whole):
        span.account(explained[rows])


def with_known(archive: Archive, whole: Canvas) -> Canvas:
    """A stretch with what is accounted for known at its own level."""
    known = np.full_like(whole.level, NOTHING)
    for span, rows in _spans_of(archive, whole):
        known[rows] = np.where(span.explained, whole.level[rows], NOTHING)
    return replace(whole, known=known)


def decide(memory: Memory, whole: Canvas) -> list[Seen]:
    """The known sounds of a stretch, in order of time; ``whole.known`` is raised by them."""
    found: list[Seen] = []
    for part, canvas, last in _parts(whole, memory.config.bounds.template_frames):
        view = View.of(canvas, memory.config.bounds.template_frames + PRINT_FRAMES)
        hits = matches(memory, canvas, view, canvas.onsets, last)
        whole.known[part] = view.known[view.pad : -view.pad]
        for hit in hits:
            template = memory.bank.templates[hit.index]
            first = canvas.start + hit.fit.place.row - view.pad
            seen = _seen(template, hit.fit, first, whole.origin_ns, hit.score, nested=hit.nested)
            found.append(seen)
    return found


def concerns(templates: list[Template], whole: Canvas, config: DetectorConfig) -> bool:
    """Whether one of the templates is plausible somewhere in a stretch.

    Args:
        templates: those in question.
        whole: with what is accounted for: each is tried as if nothing were, and on what is left.
        config: thresholds.
    """
    if not templates:
        return False
    bank = Bank(config.bounds, templates)
    for _, canvas, limit in _parts(whole, config.bounds.template_frames):
        covered = View.of(canvas, config.bounds.template_frames + PRINT_FRAMES)
        bare = replace(covered, known=np.full_like(covered.known, NOTHING))
        left = Search.of(bank, canvas, covered, canvas.onsets, limit, config)
        hits = judged(bare, templates, replace(left, view=bare).places(), config)
        if plausible(hits, config, second=False):
            return True
        hits = judged(covered, templates, left.places_left(), config)
        if plausible(hits, config, second=True):
            return True
    return False


def _parts(whole: Canvas, pad: int) -> Iterator[tuple[slice, Canvas, int]]:
    """Pieces of STEP_FRAMES with ``pad`` rows around them: where, the piece, its last frame."""
    rows = len(whole.level)
    for due in range(0, rows, STEP_FRAMES):
        limit = min(rows, due + STEP_FRAMES)
        lo, hi = max(0, due - pad), min(rows, limit + pad)
        part = slice(lo, hi)
        first, last = whole.start + due, whole.start + limit
        canvas = Canvas(
            start=whole.start + lo,
            level=whole.level[part],
            floor=whole.floor[part],
            noise=whole.noise[part],
            known=whole.known[part],
            onsets=[o for o in whole.onsets if first <= o < last],
            due=first,
            open=hi < rows,
            origin_ns=whole.origin_ns,
        )
        yield part, canvas, last


def part_seen(part: Part) -> Seen:
    """A part of a longer sound as what was seen."""
    template = part.template
    score = min(PART_SCORE, part.fit.raw)
    return _seen(template, part.fit, part.first, template.origin_ns, score, nested=True)


def _seen(
    template: Template, fit: Fit, first: int, origin_ns: int, score: float, *, nested: bool
) -> Seen:
    return Seen(
        number=template.number,
        first=first,
        frames=len(fit.claims),
        lead=round(template.lead * fit.place.tempo),
        score=score,
        occlusion=fit.occlusion,
        gain=fit.gain,
        tempo=fit.place.tempo,
        nested=nested,
        origin_ns=origin_ns,
        speed=fit.place.speed,
    )
