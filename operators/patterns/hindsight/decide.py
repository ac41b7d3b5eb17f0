"""Decides a remembered stretch again, with the templates of today.

The archive is walked as the live detector walks what it hears (``matching``), but every template
that is known now is known from the start, nothing counts as accounted for yet, and what follows a
sound has always been heard.

Invariant: depends on the archive and the templates alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.patterns.archive import Archive, Span
from operators.patterns.canvas import NOTHING, Canvas, View
from operators.patterns.inside import Part
from operators.patterns.matching import matches
from operators.patterns.memory import Memory
from operators.patterns.select import Hit
from operators.patterns.template import PRINT_FRAMES, Template
from operators.records import BANDS, Floats

STEP_FRAMES = 240


@dataclass(frozen=True, slots=True)
class Seen:
    """One match that was chosen.

    Attributes:
        number: of the template.
        first: absolute frame of its row 0.
        frames: how many rows it covers.
        lead: rows before the onset.
        predicted: (frames, BANDS) expected level, NOTHING where the template is empty.
    """

    number: int
    first: int
    frames: int
    lead: int
    score: float
    occlusion: float
    gain: float
    tempo: float
    nested: bool
    origin_ns: int
    predicted: Floats

    @property
    def onset(self) -> int:
        """Absolute frame at which it sets in."""
        return self.first + self.lead


def stretches(archive: Archive, since: int) -> Iterator[Canvas]:
    """Spans that continue each other, joined; nothing in them is accounted for.

    Args:
        archive: what is remembered.
        since: absolute frame; what begins before it is left out.
    """
    group: list[Span] = []
    for span in archive.spans:
        if span.start < since:
            continue
        last = group[-1] if group else None
        if last and (last.origin_ns, last.start + len(last.codes)) != (span.origin_ns, span.start):
            yield _joined(group)
            group = []
        group.append(span)
    if group:
        yield _joined(group)


def _joined(spans: list[Span]) -> Canvas:
    def rows(name: str) -> Floats:
        parts = [np.broadcast_to(getattr(s, name), (len(s.codes), BANDS)) for s in spans]
        return np.concatenate(parts).astype(np.float32)

    level = rows("level")
    return Canvas(
        start=spans[0].start,
        level=level,
        floor=rows("floor"),
        noise=rows("noise"),
        known=np.full(level.shape, NOTHING, dtype=np.float32),
        onsets=[onset for span in spans for onset in span.onsets],
        due=spans[0].start,
        open=False,
        origin_ns=spans[0].origin_ns,
    )


def decide(memory: Memory, whole: Canvas) -> list[Seen]:
    """The known sounds of a stretch, in order of time; ``whole.known`` is raised by them."""
    pad = memory.config.bounds.template_frames
    found: list[Seen] = []
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
        view = View.of(canvas, pad + PRINT_FRAMES)
        hits = matches(memory, canvas, view, canvas.onsets, last)
        whole.known[part] = view.known[view.pad : -view.pad]
        found += [_seen(hit, memory.bank.templates, canvas, view) for hit in hits]
    return found


def _seen(hit: Hit, templates: list[Template], canvas: Canvas, view: View) -> Seen:
    template, place = templates[hit.index], hit.fit.place
    return Seen(
        number=template.number,
        first=canvas.start + place.row - view.pad,
        frames=len(hit.fit.claims),
        lead=round(template.lead * place.tempo),
        score=hit.score,
        occlusion=hit.fit.occlusion,
        gain=hit.fit.gain,
        tempo=place.tempo,
        nested=hit.nested,
        origin_ns=canvas.origin_ns,
        predicted=hit.fit.predicted,
    )


def part_seen(part: Part) -> Seen:
    """A part of a longer sound as what was seen."""
    fit, template = part.fit, part.template
    return Seen(
        number=template.number,
        first=part.first,
        frames=len(fit.claims),
        lead=round(template.lead * fit.place.tempo),
        score=min(1.0, fit.raw),
        occlusion=fit.occlusion,
        gain=fit.gain,
        tempo=fit.place.tempo,
        nested=True,
        origin_ns=template.origin_ns,
        predicted=fit.predicted,
    )
