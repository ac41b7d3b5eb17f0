"""Cell-by-cell comparison of levels: the gain between two sounds and how well cells agree.

The gain is the mode of the cell differences rather than their mean, because cells that another
sound or the noise covers differ by anything, while those in which the sound itself is heard agree
on one number.

Invariant: pure functions of their arguments; no cell outside the given mask has influence.
"""

import numpy as np
from numpy.typing import NDArray

from operators.records import Floats

BIN_DB = 2.0
BINS = 128
LOWEST_DB = -128.0
AGREE_DB = 2.0
DISAGREE_DB = 9.0


def mode_gain(difference: Floats, weight: Floats) -> Floats:
    """Weighted mode of level differences, for each row.

    Args:
        difference: (n, cells) observed minus template level in dB.
        weight: (n, cells); 0 leaves a cell out.

    Returns:
        (n,) dB: the fullest of smoothed 2 dB bins, refined by the mean within 3 dB of it.
    """
    n = len(difference)
    bins = np.clip((difference - LOWEST_DB) / BIN_DB, 0, BINS - 1).astype(np.intp)
    flat = bins + (np.arange(n) * BINS)[:, None]
    filled = np.bincount(flat.ravel(), weights=weight.ravel(), minlength=n * BINS)
    counts: NDArray[np.float64] = filled.astype(np.float64).reshape(n, BINS)
    smooth = counts.copy()
    smooth[:, 1:] += 0.5 * counts[:, :-1]
    smooth[:, :-1] += 0.5 * counts[:, 1:]
    centre = (LOWEST_DB + (smooth.argmax(axis=1) + 0.5) * BIN_DB).astype(np.float32)
    near = weight * (np.abs(difference - centre[:, None]) <= 3.0)
    total = near.sum(axis=1)
    refined = (near * difference).sum(axis=1) / np.maximum(total, 1e-6)
    return np.asarray(np.where(total > 0, refined, centre), dtype=np.float32)


def agreement(difference: Floats) -> Floats:
    """1 up to 2 dB of difference, falling to 0 at 9 dB."""
    fall = (DISAGREE_DB - np.abs(difference)) / (DISAGREE_DB - AGREE_DB)
    return np.asarray(np.clip(fall, 0, 1))


def occluded(difference: Floats) -> NDArray[np.bool_]:
    """Cells far louder than predicted: something else sounds there."""
    return difference > DISAGREE_DB
