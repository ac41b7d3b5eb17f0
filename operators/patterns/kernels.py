"""The two comparisons that discovery spends its time on, compiled: on a few cells, and on all.

Each walks the cells once for the gain and once for the evidence. The first use compiles them
(seconds; see ``compiled``). What the numbers mean stands in ``match``.

Invariants: results are the same bit for bit however many candidates are compared; nothing is
allocated that grows with the stream.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.patterns.canvas import LOUDEST_DB, NOTHING
from operators.patterns.compiled import kernel
from operators.patterns.levels import AGREE_DB, DISAGREE_DB, EMPTY
from operators.records import Floats

Reals: TypeAlias = NDArray[np.floating[Any]]

BIN_DB, BINS, LOWEST_DB = 2.0, 128, -128.0
REFINED_DB = 3.0
SLACK_DB, HEARD_DB = 6.0, 3.0
COARSE_AUDIBLE = 0.15
TAIL_FRAMES = 6


@kernel
def mode_of(difference: Reals, weight: Reals) -> float:
    """Weighted mode of (n,) level differences in dB; see ``cells.mode_gain``."""
    counts = np.zeros(BINS + 2)
    for i in range(len(difference)):
        if weight[i] > 0.0:
            at = (difference[i] - LOWEST_DB) / BIN_DB
            counts[1 + int(min(max(at, 0.0), BINS - 1.0))] += weight[i]
    best, fullest = 0, -1.0
    for b in range(BINS):
        smooth = counts[b + 1] + 0.5 * counts[b] + 0.5 * counts[b + 2]
        if smooth > fullest:
            best, fullest = b, smooth
    centre = LOWEST_DB + (best + 0.5) * BIN_DB
    total, moment = 0.0, 0.0
    for i in range(len(difference)):
        if weight[i] > 0.0 and abs(difference[i] - centre) <= REFINED_DB:
            total += weight[i]
            moment += weight[i] * difference[i]
    return moment / total if total > 0.0 else centre


@kernel
def agrees(error: float) -> float:
    """1 up to 2 dB of difference, falling to 0 at 9 dB."""
    return min(max((DISAGREE_DB - abs(error)) / (DISAGREE_DB - AGREE_DB), 0.0), 1.0)


@kernel
def coarse_score(
    level: Floats,
    floor: Floats,
    known: Floats,
    seen: NDArray[np.bool_],
    cell_row: NDArray[np.intp],
    cell_band: NDArray[np.intp],
    cell_level: Floats,
    cell_weight: Floats,
    start: int,
    tempo: float,
) -> float:
    """Similarity of one template's loud cells with its row 0 at ``start``, played at ``tempo``."""
    cells = len(cell_row)
    difference = np.empty(cells)
    free = np.empty(cells)
    last = len(level) - 1
    for c in range(cells):
        at = min(max(start + int(np.rint(cell_row[c] * tempo)), 0), last)
        band = cell_band[c]
        observed = level[at, band]
        difference[c] = observed - cell_level[c]
        hidden = known[at, band] > observed - SLACK_DB or observed <= floor[at, band]
        free[c] = 0.0 if hidden or not seen[at] else cell_weight[c]
    gain = mode_of(difference, free)
    whole, total, similar = 0.0, 0.0, 0.0
    for c in range(cells):
        whole += cell_weight[c]
        at = min(max(start + int(np.rint(cell_row[c] * tempo)), 0), last)
        band = cell_band[c]
        expected = cell_level[c] + gain
        if not seen[at] or expected <= floor[at, band] + HEARD_DB:
            continue
        if known[at, band] >= expected - HEARD_DB:
            continue
        error = difference[c] - gain
        weight = 0.5 * cell_weight[c] if error > DISAGREE_DB else cell_weight[c]
        total += weight
        similar += weight * agrees(error)
    if total <= COARSE_AUDIBLE * max(whole, 1e-6):
        return 0.0
    return similar / max(total, 1e-6)


