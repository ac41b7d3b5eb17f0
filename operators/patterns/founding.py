"""Onsets that no template accounts for: to the reservoir, or with an earlier one a new pattern.

Invariant: an event takes part in at most one founding; both of its occurrences are reported, the
earlier one as back-filled.
"""

from dataclasses import dataclass

import numpy as np

from operators.patterns import announce
from operators.patterns.birth import NEVER, Pair, align, relative_template
from operators.patterns.canvas import NOTHING, Canvas
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.levels import EMPTY
from operators.patterns.memory import Memory, Moment
from operators.patterns.pieces import adjoining
from operators.patterns.refit import AFTER_FRAMES, BEFORE_FRAMES
from operators.patterns.template import Template
from operators.patterns.update import onset_row
from operators.records import (
    FRAME_S,
    HOP_SAMPLES,
    Novel,
    Occurrence,
    Pattern,
    pattern_id,
    to_ns,
    to_s,
)

ALIKE = 0.5
PARTNERS = 8
PIECE_SHARE = 0.8
RISE_DB = 15.0
NEAR_DB = 6.0


def unexplained(canvas: Canvas, onset: int) -> float:
    """Share of what sets in at an onset that no accepted template accounts for (0 = nothing new).

    The rise counts, not the level: a quiet sound may set in while a loud known one goes on.
    """
    row = onset - canvas.start
    after = canvas.level[max(0, row - 1) : row + 6]
    before = canvas.level[max(0, row - 4) : max(1, row - 1)].min(axis=0)
    peak = after.max(axis=0)
    background = canvas.noise[min(row, len(canvas.level) - 1)]
    rise = np.clip(peak - np.maximum(before, background), 0, RISE_DB)
    known = canvas.known[max(0, row - 2) : row + 7].max(axis=0)
    total = float(rise.sum())
    if total < RISE_DB:
        return 0.0
    return float(rise[known < peak - NEAR_DB].sum()) / total


