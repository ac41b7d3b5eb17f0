"""A sound played a little faster or slower: its partials move from band to band.

Few sounds come back at exactly their pitch: an animal, a motor under load, a record. Within a few
percent a partial moves by up to half a band, which is much for a sound that is made of partials and
nothing for noise. What a band holds is shared out between where it is and its neighbour, by an
exponent (``SHARED``) that was measured on partials heard through the front end: of 1 to 4 it came
nearest to what they were at that speed, 1.1 to 3.5 dB of error, where as they were it was 2.9 to 7.

Invariant: rows stay; how long the sound lasts is the tempo's affair. It does not know where in its
band a partial lies, so that a moved one may be wrong by some 3 dB.
"""

from functools import cache

import numpy as np

from operators.patterns.cells import agreement
from operators.patterns.levels import EMPTY
from operators.records import ANALYSIS_RATE_HZ, BANDS, Floats
from operators.spectrum import hz_to_mel

SPEEDS = (1.0, 0.965, 1.035)
"""At which a sound is looked for."""
FINE_SPEEDS = (0.98, 1.02, 0.96, 1.04, 0.94, 1.06)
"""At which two sounds are held against each other."""
LEAST_FRAMES = 16
"""What is shorter is like too many things already."""
SPARSE, TONAL = 0.35, 0.96
"""What has so many audible cells, or agrees so well with itself at another speed, has no pitch."""
SHARED = 2.5


def played(level: Floats, speed: float) -> Floats:
    """Levels (T, BANDS) as they would be were the sound played ``speed`` times as fast.

    ``speed`` is near enough to 1 for no band to move by more than one.
    """
    if speed == 1.0:
        return level
    moved = _moved(speed)
    held = np.where(level > EMPTY + 5, 10.0 ** (level / (10.0 * SHARED)), 0.0)
    given = held * np.abs(moved)
    there = held - given
    if speed > 1.0:
        there[:, 1:] += given[:, :-1]
        there[:, 0] += given[:, 0]  # beyond the outermost band it goes on alike
    else:
        there[:, :-1] += given[:, 1:]
        there[:, -1] += given[:, -1]
    there_db = 10.0 * SHARED * np.log10(np.maximum(there, 1e-9))
    return np.where(there_db > EMPTY + 5, there_db, EMPTY).astype(np.float32)


def tonal(level: Floats, weight: Floats) -> bool:
    """Whether a sound is another one, cell by cell, at another of ``SPEEDS``.

    Args:
        level: (T, BANDS) dB, EMPTY where inaudible.
        weight: (T, BANDS) how much each cell counts.
    """
    if len(level) < LEAST_FRAMES or (level > EMPTY + 5).mean() >= SPARSE:
        return False
    whole = max(float(weight.sum()), 1e-6)
    agreed = [
        float((weight * agreement(played(level, speed) - level)).sum()) / whole
        for speed in SPEEDS[1:]
    ]
    return round(min(agreed), 4) < TONAL


@cache
def _moved(speed: float) -> Floats:
    """(BANDS,) by how many bands the centre of each one moves; to be read only."""
    top = float(hz_to_mel(np.array(ANALYSIS_RATE_HZ / 2)))
    step = 2 * top / (2 * BANDS + 1)  # a band pools two of the mel filterbank
    mel = (np.arange(BANDS) + 0.75) * step
    hz = np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0), np.float64)  # the inverse of hz_to_mel
    moved = (hz_to_mel(hz * speed) - mel) / step
    return np.asarray(np.clip(moved, -1, 1))
