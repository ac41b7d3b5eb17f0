"""Is a sound there that a longer and louder one masks? Whole and part together, against the whole.

Cell by cell the part may agree with nothing that was heard, because the whole sounds along with
it; but where it sounds, the whole is louder than otherwise, by as much as power adds up, and that
in all the part's cells together. What the whole is like otherwise is known twice: from its other
occurrences at the same place, and from the same occurrence a little earlier and later.

For each place the *worth* of a part is half the difference of two sums of squared errors, in
deviations of the whole's own cells: of the whole alone, and of the whole with the part (the
logarithm of their likelihood ratio, were cells independent and normal). A cell that neither
explains counts for neither. ``possible`` is what it would be if the part were there exactly.

Invariants: a pure function; bounded by occurrences, places, gains and cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.patterns.along import BESIDE, by_band
from operators.patterns.canvas import Canvas
from operators.patterns.compiled import kernel
from operators.patterns.template import Template
from operators.records import Floats

CELLS = 80
AROUND_FRAMES, STRIDE_FRAMES = 24, 4
"""The same occurrence, this far earlier and later, in steps."""
HEARD_DB, AUDIBLE_DB = 6.0, -30.0
LEAST_SPREAD_DB, ABOVE_FLOOR_DB = 1.0, 1.0
GAINS, GAIN_SLACK_DB = 5, 2.0
UNLIKE = 9.0
"""Squared deviations from which a cell speaks neither for nor against."""
DOUBLED_DB, ALONE_DB = 3.01, 16.0
"""Two equal levels add up to this much more; this far apart the louder one is alone."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """(n, places) for each occurrence and place, at the gain at which a part is worth most."""

    worth: Floats
    possible: Floats

    @property
    def share(self) -> Floats:
        """(n, places) worth of what is possible: 1 where the part is, below 0 where it is not."""
        return np.asarray(self.worth / np.maximum(self.possible, 1.0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Backdrop:
    """Occurrences of a whole by band before one account of what they would be without a part.

    Attributes:
        away: (n, BANDS, rows + BESIDE) dB above what is expected.
        under: (n, BANDS, rows + BESIDE) dB that are expected.
        spread: (BANDS,) dB by which occurrences differ from that.
    """

    away: Floats
    under: Floats
    spread: Floats

    @classmethod
    def of(cls, level: Floats, expected: Floats, floor: Floats) -> "Backdrop":
        """From levels (n, rows, BANDS)."""
        under = np.maximum(expected, floor + ABOVE_FLOOR_DB)
        away = level - under
        spread = 1.4826 * np.median(np.abs(away[:, ::2]), axis=(0, 1))
        spread = np.maximum(spread, LEAST_SPREAD_DB).astype(np.float32)
        return cls(by_band(away), by_band(under), spread)

    def weigh(self, part: Template, gains: Sequence[float], first: int, places: int) -> Weighed:
        """What a part is worth with its row 0 at each of the rows from ``first`` on.

        Args:
            part: shorter than the whole.
            gains: dB of its loudest cell that are tried.
            first: row of the first place; cells before row 0 or after the last are not there.
            places: how many.
        """
        shape = part.shape
        cells = int(np.count_nonzero(shape.coarse_weight))
        chosen = np.unique(np.linspace(0, cells - 1, min(cells, CELLS)).astype(np.intp))
        rows = self.away.shape[2] - BESIDE
        row = shape.coarse_row[chosen]
        inside = (first + row >= 0) & (first + row + places <= rows)
        chosen, row = chosen[inside], row[inside]
        worth, possible = weigh_cells(
            self.away,
            self.under,
            1.0 / self.spread,
            row,
            shape.coarse_band[chosen],
            shape.coarse_level[chosen],
            np.asarray(gains, dtype=np.float32),
            first,
            places,
        )
        return Weighed(worth, possible)


def backdrops(canvases: Sequence[Canvas], whole: Template, edge: int) -> tuple[Backdrop, Backdrop]:
    """Before the other occurrences, and before the same one a little earlier and later.

    Args:
        canvases: at least three occurrences of one length.
        whole: the template of the whole, its row 0 at their row ``edge``.
        edge: see ``whole``.
    """
    level = np.stack([canvas.level for canvas in canvases])
    floor = np.stack([canvas.floor for canvas in canvases])
    gain = _gains(level, floor, whole, edge)[:, None, None]
    others = _others(level - gain) + gain
    return Backdrop.of(level, others, floor), Backdrop.of(level, _around(level), floor)


def gains_of(part: Template) -> list[float]:
    """Gains at which a part was heard, and a little beyond; empty if none is remembered."""
    known = [clip.gain for clip in part.exemplars]
    if not known:
        return []
    low, high = min(known) - GAIN_SLACK_DB, max(known) + GAIN_SLACK_DB
    return [float(gain) for gain in np.linspace(low, high, GAINS)]


def _gains(level: Floats, floor: Floats, whole: Template, edge: int) -> Floats:
    """(n,) dB at which each occurrence was heard."""
    inner = slice(edge, edge + whole.frames)
    loud = whole.level > AUDIBLE_DB
    away = (level[:, inner] - whole.level)[:, loud]
    heard = (level[:, inner] > floor[:, inner] + HEARD_DB)[:, loud]
    gains = [np.median(a[h]) if h.any() else 0.0 for a, h in zip(away, heard, strict=True)]
    return np.array(gains, dtype=np.float32)


def _others(level: Floats) -> Floats:
    """(n, rows, BANDS) the (lower) median of all the other occurrences."""
    middle = (len(level) - 2) // 2
    ordered = np.sort(level, axis=0)
    below, above = ordered[middle], ordered[middle + 1]
    return np.asarray(np.where(level <= below, above, below), dtype=np.float32)


def _around(level: Floats) -> Floats:
    """(n, rows, BANDS) the median over the rows around each row."""
    rows = level.shape[1]
    steps = np.arange(-AROUND_FRAMES, AROUND_FRAMES + 1, STRIDE_FRAMES)
    at = np.arange(0, rows, STRIDE_FRAMES)
    near = np.clip(at[:, None] + steps, 0, rows - 1)
    ordered = np.sort(level[:, near], axis=2)
    return np.repeat(ordered[:, :, len(steps) // 2], STRIDE_FRAMES, axis=1)[:, :rows]


@kernel
def weigh_cells(
    away: Floats,
    under: Floats,
    precision: Floats,
    cell_row: NDArray[np.intp],
    cell_band: NDArray[np.intp],
    cell_level: Floats,
    gains: Floats,
    first: int,
    places: int,
) -> tuple[Floats, Floats]:
    """See ``Backdrop.weigh``: worth and possible, each (n, places).

    ``precision`` is one over the spread; BESIDE rows beyond the last place are read, and not used.
    """
    shape = (len(away), places)
    worth = np.full(shape, -np.inf, dtype=np.float32)
    possible = np.zeros(shape, dtype=np.float32)
    total, most = np.empty(BESIDE, dtype=np.float32), np.empty(BESIDE, dtype=np.float32)
    for n in range(len(away)):
        for at in range(0, places, BESIDE):
            for g in range(len(gains)):
                total[:] = np.float32(0.0)
                most[:] = np.float32(0.0)
                for c in range(len(cell_row)):
                    row, band = first + at + cell_row[c], cell_band[c]
                    weigh_cell(
                        away[n, band, row : row + BESIDE],
                        under[n, band, row : row + BESIDE],
                        precision[band],
                        cell_level[c] + gains[g],
                        total,
                        most,
                    )
                for i in range(min(BESIDE, places - at)):
                    if total[i] > worth[n, at + i]:
                        worth[n, at + i] = total[i]
                        possible[n, at + i] = most[i]
    return worth, possible


@kernel
def weigh_cell(
    away: Floats,
    under: Floats,
    precision: np.float32,
    expected: np.float32,
    total: Floats,
    most: Floats,
) -> None:
    """Add what one cell of a part says at BESIDE places."""
    unlike, half = np.float32(UNLIKE), np.float32(0.5)
    for i in range(BESIDE):
        apart = expected - under[i]
        near = np.float32(1.0) - abs(apart) / np.float32(ALONE_DB)
        near = near if near > 0 else np.float32(0.0)
        louder = apart if apart > 0 else np.float32(0.0)
        more = (louder + np.float32(DOUBLED_DB) * near * near) * precision
        alone = away[i] * precision
        together = alone - more
        without, with_part, exact = alone * alone, together * together, more * more
        without = without if without < unlike else unlike
        with_part = with_part if with_part < unlike else unlike
        exact = exact if exact < unlike else unlike
        total[i] += half * (without - with_part)
        most[i] += half * exact
