"""How well does a template fit at one place? First on 160 of its loud cells, then on all.

The coarse pass tries shifts of one frame and tempi for all candidates at once; the exact pass
gives the evidence on which a match is accepted.

Invariant: a cell counts only where the template, at the gain of this occurrence, is expected to
be heard above the background and above sounds that are already accounted for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.patterns.canvas import LOUDEST_DB, NOTHING, View
from operators.patterns.cells import agreement, mode_gain, occluded
from operators.patterns.config import DetectorConfig
from operators.patterns.propose import Candidate
from operators.patterns.template import EMPTY, TEMPI, TEMPO_FROM_FRAMES, Shape, Template, tempo_rows
from operators.records import Floats

SHIFTS = (0, -1, 1)
TAIL_FRAMES = 6
SLACK_DB = 6.0
TEMPO_SLACK = 0.2
TEMPO_PRICE = 0.01


@dataclass(frozen=True, slots=True)
class Placement:
    """A candidate with the shift and tempo that fitted best."""

    index: int
    row: int
    tempo: float
    on_onset: bool
    similarity: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The evidence of one exact comparison.

    Attributes:
        place: which template, where.
        gain: dB of the template's loudest cell here.
        raw: weighted mean agreement of the cells that count.
        cells: how many cells count.
        explained: share of the sound inside the extent that the template accounts for.
        occlusion: weight of the cells covered by something louder.
        audible: weight of the cells that count, of all the template's weight.
        tail: how much louder than usual the sound goes on after the end (0-1).
        energy: dB-cells accounted for.
        predicted: (rows, BANDS) expected level, NOTHING where the template is empty.
        claims: (rows, BANDS) cells it accounts for.
    """

    place: Placement
    gain: float
    raw: float
    cells: int
    explained: float
    occlusion: float
    audible: float
    tail: float
    energy: float
    predicted: Floats
    claims: NDArray[np.bool_]

    @property
    def rows(self) -> slice:
        """Padded rows it covers."""
        return slice(self.place.row, self.place.row + len(self.claims))


