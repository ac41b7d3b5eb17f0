"""What the levels of a template are: dB relative to its loudest cell, EMPTY where it is silent.

Invariant: pure functions and their constants, of single cells; nothing here knows a template. The
constants are compiled into ``kernels`` and ``along``: touch those files, too, to have them compiled
anew (see ``compiled``).
"""

import numpy as np

from operators.records import Floats

EMPTY = -60.0
WEIGHT_RANGE_DB = 30.0
AGREE_DB, DISAGREE_DB = 2.0, 9.0
"""Levels that differ by less are the same; those that differ by more have nothing in common."""


def half(levels: Floats) -> Floats:
    """Levels rounded to what float16 can hold, as float32."""
    return levels.astype(np.float16).astype(np.float32)


def loudness_weight(level: Floats) -> Floats:
    """How much a cell counts, from its level below the loudest: 1 at the peak, 0 at -30 dB."""
    return np.asarray(np.clip((level + WEIGHT_RANGE_DB) / WEIGHT_RANGE_DB, 0, 1))
