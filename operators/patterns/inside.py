"""Looks for a known sound inside of a longer known one, which would account for its cells.

A single faint part of a louder whole proves little. All remembered occurrences of the whole
together prove more: a part that keeps its place stands out there against every other place in the
whole, and one that lies anywhere stands out against the same place in the other occurrences.

Invariants: only what is also heard on its own is looked for; what keeps its place to the frame
in every occurrence is a piece of the whole (or merely resembles one), not a part; nothing is found
twice; nothing is learnt from what is found, because the whole sounds along with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.patterns.accept import acceptance
from operators.patterns.archive import Archive
from operators.patterns.backfill import heard_before
from operators.patterns.canvas import NOTHING, View
from operators.patterns.config import DetectorConfig
from operators.patterns.kin import independent
from operators.patterns.match import Fit, Placement, exact, likeness_along
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


Seen: TypeAlias = tuple[int, View]
"""One occurrence of the whole: the absolute frame of its row 0, and its surroundings."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part found in a whole: ``first`` = absolute frame of the part's row 0."""

    template: Template
    fit: Fit
    first: int


@dataclass(slots=True)
class Inside:
    """Looks through the remembered occurrences of longer sounds."""

    archive: Archive
    config: DetectorConfig

    def parts(self, templates: Sequence[Template], fresh: Template) -> list[Part]:
        """New occurrences of ``fresh`` in longer sounds, and of shorter sounds in ``fresh``.

        Args:
            templates: all known ones.
            fresh: the one that is new or has become better.
        """
        found: list[Part] = []
        for whole in templates:
            if _may_contain(whole, fresh):
                found += self._search(fresh, whole, self._views(whole))
        inner = [part for part in templates if _may_contain(fresh, part)]
        views = self._views(fresh) if inner else []
        for part in inner:
            found += self._search(part, fresh, views)
        return found

    def parts_of(self, templates: Sequence[Template], whole: Template) -> list[Part]:
        """New occurrences, in one longer sound, of those shorter ones that may be parts of it."""
        inner = [
            part
            for part in templates
            if _may_contain(whole, part) and _resembles(part, whole) >= GLANCE
        ]
        views = self._views(whole) if inner else []
        return [one for part in inner for one in self._search(part, whole, views)]

    def _views(self, whole: Template) -> list[Seen]:
        """The latest occurrences of the whole, as far as they are still remembered."""
        seen: list[Seen] = []
        for row in whole.recent[-LATEST:]:
            first, last = row - EDGE_FRAMES, row + whole.frames + EDGE_FRAMES
            excerpt = self.archive.excerpt(first, last, whole.origin_ns)
            if excerpt is not None:
                seen.append((row, View.of(excerpt, PRINT_FRAMES)))
        return seen

    def _search(self, part: Template, whole: Template, seen: list[Seen]) -> list[Part]:
        if len(seen) < WHOLES or part.origin_ns != whole.origin_ns:
            return []
        rows, views = [row for row, _ in seen], [view for _, view in seen]
        lags = np.arange(-SLACK_FRAMES, whole.frames - part.frames + 2 * SLACK_FRAMES)
        at = lags + PRINT_FRAMES + EDGE_FRAMES
        # Nothing may hang on the last bit of a sum of floats.
        likeness: Floats = np.stack([likeness_along(view, part, at) for view in views])
        np.round(likeness, 4, out=likeness)
        wide = _widened(likeness)
        place = _place(wide, part)
        if place is not None:
            fits = self._at_place(part, views, likeness, place.lag, int(at[0]))
            after = lags[place.lag] + part.lead - whole.lead
            if after >= AFTER_ONSET_FRAMES and _own(fits, len(views), place):
                return list(_new(part, rows, fits))
        return list(_new(part, rows, self._anywhere(part, views, likeness, wide, int(at[0]))))

    def _at_place(
        self, part: Template, views: list[View], likeness: Floats, place: int, first: int
    ) -> list[tuple[int, Fit]]:
        """Occurrence and evidence wherever the part is found near its place."""
        low = max(0, place - WANDER_FRAMES)
        near = low + likeness[:, low : place + WANDER_FRAMES + 1].argmax(axis=1)
        fits = [
            (n, exact(views[n], part, Placement(0, first + int(at), 1.0, True, 1.0), self.config))
            for n, at in enumerate(near)
        ]
        return [(n, fit) for n, fit in fits if fit.raw >= PLACE_RAW and fit.explained >= EXPLAINED]

    def _anywhere(
        self, part: Template, views: list[View], likeness: Floats, wide: Floats, first: int
    ) -> list[tuple[int, Fit]]:
        """Occurrences that stand out against the same place in the other ones."""
        found = []
        usual = np.median(wide, axis=0)
        for n, profile in enumerate(likeness):
            at = int((profile - usual).argmax())
            if profile[at] < LOOSE_LIKENESS or profile[at] - usual[at] < LOOSE_GAP:
                continue
            fit = exact(views[n], part, Placement(0, first + at, 1.0, True, 1.0), self.config)
            score = acceptance(fit, part, self.config.acceptance, explained=1.0)
            if (
                fit.raw >= LOOSE_RAW
                and fit.explained >= EXPLAINED
                and fit.occlusion <= LOOSE_OCCLUSION
                and fit.audible >= LOOSE_AUDIBLE
                and score >= LOOSE_SCORE
            ):
                found.append((n, fit))
        return found


def _new(part: Template, rows: list[int], fits: list[tuple[int, Fit]]) -> Iterable[Part]:
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


def _resembles(part: Template, whole: Template) -> float:
    """Best likeness of a part with the template of the whole itself, at any place in it."""
    pad = PRINT_FRAMES + EDGE_FRAMES
    floor = np.pad(np.broadcast_to(whole.floor, whole.level.shape), ((pad, pad), (0, 0)), "edge")
    level = floor.astype(np.float32)
    level[pad:-pad] = np.maximum(whole.level, whole.floor)
    view = View(
        level=level,
        floor=floor.astype(np.float32),
        noise=floor.astype(np.float32),
        known=np.full(level.shape, NOTHING, dtype=np.float32),
        seen=np.ones(len(level), dtype=np.bool_),
        pad=pad,
    )
    lags = np.arange(-SLACK_FRAMES, whole.frames - part.frames + 2 * SLACK_FRAMES)
    return float(likeness_along(view, part, lags + pad).max())


def _widened(likeness: Floats) -> Floats:
    """(wholes, lags) the best within WANDER_FRAMES - 1 of each lag."""
    reach = WANDER_FRAMES - 1
    padded = np.pad(likeness, ((0, 0), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    return np.asarray(windows.max(axis=2), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Place:
    """Index of a lag, and how many deviations it stands out from all others."""

    lag: int
    deviations: float


def _place(wide: Floats, part: Template) -> _Place | None:
    """The one lag at which the wholes resemble the part far more than elsewhere."""
    mean = wide.mean(axis=0)
    top = int(mean.argmax())
    away: NDArray[np.bool_] = np.abs(np.arange(len(mean)) - top) > max(
        APART_FRAMES, part.frames // 2
    )
    if away.sum() < APART_FRAMES or mean[top] < PLACE_LIKENESS:
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
