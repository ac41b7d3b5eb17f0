"""Looks for a known sound inside of a longer known one, which would account for its cells.

A single faint part of a louder whole proves little. All remembered occurrences of the whole
together prove more: a part that keeps its place stands out there against every other place in the
whole, and one that lies anywhere stands out against the same place in the other occurrences.

Invariants: only what is also heard on its own is looked for; what keeps its place to the frame
in every occurrence is a piece of the whole (or merely resembles one), not a part; nothing is found
twice; nothing is learnt from what is found, because the whole sounds along with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from operators.patterns.accept import acceptance
from operators.patterns.along import Laid
from operators.patterns.archive import Archive
from operators.patterns.backfill import heard_before
from operators.patterns.canvas import NOTHING, Canvas, View
from operators.patterns.config import DetectorConfig
from operators.patterns.kin import independent
from operators.patterns.looked import Fits, Held, Looked, Sight
from operators.patterns.match import Fit, Placement, exact
from operators.patterns.template import PRINT_FRAMES, Template
from operators.records import Floats

LONGER = 2.0
EXPLAINED = 0.15
"""Least share of what sounds there that the part accounts for: less is a mere resemblance."""
EDGE_FRAMES = 8
GLANCE = 0.45
"""Likeness with the template of the whole from which its occurrences are looked through."""
INDEPENDENT = 2
WHOLES, LATEST = 3, 16
"""How many occurrences of the whole it takes, and how many are looked at."""
SLACK_FRAMES = 2
WANDER_FRAMES = 4
APART_FRAMES = 8
AFTER_ONSET_FRAMES = 5
FIRST_ROW = PRINT_FRAMES + EDGE_FRAMES - SLACK_FRAMES
"""Row of an occurrence's view at which the first of the places lies."""

PLACE_LIKENESS, PLACE_GAP, PLACE_Z = 0.6, 0.1, 5.0
"""At its place: mean likeness, by how much it exceeds the next best place, and in deviations."""
CLEAR_GAP, CLEAR_Z = 0.15, 4.0
"""Or, far above the next best place, in deviations."""
PLACE_RAW, PLACE_TYPICAL_RAW, PLACE_SHARE = 0.6, 0.7, 0.7
PLAIN_Z, PLAIN_RAW = 8.0, 0.6
"""At a place that stands out this far the fits themselves may be poorer."""
OWN_FRAMES, OWN_GAIN_DB = 0.75, 5.0
"""The middle half of a sound of its own wanders by this or more; its level by no more than this."""

LOOSE_LIKENESS, LOOSE_GAP, LOOSE_RAW = 0.75, 0.25, 0.82
LOOSE_OCCLUSION, LOOSE_AUDIBLE, LOOSE_SCORE = 0.25, 0.5, 0.5


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
    _views: dict[int, View] = field(default_factory=dict)
    _laid: Laid | None = None
    _alone: Laid | None = None

    def __post_init__(self) -> None:
        origin_ns, archive = self.template.origin_ns, self.archive
        held = {
            row: tuple(
                (s.start, len(s.codes)) for s in archive.between(*self._reach(row), origin_ns)
            )
            for row in self.template.recent[-LATEST:]
        }
        self.rows = [row for row, spans in held.items() if spans]
        self.held = tuple((row, spans) for row, spans in held.items() if spans)

    def _reach(self, row: int) -> tuple[int, int]:
        return row - EDGE_FRAMES, row + self.template.frames + EDGE_FRAMES

    @property
    def heard(self) -> Laid:
        """The occurrences with their surroundings."""
        if self._laid is None:
            origin_ns = self.template.origin_ns
            excerpts = [self.archive.excerpt(*self._reach(row), origin_ns) for row in self.rows]
            self._canvases = [each for each in excerpts if each is not None]
            self._laid = Laid.of(self._canvases, PRINT_FRAMES)
        return self._laid

    def view(self, number: int) -> View:
        """One of the occurrences; they have been ``heard``."""
        if number not in self._views:
            self._views[number] = View.of(self._canvases[number], PRINT_FRAMES)
        return self._views[number]

    @property
    def alone(self) -> Laid:
        """The template itself, before its own background."""
        if self._alone is None:
            whole, shape = self.template, self.template.level.shape
            floor = np.broadcast_to(whole.floor, shape)
            canvas = Canvas(
                start=0,
                level=np.maximum(whole.level, floor),
                floor=floor,
                noise=floor,
                known=np.full(shape, NOTHING, dtype=np.float32),
                onsets=[],
                due=0,
                open=False,
                origin_ns=whole.origin_ns,
            )
            self._alone = Laid.of([canvas], PRINT_FRAMES + EDGE_FRAMES)
        return self._alone


