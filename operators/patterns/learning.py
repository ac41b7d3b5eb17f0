"""What follows from a match: it is counted, reported, learnt from, and looked for in the past.

Invariant: a template changes only after all matches of a round were counted, so that every match
is read with the template it was made with.
"""

from dataclasses import dataclass
from typing import TypeAlias

from operators.patterns import announce
from operators.patterns.backfill import search
from operators.patterns.canvas import Canvas, View
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.inside import Inside
from operators.patterns.match import Fit
from operators.patterns.memory import Memory, Moment
from operators.patterns.refit import AFTER_FRAMES, BEFORE_FRAMES
from operators.patterns.select import Hit
from operators.patterns.template import Template
from operators.patterns.update import move, rebuild, remember
from operators.records import FRAME_S, HOP_SAMPLES, Occurrence, Pattern

Report: TypeAlias = Occurrence | Pattern
LOOK_BACK_REFITS = 6


@dataclass(slots=True)
class Learning:
    """One round of learning."""

    memory: Memory
    moment: Moment

    def heard(self, hits: list[Hit], canvas: Canvas, view: View) -> list[Report]:
        """Count and report matches, let their templates learn.

        Args:
            hits: in order of time.
            canvas: where they were made.
            view: its padded view.
        """
        templates = self.memory.bank.templates
        found: list[Report] = []
        for hit in hits:
            template = templates[hit.index]
            found.append(self._count(template, hit, canvas, view))
            if not hit.nested:
                move(template, view, hit.fit)
                first = canvas.start + hit.fit.place.row - view.pad
                if hit.fit.place.plain and not _halfway(template, hit, view):
                    remember(template, _exemplar(canvas, first, hit), self.memory.config)
        for index in sorted({hit.index for hit in hits}):
            template = templates[index]
            rebuild(template, templates, self.memory.config)
            found.append(self.state(template))
        self.memory.bank.changed()
        return found

    def state(self, template: Template) -> Pattern:
        """The pattern as it stands; confirmed when its time has come."""
        config = self.memory.config
        if template.status == "born" and config.confirms(template.count, template.mean_score):
            template.status = "confirmed"
        return announce.pattern(template, self.moment)

    def look_back(self, template: Template) -> list[Report]:
        """Report what was missed of a template that is new or has become better."""
        if template.refits > LOOK_BACK_REFITS:
            return []
        past = search(template, self.memory.archive, self.memory.config)
        if not past:
            return []
        found: list[Report] = [
            self._count_past(template, one.first, one.fit, one.score) for one in past
        ]
        rebuild(template, self.memory.bank.templates, self.memory.config, always=True)
        self.memory.bank.changed()
        found.append(self.state(template))
        return found

    def look_inside(self, fresh: list[Template]) -> list[Report]:
        """Report parts of longer sounds that the templates in ``fresh`` give away."""
        inside = Inside.of(self.memory)
        found: list[Report] = []
        for template in fresh:
            if template.refits <= LOOK_BACK_REFITS:
                parts = inside.parts(template)
                found += [
                    self._count_past(part.template, part.first, part.fit, part.fit.raw)
                    for part in parts
                ]
                once = {part.template.number: part.template for part in parts}
                found += [self.state(part) for part in once.values()]
        return found

    def _count(self, template: Template, hit: Hit, canvas: Canvas, view: View) -> Occurrence:
        lead = round(template.lead * hit.fit.place.tempo)
        first = canvas.start + hit.fit.place.row - view.pad
        frames = len(hit.fit.claims)
        if not template.shape.paused:
            frames = min(frames, view.pad + len(canvas.level) - hit.fit.place.row)
        frames = max(1, frames - lead)
        template.count += 1
        template.score_sum += hit.score
        template.last_sample = max(template.last_sample, max(0, first + lead) * HOP_SAMPLES)
        template.salience += frames * FRAME_S * hit.score
        template.touched = first + lead
        template.heard_at(first)
        return announce.occurrence(
            template, self.moment, first + lead, frames, score=hit.score, backfilled=False
        )

    def _count_past(self, template: Template, first: int, fit: Fit, score: float) -> Occurrence:
        lead = round(template.lead * fit.place.tempo)
        frame = first + lead
        frames = max(1, len(fit.claims) - lead)
        self.memory.reservoir.explain(first, fit.predicted, template.origin_ns)
        template.credit(frame, frames, score)
        return announce.occurrence(
            template, self.moment, frame, frames, score=score, backfilled=True
        )


def _halfway(template: Template, hit: Hit, view: View) -> bool:
    """Whether the rest of a sound, after a pause, may be still to come."""
    return template.shape.paused and hit.fit.rows.stop > len(view.level) - view.pad


def _exemplar(canvas: Canvas, first: int, hit: Hit) -> Clip:
    return cut_clip(
        canvas,
        first,
        BEFORE_FRAMES,
        len(hit.fit.claims) + AFTER_FRAMES,
        mask=False,
        score=hit.score * (1 - hit.fit.occlusion),
        gain=hit.fit.gain,
    )
