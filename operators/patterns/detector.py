"""Online discovery of the sounds that recur in one stream: onset-anchored masked templates.

Whether the same sound came back is decided cell by cell on the spectrogram, where what is masked
by noise or by another sound can be left out of the comparison. For each region: templates are
proposed, compared, accepted and selected; what no template accounts for is compared with the
events that were heard once, and two that fit found a pattern, which is then looked for in the
last minutes. It knows no vectors and no audio.

Invariants: everything is decided by the stream's own content, in stream time; the state is
bounded; an id never changes its meaning.
"""

from typing import Any, TypeAlias

from operators.patterns.archive import span_of
from operators.patterns.canvas import Canvas, View, from_region, joined
from operators.patterns.config import DetectorConfig
from operators.patterns.founding import Founding
from operators.patterns.hindsight.consolidate import Hindsight
from operators.patterns.hindsight.told import entry_of
from operators.patterns.kin import Kin
from operators.patterns.learning import Learning
from operators.patterns.matching import matches
from operators.patterns.memory import Memory, Moment
from operators.patterns.refit import BEFORE_FRAMES
from operators.patterns.residue import APART_FRAMES, explained_cells, residual_onsets
from operators.patterns.resumed import resume
from operators.patterns.template import PRINT_FRAMES, Template
from operators.records import (
    FRAME_S,
    HOP_SAMPLES,
    Novel,
    Occurrence,
    Pattern,
    Region,
    StreamEnd,
)
from operators.revision import Revision

Found: TypeAlias = Occurrence | Pattern | Novel | Revision
SNAPSHOT_VERSION = 6
_LATE = 1.5
"""Where it never falls silent, hindsight waits this many intervals for it."""