@dataclass(slots=True)
class Inside:
    """Looks through the remembered occurrences of longer sounds."""

    archive: Archive
    config: DetectorConfig
    looked: Looked

    def parts(self, templates: Sequence[Template], fresh: Template) -> list[Part]:
        """New occurrences of ``fresh`` in longer sounds, and of shorter sounds in ``fresh``.

        Args:
            templates: all known ones.
            fresh: the one that is new or has become better.
        """
        found: list[Part] = []
        for whole in templates:
            if _may_contain(whole, fresh):
                found += self.parts_of([fresh], whole)
        return found + self.parts_of(templates, fresh)

    def parts_of(self, templates: Sequence[Template], whole: Template) -> list[Part]:
        """New occurrences, in one longer sound, of those shorter ones that may be parts of it."""
        inner = [part for part in templates if _may_contain(whole, part)]
        return [*self._among(inner, _Whole(whole, self.archive))] if inner else []

    def _among(self, inner: list[Template], whole: _Whole) -> Iterable[Part]:
        for part in inner:
            sight = Sight.of(part, whole.template, whole.held)
            fits = self.looked.recall(sight)
            if fits is None:
                fits = tuple(self._search(part, whole))
                self.looked.note(sight, fits)
            yield from _new(part, whole.rows, fits)

    def _search(self, part: Template, whole: _Whole) -> list[tuple[int, Fit]]:
        if len(whole.rows) < WHOLES or part.origin_ns != whole.template.origin_ns:
            return []
        lags = whole.template.frames - part.frames + 3 * SLACK_FRAMES
        if whole.alone.likeness(part, FIRST_ROW, lags).max() < GLANCE:
            return []
        # Nothing may hang on the last bit of a sum of floats.
        likeness = np.round(whole.heard.likeness(part, FIRST_ROW, lags), 4)
        wide = _widened(likeness)
        place = _place(wide, part)
        if place is not None:
            fits = self._at_place(part, whole, likeness, place.lag)
            after = place.lag - SLACK_FRAMES + part.lead - whole.template.lead
            if after >= AFTER_ONSET_FRAMES and _own(fits, len(whole.rows), place):
                return fits
        return self._anywhere(part, whole, likeness, wide)

    def _at_place(
        self, part: Template, whole: _Whole, likeness: Floats, place: int
    ) -> list[tuple[int, Fit]]:
        """Occurrence and evidence wherever the part is found near its place."""
        low = max(0, place - WANDER_FRAMES)
        near = low + likeness[:, low : place + WANDER_FRAMES + 1].argmax(axis=1)
        fits = [(n, self._fit(part, whole.view(n), int(lag))) for n, lag in enumerate(near)]
        return [(n, fit) for n, fit in fits if fit.raw >= PLACE_RAW and fit.explained >= EXPLAINED]

    def _anywhere(
        self, part: Template, whole: _Whole, likeness: Floats, wide: Floats
    ) -> list[tuple[int, Fit]]:
        """Occurrences that stand out against the same place in the other ones."""
        found = []
        beyond = likeness - np.median(wide, axis=0)
        best = beyond.argmax(axis=1)
        every = np.arange(len(best))
        stands_out = beyond[every, best] >= LOOSE_GAP
        for n in np.flatnonzero(stands_out & (likeness[every, best] >= LOOSE_LIKENESS)):
            fit = self._fit(part, whole.view(int(n)), int(best[n]))
            score = acceptance(fit, part, self.config.acceptance, explained=1.0)
            if (
                fit.raw >= LOOSE_RAW
                and fit.explained >= EXPLAINED
                and fit.occlusion <= LOOSE_OCCLUSION
                and fit.audible >= LOOSE_AUDIBLE
                and score >= LOOSE_SCORE
            ):
                found.append((int(n), fit))
        return found

    def _fit(self, part: Template, view: View, lag: int) -> Fit:
        return exact(view, part, Placement(0, FIRST_ROW + lag, 1.0, True, 1.0), self.config)


def _new(part: Template, rows: list[int], fits: Fits) -> Iterable[Part]:
    """Those that were not heard before; noted, so that none is found twice."""
    for n, fit in fits:
        first = rows[n] + fit.place.row - PRINT_FRAMES - EDGE_FRAMES
        if not heard_before(part, first):
            part.heard_at(first)
            yield Part(part, fit, first)


def _may_contain(whole: Template, part: Template) -> bool:
    return (
        whole is not part
        and whole.frames >= LONGER * part.frames
        and len(whole.recent) >= WHOLES
        and independent(part, whole) >= INDEPENDENT
    )


def _widened(likeness: Floats) -> Floats:
    """(wholes, lags) the best within WANDER_FRAMES - 1 of each lag."""
    wide = likeness.copy()
    for reach in range(1, WANDER_FRAMES):
        np.maximum(wide[:, reach:], likeness[:, :-reach], out=wide[:, reach:])
        np.maximum(wide[:, :-reach], likeness[:, reach:], out=wide[:, :-reach])
    return wide


@dataclass(frozen=True, slots=True)
class _Place:
    """Index of a lag, and how many deviations it stands out from all others."""

    lag: int
    deviations: float


def _place(wide: Floats, part: Template) -> _Place | None:
    """The one lag at which the wholes resemble the part far more than elsewhere."""
    mean = wide.mean(axis=0)
    top = int(mean.argmax())
    if mean[top] < PLACE_LIKENESS:
        return None
    away: NDArray[np.bool_] = np.abs(np.arange(len(mean)) - top) > max(
        APART_FRAMES, part.frames // 2
    )
    if away.sum() < APART_FRAMES:
        return None
    elsewhere = mean[away]
    gap = float(mean[top] - elsewhere.max())
    deviations = float(mean[top] - elsewhere.mean()) / max(float(elsewhere.std()), 0.02)
    stands_out = gap >= PLACE_GAP and deviations >= PLACE_Z
    stands_out = stands_out or (gap >= CLEAR_GAP and deviations >= CLEAR_Z)
    return _Place(top, deviations) if stands_out else None


def _own(fits: list[tuple[int, Fit]], wholes: int, place: _Place) -> bool:
    """Whether what lies at one place is a sound of its own: often, alike, and not rigid."""
    if len(fits) < max(WHOLES, PLACE_SHARE * wholes):
        return False
    raw = np.median([fit.raw for _, fit in fits])
    gain = np.std([fit.gain for _, fit in fits])
    early, late = np.percentile([fit.place.row for _, fit in fits], (25, 75))
    typical = PLAIN_RAW if place.deviations >= PLAIN_Z else PLACE_TYPICAL_RAW
    return bool(raw >= typical and gain <= OWN_GAIN_DB and late - early >= OWN_FRAMES)
