"""What is left of a stretch of sound once the known ones are taken out, and where it sets in.

A soft sound under a louder one makes no peak of flux. When a template accounts for the louder
one, what remains shows where the other begins.

Invariant: cells within 6 dB of what is accounted for (or a frame beside it) count as explained.
"""

import numpy as np
from numpy.typing import NDArray

from operators.patterns.canvas import LOUDEST_DB, View
from operators.records import Floats

NEAR_DB = 6.0
STRETCH_FRAMES = 8
MEAN_DB = 1.5
APART_FRAMES = 7


def spread(known: Floats) -> Floats:
    """Known levels, each cell the loudest of itself and the frames beside it."""
    wide = known.copy()
    np.maximum(wide[1:], known[:-1], out=wide[1:])
    np.maximum(wide[:-1], known[1:], out=wide[:-1])
    return wide


def explained_cells(view: View) -> NDArray[np.bool_]:
    """(rows, BANDS) cells that accepted templates account for."""
    return spread(view.known) > view.level - NEAR_DB


def residual_onsets(view: View, explained: NDArray[np.bool_], first: int, last: int) -> list[int]:
    """Rows in [first, last) at which something unexplained sets in and stays.

    Args:
        view: the padded canvas.
        explained: its cells that are accounted for.
        first: row of the first onset wanted.
        last: row after the last one.
    """
    height = np.clip(view.level - view.noise, 0, LOUDEST_DB)
    left = np.where(explained, 0, height).mean(axis=1)
    loud = left > MEAN_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)
    return [
        int(start)
        for start, stop in runs
        if first <= start < last and stop - start >= STRETCH_FRAMES
    ]


def pooled_usable(explained: NDArray[np.bool_]) -> Floats:
    """(rows, PRINT_BANDS) 1 where neither of two bands is accounted for."""
    pairs = explained.reshape(len(explained), -1, 2)
    return np.asarray(~pairs.any(axis=2), dtype=np.float32)