@kernel
def best_place(
    level: Floats,
    floor: Floats,
    known: Floats,
    seen: NDArray[np.bool_],
    cell_row: NDArray[np.intp],
    cell_band: NDArray[np.intp],
    cell_level: Floats,
    cell_weight: Floats,
    row: int,
    tempi: Floats,
    far: float,
    price: float,
) -> tuple[float, int, int]:
    """Similarity, shift and number of the tempo that fit best around a row.

    ``level`` to ``seen`` are of the view, ``cell_row`` to ``cell_weight`` the loud cells of
    the template, ``row`` is where its row 0 is expected. What fits worse than ``far`` there is
    not tried any further. Another than the first of ``tempi`` has to be better by ``price``.
    """
    best, at, number = -1.0, 0, 0
    for t in range(len(tempi)):
        for shift in (0, -1, 1):
            score = coarse_score(
                level, floor, known, seen, cell_row, cell_band, cell_level, cell_weight,
                row + shift, tempi[t],
            )  # fmt: skip
            score = np.rint(1e4 * (score - price if t > 0 else score)) / 1e4
            if score > best:
                best, at, number = score, shift, t
            if best < far:
                return best, at, number
    return best, at, number


@kernel
def exact_cells(
    level: Floats,
    floor: Floats,
    noise: Floats,
    known: Floats,
    seen: NDArray[np.bool_],
    template: Floats,
    weight: Floats,
    source: NDArray[np.intp],
    row: int,
    audible_db: float,
    predicted: Floats,
    claims: NDArray[np.bool_],
) -> tuple[float, float, int, float, float, float, float]:
    """Compares all cells of a template at one place; fills ``predicted`` and ``claims``.

    ``level`` to ``seen`` are of the view, ``template`` and ``weight`` (T, BANDS) of the template;
    ``source`` is the template's row for each observed row from ``row`` on; a cell counts where it
    is expected ``audible_db`` above the floor; ``predicted``, ``claims`` are (len(source), BANDS).

    Returns:
        gain, raw, cells, explained share, occluded share, audible share, energy accounted for.
    """
    rows, bands = len(source), template.shape[1]
    difference = np.empty(rows * bands)
    free = np.empty(rows * bands)
    n = 0
    for r in range(rows):
        for b in range(bands):
            observed = level[row + r, b]
            difference[n] = observed - template[source[r], b]
            hidden = known[row + r, b] > observed - SLACK_DB or observed <= noise[row + r, b]
            free[n] = 0.0 if hidden or not seen[row + r] else weight[source[r], b]
            n += 1
    gain = mode_of(difference, free)
    total, similar, counted, covered, whole = 0.0, 0.0, 0.0, 0.0, 0.0
    energy, accounted = 0.0, 0.0
    cells = 0
    n = 0
    for r in range(rows):
        for b in range(bands):
            error = difference[n] - gain
            n += 1
            observed = level[row + r, b]
            silent = template[source[r], b] <= EMPTY + 5
            expected = NOTHING if silent else template[source[r], b] + gain
            predicted[r, b] = expected
            mine = weight[source[r], b]
            whole += mine
            accountable = known[row + r, b] <= observed - SLACK_DB
            height = min(max(observed - noise[row + r, b], 0.0), LOUDEST_DB)
            claimed = expected > floor[row + r, b] and error < SLACK_DB
            claims[r, b] = claimed
            if accountable:
                energy += height
                if claimed:
                    accounted += height
            heard = expected > floor[row + r, b] + audible_db
            if not seen[row + r] or not heard or known[row + r, b] >= expected - HEARD_DB:
                continue
            if mine <= 0.0:
                continue
            cells += 1
            counted += mine
            if error > DISAGREE_DB:
                covered += mine
                mine *= 0.5
            total += mine
            similar += mine * agrees(error)
    return (
        gain,
        similar / max(total, 1e-6),
        cells,
        accounted / max(energy, 1e-6),
        covered / max(counted, 1e-6),
        counted / max(whole, 1e-6),
        accounted,
    )


@kernel
def tail_share(level: Floats, floor: Floats, end: int, predicted: Floats) -> float:
    """Share of the bands sounding in the last rows of ``predicted`` that go on after ``end``."""
    if end + TAIL_FRAMES > len(level):
        return 0.0
    active, going = 0, 0
    for b in range(predicted.shape[1]):
        last = NOTHING
        for r in range(max(0, len(predicted) - 3), len(predicted)):
            last = max(last, predicted[r, b])
        if last <= floor[end, b] + SLACK_DB:
            continue
        active += 1
        after = 0.0
        for r in range(end, end + TAIL_FRAMES):
            after += level[r, b]
        if after / TAIL_FRAMES > last - HEARD_DB:
            going += 1
    return going / active if active >= 4 else 0.0