class Detector:
    """Finds the recurring sounds of one stream; see the module."""

    def __init__(self, stream: str, config: DetectorConfig | None = None) -> None:
        self.stream = stream
        self.config = config or DetectorConfig()
        self._memory = Memory(self.config)
        self._canvas: Canvas | None = None
        self._archived = -1
        self._looked = 0

    @property
    def templates(self) -> list[Template]:
        """The present templates, oldest first (to be read only)."""
        return self._memory.bank.templates

    def hear(self, region: Region) -> list[Found]:
        """Decide what is due in a region; never raises on odd values.

        Args:
            region: a stretch of activity of this stream, in stream order.

        Returns:
            Occurrences, patterns whose state changed, and events heard for the first time.
        """
        rows_max = self.config.bounds.ring_frames
        fresh = from_region(region, rows_max)
        if not len(fresh.level):
            return []
        moment = Moment(self.stream, fresh.end, region.traceparent)
        found: list[Found] = []
        if self._look_due(fresh.start):
            found += self.consolidate(moment)
        canvas = self._canvas
        if canvas is not None and canvas.continued_by(region):
            fresh = joined(canvas, fresh, rows_max)
        elif canvas is not None and canvas.open:
            canvas.open = False
            found += self._decide(canvas, moment)
        resume(self._memory, fresh)
        found += self._decide(fresh, moment)
        self._canvas = _rest(fresh)
        return found

    def finish(self, end: StreamEnd) -> list[Found]:
        """Decide what was still waiting for the rest of a sound."""
        canvas = self._canvas
        self._canvas = None
        moment = Moment(self.stream, end.index // HOP_SAMPLES)
        found: list[Found] = []
        if canvas is not None and canvas.open:
            canvas.open = False
            moment = Moment(self.stream, max(canvas.end, end.index // HOP_SAMPLES))
            found += self._decide(canvas, moment)
        if self.config.hindsight_s:
            found += self.consolidate(moment)
        return found

    def consolidate(self, moment: Moment) -> list[Found]:
        """Look at the last minutes again and correct what was said of them."""
        memory, archive = self._memory, self._memory.archive
        rows = self.config.bounds.looks // max(1, len(memory.bank.templates))
        since = self._archived - round(self.config.horizon_s / FRAME_S)
        first = archive.latest(since, rows, self._looked)
        self._looked = self._archived
        if first is None:
            return []
        reaches_back = archive.whole and archive.spans[0].start == first
        settled = first if reaches_back else first + self.config.bounds.template_frames
        return [*Hindsight(memory, moment, first, max(settled, memory.told.settled)).run()]

    def _look_due(self, frame: int) -> bool:
        """Whether a look back is due before what begins at a frame is heard."""
        every = self.config.hindsight_s / FRAME_S
        if not every or frame - self._looked < every or self._archived <= self._looked:
            return False
        return self._canvas is None or frame - self._looked > _LATE * every

    def snapshot(self) -> dict[str, Any]:
        """Plain, versioned state: what ``restore`` goes on from exactly."""
        return {
            "version": SNAPSHOT_VERSION,
            "stream": self.stream,
            "archived": self._archived,
            "looked": self._looked,
            "memory": self._memory.snapshot(),
            "canvas": None if self._canvas is None else self._canvas.snapshot(),
        }

    @classmethod
    def restore(cls, state: dict[str, Any], config: DetectorConfig | None = None) -> "Detector":
        """The detector that ``snapshot`` described.

        Raises:
            ValueError: the snapshot is of a version that is not known here.
        """
        if state.get("version") != SNAPSHOT_VERSION:
            raise ValueError(
                f"patterns: state of version {state.get('version')!r} cannot be read (this is "
                f"{SNAPSHOT_VERSION}); start with an empty recovery folder"
            )
        detector = cls(str(state["stream"]), config)
        detector._memory = Memory.restore(state["memory"], detector.config)
        detector._archived = int(state["archived"])
        detector._looked = int(state["looked"])
        if state["canvas"] is not None:
            detector._canvas = Canvas.restore(state["canvas"])
        return detector

    def _decide(self, canvas: Canvas, moment: Moment) -> list[Found]:
        """Match and found everything that sets in before the part that may still go on."""
        bounds = self.config.bounds
        limit = max(canvas.due, canvas.end - (bounds.template_frames if canvas.open else 0))
        onsets = [o for o in canvas.onsets if canvas.due <= o < limit][: bounds.onsets_per_call]
        memory = self._memory
        view = View.of(canvas, bounds.template_frames + PRINT_FRAMES, followed=False)
        hits = matches(memory, canvas, view, onsets, limit)
        canvas.known = view.known[view.pad : -view.pad].copy()
        before = {t.number: t.refits for t in memory.bank.templates}
        heard = [memory.bank.templates[i] for i in sorted({h.index for h in hits})]
        learning = Learning(memory, moment)
        found: list[Found] = [*learning.heard(hits, canvas, view)]
        if hits:
            onsets = self._with_residual(canvas, view, onsets, limit)
        found += Founding(memory, moment).consider(canvas, onsets)
        self._remember(canvas, limit)
        for template in _better(memory.bank.templates, before):
            found += learning.look_back(template)
        found += learning.look_inside(_better(memory.bank.templates, before))
        kin = Kin(memory, moment)
        found += kin.settle(heard)
        found += kin.compare(_better(memory.bank.templates, before))
        canvas.due = limit
        for item in found:
            if isinstance(item, Occurrence):
                memory.told.add(entry_of(item))
        return found

    def _remember(self, canvas: Canvas, limit: int) -> None:
        """Put what was decided into the archive."""
        first = max(canvas.start, self._archived) if canvas.due > canvas.start else canvas.start
        last = limit if canvas.open else canvas.end
        if last > first:
            self._memory.archive.add(span_of(canvas, first, last))
            self._archived = last

    def _with_residual(
        self, canvas: Canvas, view: View, onsets: list[int], limit: int
    ) -> list[int]:
        """Onsets together with those that show only when the known sounds are taken out."""
        shift = view.pad - canvas.start
        found = residual_onsets(view, explained_cells(view), canvas.due + shift, limit + shift)
        extra = [
            row - shift
            for row in found
            if all(abs(row - shift - onset) >= APART_FRAMES for onset in onsets)
        ]
        return sorted([*onsets, *extra])[: self.config.bounds.onsets_per_call]


def _better(templates: list[Template], before: dict[int, int]) -> list[Template]:
    """Templates that are new or were rebuilt in this round."""
    return [t for t in templates if before.get(t.number) != t.refits]


def _rest(canvas: Canvas) -> Canvas | None:
    """What has to be kept of a canvas: nothing once the sound has ended."""
    if not canvas.open:
        return None
    keep = max(canvas.start, canvas.due - BEFORE_FRAMES)
    rows = slice(keep - canvas.start, None)
    return Canvas(
        start=keep,
        level=canvas.level[rows].copy(),
        floor=canvas.floor[rows].copy(),
        noise=canvas.noise[rows].copy(),
        known=canvas.known[rows].copy(),
        onsets=[o for o in canvas.onsets if o >= canvas.due],
        due=canvas.due,
        open=True,
        origin_ns=canvas.origin_ns,
    )