def coarse(
    view: View, templates: list[Template], candidates: list[Candidate], least: float
) -> list[Placement]:
    """The best shift and tempo of each candidate; those below ``least`` are dropped."""
    if not candidates:
        return []
    index = np.array([c.index for c in candidates])
    cells = _CoarseCells.of([t.shape for t in templates], index)
    start = np.array([c.row for c in candidates])
    long = np.array([templates[i].frames > TEMPO_FROM_FRAMES for i in index])
    table = np.full((len(TEMPI) * len(SHIFTS), len(candidates)), -1.0, dtype=np.float32)
    every = np.arange(len(candidates))
    for n, shift in enumerate(SHIFTS):
        table[n] = _coarse_score(view, cells, start + shift, TEMPI[0], every)
    # Another tempo only betters what nearly fits as it is.
    near = np.flatnonzero(long & (table[: len(SHIFTS)].max(axis=0) > least - TEMPO_SLACK))
    if len(near):
        for m, tempo in enumerate(TEMPI[1:], start=1):
            for n, shift in enumerate(SHIFTS):
                score = _coarse_score(view, cells, start + shift, tempo, near)
                table[m * len(SHIFTS) + n, near] = score - TEMPO_PRICE
    table = np.round(table, 4)
    best = table.argmax(axis=0)
    places = []
    for n, candidate in enumerate(candidates):
        value = float(table[best[n], n])
        if value < least:
            continue
        tempo, shift = TEMPI[best[n] // len(SHIFTS)], SHIFTS[best[n] % len(SHIFTS)]
        at_row = int(np.clip(candidate.row + shift, 1, len(view.level) - 2))
        places.append(Placement(candidate.index, at_row, tempo, candidate.on_onset, value))
    return places


@dataclass(frozen=True, slots=True)
class _CoarseCells:
    """(candidates, COARSE_CELLS) rows, bands, levels and weights of the templates' loud cells."""

    row: NDArray[np.intp]
    band: NDArray[np.intp]
    level: Floats
    weight: Floats

    @classmethod
    def of(cls, shapes: list[Shape], index: NDArray[np.intp]) -> "_CoarseCells":
        used, back = np.unique(index, return_inverse=True)
        chosen = [shapes[i] for i in used]
        return cls(
            np.stack([s.coarse_row for s in chosen])[back],
            np.stack([s.coarse_band for s in chosen])[back],
            np.stack([s.coarse_level for s in chosen])[back],
            np.stack([s.coarse_weight for s in chosen])[back],
        )


def _coarse_score(
    view: View,
    cells: _CoarseCells,
    start: NDArray[np.intp],
    tempo: float,
    which: NDArray[np.intp],
) -> Floats:
    """Similarity of the candidates ``which`` with their row 0 at ``start`` (of all)."""
    offset = np.rint(cells.row[which] * tempo).astype(np.intp)
    at = np.clip(start[which, None] + offset, 0, len(view.level) - 1)
    band, level, weight = cells.band[which], cells.level[which], cells.weight[which]
    observed, floor, known = view.level[at, band], view.floor[at, band], view.known[at, band]
    usable = weight * view.seen[at]
    free = (known <= observed - SLACK_DB) & (observed > floor)
    difference = observed - level
    gain = mode_gain(difference, usable * free)
    error = difference - gain[:, None]
    predicted = level + gain[:, None]
    counts = usable * ((predicted > floor + 3.0) & (known < predicted - 3.0))
    counts = np.where(occluded(error), 0.5 * counts, counts)
    total = counts.sum(axis=1)
    enough = total > 0.15 * np.maximum(weight.sum(axis=1), 1e-6)
    similar = (counts * agreement(error)).sum(axis=1) / np.maximum(total, 1e-6)
    return np.asarray(np.where(enough, similar, 0), dtype=np.float32)


def likeness_along(view: View, template: Template, rows: NDArray[np.intp]) -> Floats:
    """Coarse similarity of one template, as it is, with its row 0 at each of the padded rows."""
    cells = _CoarseCells.of([template.shape], np.zeros(len(rows), dtype=np.intp))
    return _coarse_score(view, cells, rows, 1.0, np.arange(len(rows)))


def exact(view: View, template: Template, place: Placement, config: DetectorConfig) -> Fit:
    """Compare all cells of a template at one place."""
    source = tempo_rows(template.frames, place.tempo)
    rows = slice(place.row, min(place.row + len(source), len(view.level)))
    source = source[: rows.stop - rows.start]
    observed, floor = view.level[rows], view.floor[rows]
    level, weight = template.level[source], template.shape.weight[source]
    usable = weight * view.seen[rows, None]
    difference = observed - level
    free = np.where(view.known[rows] > observed - SLACK_DB, 0, usable)
    gain = float(
        mode_gain(difference.reshape(1, -1), (free * (observed > view.noise[rows])).reshape(1, -1))[
            0
        ]
    )
    error = difference - gain
    predicted = np.where(level > EMPTY + 5, level + gain, NOTHING).astype(np.float32)
    heard = (predicted > floor + config.audible_db) & (view.known[rows] < predicted - 3.0)
    counts = np.where(heard, usable, 0)
    covered = occluded(error)
    halved = np.where(covered, 0.5 * counts, counts)
    total = float(halved.sum())
    raw = float((halved * agreement(error)).sum()) / max(total, 1e-6)
    energy = np.clip(observed - view.noise[rows], 0, LOUDEST_DB)
    energy = np.where(view.known[rows] > observed - SLACK_DB, 0, energy)
    claims = (predicted > floor) & (error < SLACK_DB)
    accounted = float(energy[claims].sum())
    return Fit(
        place=place,
        gain=gain,
        raw=raw,
        cells=int((counts > 0).sum()),
        explained=accounted / max(float(energy.sum()), 1e-6),
        occlusion=float(counts[covered].sum()) / max(float(counts.sum()), 1e-6),
        audible=float(counts.sum()) / max(float(weight.sum()), 1e-6),
        tail=_tail(view, rows.stop, predicted, template.tail),
        energy=accounted,
        predicted=predicted,
        claims=claims,
    )


def observed_tail(view: View, end: int, predicted: Floats) -> float:
    """Share of the cells that sound at the template's end which go on sounding after it."""
    last = predicted[-3:].max(axis=0)
    after = view.level[end : end + TAIL_FRAMES]
    active = last > view.floor[min(end, len(view.floor) - 1)] + SLACK_DB
    if len(after) < TAIL_FRAMES or active.sum() < 4:
        return 0.0
    return float((after[:, active].mean(axis=0) > last[active] - 3.0).mean())


def _tail(view: View, end: int, predicted: Floats, expected: float) -> float:
    return max(0.0, observed_tail(view, end, predicted) - expected - 0.2)
