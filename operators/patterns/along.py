"""How like a template are stretches of sound, at every place in them?

What ``kernels.coarse_score`` says of one place, for many places side by side: laid out by band, the
rows that a cell of the template meets at consecutive places lie next to each other, and the
processor takes several at a time.

Invariants: the same sums in the same order as of one place alone, so that the result is the same
bit for bit; nothing there is accounted for, and nothing unseen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.patterns.canvas import Canvas, View
from operators.patterns.compiled import kernel
from operators.patterns.kernels import (
    BIN_DB,
    BINS,
    COARSE_AUDIBLE,
    HEARD_DB,
    LOWEST_DB,
    REFINED_DB,
)
from operators.patterns.levels import AGREE_DB, DISAGREE_DB
from operators.patterns.template import Template
from operators.records import BANDS, Floats

BESIDE = 32
"""How many places are compared at once."""


@dataclass(frozen=True, slots=True)
class Laid:
    """Stretches of one length by band: levels and floors, (n, BANDS, rows + BESIDE) dB."""

    level: Floats
    floor: Floats

    @classmethod
    def of(cls, stretches: Sequence[Canvas | View]) -> "Laid":
        """At least one stretch, all of one length."""
        level = np.stack([stretch.level for stretch in stretches])
        return cls(by_band(level), by_band(np.stack([stretch.floor for stretch in stretches])))

    def likeness(self, template: Template, first: int, places: int) -> Floats:
        """Coarse similarity of a template, as it is, with its row 0 at rows from ``first`` on.

        Args:
            template: of any length.
            first: row of the first place.
            places: how many.

        Returns:
            (n, places) float32, 0 to 1.

        Raises:
            ValueError: some place would reach beyond the rows.
        """
        shape = template.shape
        cells = int(np.count_nonzero(shape.coarse_weight))
        row = shape.coarse_row[:cells]
        reach = first + places + int(row.max(initial=0))
        if first < 0 or reach > self.level.shape[2] - BESIDE:
            raise ValueError(f"places {first} to {first + places} of a template reach too far")
        return likeness_of(
            self.level,
            self.floor,
            row,
            shape.coarse_band[:cells],
            shape.coarse_level[:cells],
            shape.coarse_weight[:cells],
            first,
            places,
        )


def by_band(rows: Floats) -> Floats:
    """(n, rows, BANDS) as (n, BANDS, rows + BESIDE), with zeros beyond the rows."""
    laid = np.zeros((len(rows), BANDS, rows.shape[1] + BESIDE), dtype=np.float32)
    laid[:, :, : rows.shape[1]] = rows.transpose(0, 2, 1)
    return laid


@kernel
def likeness_of(
    level: Floats,
    floor: Floats,
    cell_row: NDArray[np.intp],
    cell_band: NDArray[np.intp],
    cell_level: Floats,
    cell_weight: Floats,
    first: int,
    places: int,
) -> Floats:
    """See ``Laid.likeness``; BESIDE rows beyond the last place are read, and not used."""
    found = np.empty((len(level), places), dtype=np.float32)
    cells = len(cell_row)
    difference = np.empty((cells, BESIDE), dtype=np.float32)
    free = np.empty((cells, BESIDE), dtype=np.float32)
    gain = np.empty(BESIDE)
    whole = 0.0
    for c in range(cells):
        whole += cell_weight[c]
    for n in range(len(level)):
        for at in range(0, places, BESIDE):
            start = first + at
            differences(
                level[n], floor[n], cell_row, cell_band, cell_level, cell_weight, start,
                difference, free,
            )  # fmt: skip
            modes(difference, free, gain)
            total, similar = np.zeros(BESIDE), np.zeros(BESIDE)
            for c in range(cells):
                row, heard = start + cell_row[c], floor[n, cell_band[c]]
                heard = heard[row : row + BESIDE]
                expected, weight = np.float64(cell_level[c]), np.float64(cell_weight[c])
                away = difference[c]
                for i in range(BESIDE):
                    error = away[i] - gain[i]
                    counts: float = 0.5 * weight if error > DISAGREE_DB else weight
                    counts = counts if expected + gain[i] > heard[i] + HEARD_DB else 0.0
                    agrees = (DISAGREE_DB - abs(error)) / (DISAGREE_DB - AGREE_DB)
                    agrees = agrees if agrees > 0.0 else 0.0
                    agrees = agrees if agrees < 1.0 else 1.0
                    total[i] += counts
                    similar[i] += counts * agrees
            for i in range(min(BESIDE, places - at)):
                audible = total[i] > COARSE_AUDIBLE * max(whole, 1e-6)
                found[n, at + i] = similar[i] / max(total[i], 1e-6) if audible else 0.0
    return found


@kernel
def differences(
    level: Floats,
    floor: Floats,
    cell_row: NDArray[np.intp],
    cell_band: NDArray[np.intp],
    cell_level: Floats,
    cell_weight: Floats,
    start: int,
    difference: Floats,
    free: Floats,
) -> None:
    """Fill level differences of all cells at BESIDE places, and weights of what is heard there."""
    for c in range(len(cell_row)):
        row, band = start + cell_row[c], cell_band[c]
        observed = level[band, row : row + BESIDE]
        background = floor[band, row : row + BESIDE]
        expected, weight = cell_level[c], cell_weight[c]
        away, counts = difference[c], free[c]
        for i in range(BESIDE):
            away[i] = observed[i] - expected
        for i in range(BESIDE):
            counts[i] = weight if observed[i] > background[i] else np.float32(0.0)


@kernel
def modes(difference: Floats, weight: Floats, gain: NDArray[np.float64]) -> None:
    """Fill the weighted mode of each column of (cells, BESIDE) differences; see ``mode_of``."""
    filled = np.zeros((BINS + 2, BESIDE))
    into = np.empty(BESIDE, dtype=np.int32)
    for c in range(len(difference)):
        away, counts = difference[c], weight[c]
        for i in range(BESIDE):
            at: float = (np.float64(away[i]) - LOWEST_DB) / BIN_DB
            at = at if at > 0.0 else 0.0
            into[i] = np.int32(at if at < BINS - 1.0 else BINS - 1.0)
        for i in range(BESIDE):
            filled[np.uint32(into[i] + 1), i] += counts[i]
    best, fullest = np.zeros(BESIDE), np.full(BESIDE, -1.0)
    for b in range(BINS):
        below, here, above = filled[b], filled[b + 1], filled[b + 2]
        for i in range(BESIDE):
            smooth = here[i] + 0.5 * below[i] + 0.5 * above[i]
            fuller = smooth > fullest[i]
            best[i] = b if fuller else best[i]
            fullest[i] = smooth if fuller else fullest[i]
    total, moment = np.zeros(BESIDE), np.zeros(BESIDE)
    for i in range(BESIDE):
        best[i] = LOWEST_DB + (best[i] + 0.5) * BIN_DB
    for c in range(len(difference)):
        away, counts = difference[c], weight[c]
        for i in range(BESIDE):
            close = abs(away[i] - best[i]) <= REFINED_DB
            near = np.float64(counts[i] if close else 0.0)
            total[i] += near
            moment[i] += near * away[i]
    for i in range(BESIDE):
        gain[i] = moment[i] / total[i] if total[i] > 0.0 else best[i]
