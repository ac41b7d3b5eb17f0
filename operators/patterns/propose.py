"""Where could which template sit? A masked cosine of every fingerprint at every frame.

One matrix product a region; only what it proposes is looked at more closely. The observation is
normalised inside each template's own cells, so that other sounds elsewhere do not matter.

Invariant: scores are rounded before they are compared, so that the order of candidates does not
depend on the last bit of a matrix product.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.patterns.config import DetectorConfig
from operators.patterns.template import PRINT_BANDS, PRINT_FRAMES
from operators.records import BANDS, Floats

LEAST_SEEN = 0.3
"""A fingerprint of which less than this share (of energy) can be compared proves nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Template ``index`` with its first row at padded row ``row``; ``on_onset`` = anchored."""

    index: int
    row: int
    cosine: float
    on_onset: bool


def print_rows(level: Floats, floor: Floats) -> Floats:
    """(rows, PRINT_BANDS) square root of dB above the floor, bands pooled in pairs."""
    height = np.sqrt(np.clip(level - floor, 0, 40))
    pooled = height.reshape(len(height), PRINT_BANDS, BANDS // PRINT_BANDS).mean(axis=2)
    return np.asarray(pooled, dtype=np.float32)


def cosines(
    rows: Floats,
    prints: Floats,
    masks: Floats,
    first: int,
    last: int,
    usable: Floats | None = None,
) -> Floats:
    """Masked cosine of every template with its row 0 at each of the rows [first, last).

    Args:
        rows: (n, PRINT_BANDS) of a padded view.
        prints: (PRINT_FRAMES * PRINT_BANDS, K).
        masks: (PRINT_FRAMES * PRINT_BANDS, K) 1 where a cell is compared.
        first: row of the first placement.
        last: row after the last one.
        usable: (n, PRINT_BANDS) 1 where a cell may be compared, 0 where not; None = everywhere.

    Returns:
        (last - first, K) float32, rounded to 1e-4.
    """
    whole = (prints * prints).sum(axis=0)
    if usable is None:
        windows = _windows(rows, first, last)
        own = whole
    else:
        windows = _windows(rows * usable, first, last)
        own = _windows(usable, first, last) @ (prints * prints)
    dot = windows @ prints
    energy = (windows * windows) @ masks
    cosine = dot / np.sqrt(np.maximum(energy * own, 1e-6))
    enough = np.where(own >= LEAST_SEEN * whole, cosine, 0).astype(np.float32)
    return np.asarray(np.round(enough, 4))


def _windows(rows: Floats, first: int, last: int) -> Floats:
    strided = np.lib.stride_tricks.sliding_window_view(rows, PRINT_FRAMES, axis=0)
    return strided[first:last].transpose(0, 2, 1).reshape(last - first, -1)


def _at_onsets(
    score: Floats, onsets: list[int], first: int, leads: NDArray[np.intp], config: DetectorConfig
) -> list[Candidate]:
    found: list[Candidate] = []
    n = len(score)
    for onset in onsets:
        rows = np.clip(onset - leads - first + np.array([[-1], [0], [1], [2]]), 0, n - 1)
        local = np.take_along_axis(score, rows, axis=0)
        best = local.argmax(axis=0)
        value = local[best, np.arange(score.shape[1])]
        order = np.argsort(-value, kind="stable")[: config.per_onset]
        found += [
            Candidate(int(k), first + int(rows[best[k], k]), float(value[k]), True)
            for k in order
            if value[k] > config.propose_onset
        ]
    return found


def _free(score: Floats, first: int, config: DetectorConfig) -> list[Candidate]:
    if len(score) < 3:
        return []
    inner = score[1:-1]
    peak = (inner > config.propose_free) & (inner >= score[:-2]) & (inner > score[2:])
    row, k = np.nonzero(peak)
    value = inner[row, k]
    order = np.argsort(-value, kind="stable")[: config.free_peaks]
    return [Candidate(int(k[i]), first + 1 + int(row[i]), float(value[i]), False) for i in order]


def propose(
    score: Floats,
    first: int,
    onsets: list[int],
    leads: NDArray[np.intp],
    config: DetectorConfig,
) -> list[Candidate]:
    """Candidates worth a comparison, anchored ones first, at most ``candidates_per_call``.

    Args:
        score: (n, K) cosines of rows [first, first + n).
        first: see ``score``.
        onsets: padded rows of the onsets.
        leads: (K,) rows each template starts before its onset.
        config: thresholds and bounds.
    """
    if not score.size:
        return []
    anchored = _at_onsets(score, onsets, first, leads, config)
    taken = {(c.index, c.row + d) for c in anchored for d in (-2, -1, 0, 1, 2)}
    free = [c for c in _free(score, first, config) if (c.index, c.row) not in taken]
    unique = {(c.index, c.row): c for c in reversed(anchored)}
    ordered = sorted(unique.values(), key=lambda c: (-c.cosine, c.row, c.index))
    return (ordered + free)[: config.bounds.candidates_per_call]
