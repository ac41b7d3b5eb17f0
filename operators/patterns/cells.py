"""Cell-by-cell comparison of levels: the gain between two sounds and how well cells agree.

The gain is the mode of the cell differences rather than their mean, because cells that another
sound or the noise covers differ by anything, while those in which the sound itself is heard agree
on one number.

Invariant: pure functions of their arguments; no cell outside the given mask has influence.
"""

import numpy as np
from numpy.typing import NDArray

from operators.patterns.kernels import mode_of
from operators.patterns.levels import AGREE_DB, DISAGREE_DB
from operators.records import Floats


def mode_gain(difference: Floats, weight: Floats) -> Floats:
    """Weighted mode of level differences, for each row.

    Args:
        difference: (n, cells) observed minus template level in dB.
        weight: (n, cells); 0 leaves a cell out.

    Returns:
        (n,) dB: the fullest of smoothed 2 dB bins, refined by the mean within 3 dB of it.
    """
    pairs = zip(difference, weight, strict=True)
    return np.array([mode_of(d, np.asarray(w, np.float64)) for d, w in pairs], dtype=np.float32)


def agreement(difference: Floats) -> Floats:
    """1 up to 2 dB of difference, falling to 0 at 9 dB."""
    fall = (DISAGREE_DB - np.abs(difference)) / (DISAGREE_DB - AGREE_DB)
    return np.asarray(np.clip(fall, 0, 1))


def occluded(difference: Floats) -> NDArray[np.bool_]:
    """Cells far louder than predicted: something else sounds there."""
    return difference > DISAGREE_DB
