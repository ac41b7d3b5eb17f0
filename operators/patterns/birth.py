"""Two events that are the same sound found a pattern.

The pair is aligned on its onsets (one frame, four percent of tempo), the gain is the mode of the
cell differences over the first second, and the sound is taken to reach, to both sides, as far as
the agreement of the two keeps paying.

Invariant: symmetric in what it demands of the two; unknown cells have no influence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.patterns.cells import agreement, mode_gain, occluded
from operators.patterns.clip import Clip
from operators.patterns.config import DetectorConfig
from operators.patterns.levels import DISAGREE_DB, EMPTY, loudness_weight
from operators.patterns.template import QUIET_FRAMES, SILENT_WEIGHT
from operators.records import Floats

SHIFTS = (0, -1, 1)
TEMPI = (1.0, 0.96, 1.04)
GAIN_FRAMES = 40
AUDIBLE_DB = 4.0
NEAR_DB = 6.0
PAYS = 0.5
COVERED_SHARE = 0.6
NEVER = -300.0
"""Level of a cell in which the two share nothing audible."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two events brought onto one time grid, that of the later one.

    Attributes:
        score: weighted mean agreement inside the extent.
        cells: how many cells are compared there.
        first, last: extent in rows relative to the later event's onset.
        shift: frames by which the earlier event's onset is off.
        level: (last - first, BANDS) dB of what both share, NEVER where inaudible; absolute.
        floor: (BANDS,) dB of the later event.
        gain: dB to add to the earlier event.
        explained: the lesser share of the two events' sound inside the extent that agrees.
        profit: how much the two share: weighted agreement beyond one half, summed.
    """

    score: float
    cells: int
    first: int
    last: int
    shift: int
    level: Floats
    floor: Floats
    gain: float
    explained: float
    profit: float


@dataclass(frozen=True, slots=True)
class _Grid:
    a: Floats
    b: Floats
    usable: NDArray[np.bool_]
    first: int
    floor_a: Floats
    floor_b: Floats


def _grid(earlier: Clip, later: Clip, shift: int, tempo: float) -> _Grid:
    """Rows of both events around their onsets; ``a`` read at ``shift`` and ``tempo``."""
    first = -min(later.anchor, int((earlier.anchor + shift) / tempo))
    rows = np.arange(first, len(later.codes) - later.anchor)
    source = np.rint(rows * tempo).astype(np.intp) + earlier.anchor + shift
    inside = (source >= 0) & (source < len(earlier.codes))
    rows, source = rows[inside], source[inside]
    at = rows + later.anchor
    return _Grid(
        a=earlier.level[source],
        b=later.level[at],
        usable=earlier.known[source] & later.known[at],
        first=int(rows[0]) if len(rows) else 0,
        floor_a=earlier.floor,
        floor_b=later.floor,
    )


def quiet(silent: NDArray[np.bool_], frames: int) -> NDArray[np.bool_]:
    """Where the last ``frames`` frames were all silent."""
    return np.asarray(np.convolve(silent, np.ones(frames))[: len(silent)] >= frames)


def reach(profit: Floats, silent: NDArray[np.bool_], pause: int = QUIET_FRAMES) -> int:
    """How many frames from the start pay: argmax of the cumulated profit, up to a pause."""
    if not len(profit):
        return 0
    ends = np.nonzero(quiet(silent, pause))[0]
    stop = int(ends[0]) + 1 if len(ends) else len(profit)
    total = np.cumsum(profit[:stop], dtype=np.float64)
    best = int(total.argmax())
    return best + 1 if total[best] > 0 else 0


@dataclass(frozen=True, slots=True)
class _Cells:
    """What two events on one grid say of each other, cell by cell; ``a`` at the gain of ``b``."""

    a: Floats
    gain: float
    weight: Floats
    similar: Floats
    error: Floats
    counts: NDArray[np.bool_]
    loud_a: NDArray[np.bool_]
    loud_b: NDArray[np.bool_]


def _cells(grid: _Grid, head: slice, config: DetectorConfig) -> _Cells | None:
    loud_a = grid.usable & (grid.a > grid.floor_a + AUDIBLE_DB)
    loud_b = grid.usable & (grid.b > grid.floor_b + AUDIBLE_DB)
    both = (loud_a & loud_b)[head]
    if both.sum() < config.birth_cells:
        return None
    level_b = grid.b[head]
    loudest = np.float32(level_b[both].max())
    weight = np.where(both, loudness_weight(level_b - loudest), 0)
    difference = level_b - grid.a[head]
    gain = float(mode_gain(difference.reshape(1, -1), weight.reshape(1, -1))[0])
    a = (grid.a + np.float32(gain)).astype(np.float32)
    # A cell counts where one is heard and the other would have to be.
    expected_b = loud_a & (a > grid.floor_b + AUDIBLE_DB)
    expected_a = loud_b & (grid.b - gain > grid.floor_a + AUDIBLE_DB)
    counts = grid.usable & (expected_a | expected_b)
    if not counts[head].any():
        return None
    louder = np.maximum(a, grid.b)
    peak = np.float32(louder[head][counts[head]].max())
    error = (grid.b - a).astype(np.float32)
    covered = occluded(np.abs(error))
    weight = np.where(counts, loudness_weight(louder - peak), 0)
    weight = np.where(covered, COVERED_SHARE * weight, weight)
    weight = np.asarray(weight, dtype=np.float32)
    return _Cells(a, gain, weight, agreement(error), error, counts, loud_a, loud_b)


def _extent(grid: _Grid, cells: _Cells, profit: Floats, config: DetectorConfig) -> slice | None:
    """Rows over which the agreement pays, around the onset."""
    onset = -grid.first
    silent = cells.weight.sum(axis=1) < SILENT_WEIGHT
    last = onset + reach(profit[onset:], silent[onset:])
    first = onset - reach(profit[:onset][::-1], silent[:onset][::-1])
    first = max(0, min(first, onset - config.lead))
    last = min(last, first + config.bounds.template_frames)
    return slice(first, last) if last - first >= config.birth_frames else None


def _compare(grid: _Grid, shift: int, config: DetectorConfig) -> Pair | None:
    onset = -grid.first
    if len(grid.a) - onset < config.birth_frames:
        return None
    cells = _cells(grid, slice(max(0, onset - config.lead), onset + GAIN_FRAMES), config)
    if cells is None:
        return None
    profit = (cells.weight * (cells.similar - PAYS)).sum(axis=1)
    extent = _extent(grid, cells, profit, config)
    if extent is None:
        return None
    a, gain, weight = cells.a, cells.gain, cells.weight[extent]
    quieter, middle = np.minimum(a, grid.b), (a + grid.b) / 2
    shared = np.where(np.abs(cells.error) > DISAGREE_DB, quieter, middle)
    audible = (shared > grid.floor_b + 3.0) & (shared - gain > grid.floor_a + 3.0) & grid.usable
    agreed = (cells.counts & (np.abs(cells.error) < NEAR_DB))[extent]
    heights = (
        np.where(cells.loud_a, grid.a - grid.floor_a, 0)[extent],
        np.where(cells.loud_b, grid.b - grid.floor_b, 0)[extent],
    )
    return Pair(
        score=float((weight * cells.similar[extent]).sum()) / max(float(weight.sum()), 1e-6),
        cells=int((weight > 0).sum()),
        first=extent.start - onset,
        last=extent.stop - onset,
        shift=shift,
        level=np.where(audible, shared, NEVER)[extent].astype(np.float32),
        floor=np.maximum(grid.floor_b, grid.floor_a + np.float32(gain)),
        gain=gain,
        profit=float(profit[extent].sum()),
        explained=min(float(h[agreed].sum()) / max(float(h.sum()), 1e-6) for h in heights),
    )


def align(earlier: Clip, later: Clip, config: DetectorConfig) -> Pair | None:
    """The best alignment of two events, or None where there is too little to compare."""
    best: Pair | None = None
    for tempo in TEMPI:
        for shift in SHIFTS:
            pair = _compare(_grid(earlier, later, shift, tempo), shift, config)
            if pair is None:
                continue
            if best is None or _worth(pair) > _worth(best) + (0.01 if tempo != 1.0 else 0.0):
                best = pair
        if tempo == 1.0 and (best is None or best.score < 0.5 or best.score > 0.92):
            break
    return best


def _worth(pair: Pair) -> float:
    return pair.score + 0.02 * min(1.0, (pair.last - pair.first) / GAIN_FRAMES)


def relative_template(pair: Pair) -> tuple[Floats, Floats]:
    """Levels (T, BANDS) and floor (BANDS,) relative to the loudest shared cell."""
    peak = float(pair.level.max())
    level = np.where(pair.level > NEVER, pair.level - peak, EMPTY)
    return level.astype(np.float32), (pair.floor - np.float32(peak)).astype(np.float32)