@dataclass(slots=True)
class Founding:
    """One round of considering onsets."""

    memory: Memory
    moment: Moment

    def consider(self, canvas: Canvas, onsets: list[int]) -> list[Occurrence | Pattern | Novel]:
        """Found patterns on these onsets and earlier events, the most telling pair first.

        A sound that repeats within itself fits an earlier one at several offsets: the pair that
        shares most is the one in step. What is left is remembered.
        """
        found: list[Occurrence | Pattern | Novel] = []
        while True:
            onsets = [o for o in onsets if unexplained(canvas, o) > self.memory.config.unexplained]
            events = [self._event(canvas, onset) for onset in onsets]
            pairs = [self._partner(canvas, event) for event in events]
            made = [(p[1].profit, -n) for n, p in enumerate(pairs) if p is not None]
            if not made:
                break
            n = -max(made)[1]
            other, pair = pairs[n]  # type: ignore[misc]
            found += self._found(canvas, events[n], other, pair)
            onsets = onsets[:n] + onsets[n + 1 :]
        for event in events:
            self.memory.reservoir.add(event)
            start = event.onset * HOP_SAMPLES
            end = (event.first + len(event.codes)) * HOP_SAMPLES
            found.append(Novel(self.moment.stream, to_s(max(0, start)), to_s(end)))
        return found

    def _event(self, canvas: Canvas, onset: int) -> Clip:
        after = self.memory.config.bounds.template_frames
        return cut_clip(canvas, onset, BEFORE_FRAMES, after, mask=True)

    def _partner(self, canvas: Canvas, event: Clip) -> tuple[Clip, Pair] | None:
        """The earlier event that shares most with this one."""
        best: tuple[Clip, Pair] | None = None
        onset = event.onset
        for other in self.memory.reservoir.alike(event, ALIKE, PARTNERS):
            if other.onset >= canvas.start and onset - other.onset < self.apart:
                continue
            pair = align(other, event, self.memory.config)
            if pair is None or not self._convincing(pair) or self._piece(other, event, pair):
                continue
            if best is None or pair.profit > best[1].profit:
                best = (other, pair)
        return best

    @property
    def apart(self) -> int:
        """Within one stretch of sound, nearer events are taken for parts of one."""
        return self.memory.config.bounds.template_frames

    def _piece(self, other: Clip, event: Clip, pair: Pair) -> bool:
        """Whether both lie at one lag beside or in a longer known sound: a piece of it."""
        frames = pair.last - pair.first
        early, late = other.onset + pair.shift + pair.first, event.onset + pair.first
        for whole in self.memory.bank.templates:
            if frames >= PIECE_SHARE * whole.frames or whole.origin_ns != other.origin_ns:
                continue
            lags_early, lags_late = (adjoining(row, frames, whole) for row in (early, late))
            if any(abs(a - b) <= 1 for a in lags_early for b in lags_late):
                return True
        return False

    def _convincing(self, pair: Pair) -> bool:
        dense = float((pair.level > NEVER).mean())
        needed = self.memory.config.birth + 0.1 * max(0.0, dense - 0.5)
        return (
            pair.score >= needed
            and pair.cells >= self.memory.config.birth_cells
            and pair.last - pair.first >= self.memory.config.birth_frames
            and pair.explained >= 0.4
            and bool((pair.level > NEVER).any())
        )

    def _found(
        self, canvas: Canvas, event: Clip, other: Clip, pair: Pair
    ) -> list[Occurrence | Pattern | Novel]:
        level, floor = relative_template(pair)
        lead = onset_row(level)
        early = other.onset + pair.shift + pair.first
        late = event.onset + pair.first
        first_sample = max(0, early + lead) * HOP_SAMPLES
        origin = other.origin_ns
        template = Template(
            number=self.memory.bank.born,
            pattern=pattern_id(
                self.moment.stream, self.memory.bank.name_onset(to_ns(origin, first_sample))
            ),
            level=level,
            floor=floor,
            lead=lead,
            origin_ns=event.origin_ns,
            count=2,
            score_sum=2 * pair.score,
            first_sample=first_sample,
            last_sample=max(0, late + lead) * HOP_SAMPLES,
            salience=2 * pair.score * len(level) * FRAME_S,
            touched=late,
            recent=[early, late],
        )
        self.memory.reservoir.remove(other)
        self._learn(canvas, template, event, other, pair)
        gone = self.memory.bank.add(template, late)
        found: list[Occurrence | Pattern | Novel] = []
        for old in gone:
            old.status = "retired"
            self.memory.rivals.forget(old.number)
            self.memory.told.let_go(old.pattern)
            found.append(announce.pattern(old, self.moment))
        for frame, filled in ((early + lead, True), (late + lead, False)):
            found.append(
                announce.occurrence(
                    template,
                    self.moment,
                    frame,
                    template.frames - lead,
                    score=pair.score,
                    backfilled=filled,
                )
            )
        found.append(announce.pattern(template, self.moment))
        return found

    def _learn(
        self, canvas: Canvas, template: Template, event: Clip, other: Clip, pair: Pair
    ) -> None:
        """Keep both as exemplars and mark what the new template accounts for."""
        peak = float(pair.level.max())
        late = event.onset + pair.first
        template.exemplars = [
            _as_exemplar(other, pair.first + pair.shift, pair.score, peak - pair.gain),
            cut_clip(
                canvas,
                late,
                BEFORE_FRAMES,
                template.frames + AFTER_FRAMES,
                mask=False,
                score=pair.score,
                gain=peak,
            ),
        ]
        row = late - canvas.start
        rows = slice(max(0, row), min(len(canvas.level), row + template.frames))
        part = template.level[rows.start - row : rows.stop - row]
        expected = np.where(part > EMPTY + 5, part + np.float32(peak), NOTHING)
        np.maximum(canvas.known[rows], expected, out=canvas.known[rows])
        whole = np.where(template.level > EMPTY + 5, template.level + np.float32(peak), NOTHING)
        early = other.onset + pair.shift + pair.first
        then = (whole - np.float32(pair.gain)).astype(np.float32)
        self.memory.reservoir.explain(early, then, other.origin_ns)
        self.memory.archive.explain(early, then, other.origin_ns)


def _as_exemplar(event: Clip, offset: int, score: float, gain: float) -> Clip:
    return Clip(
        codes=event.codes,
        top_db=event.top_db,
        floor=event.floor,
        first=event.first,
        anchor=event.anchor + offset,
        origin_ns=event.origin_ns,
        score=score,
        gain=gain,
    )
