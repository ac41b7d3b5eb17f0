"""Does a part have its place in a whole: one at which all occurrences resemble it, as nowhere else?

What nearly always lies at one place is in the other occurrences, too, and explains nothing that
they do not (see ``masked``). But there the wholes resemble the part far more than elsewhere; and if
it is a sound of its own rather than a piece of the whole, it does not keep its place to the frame.

Invariant: a pure function of likenesses and fits; bounded by occurrences and places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.patterns.match import Fit
from operators.records import Floats

EXPLAINED = 0.15
"""Least share of what sounds there that the part accounts for: less is a mere resemblance."""
WANDER_FRAMES = 4
APART_FRAMES = 8
LIKENESS, GAP, DEVIATIONS = 0.6, 0.1, 5.0
"""Mean likeness there, by how much it exceeds the next best place, and in deviations."""
CLEAR_GAP, CLEAR_DEVIATIONS = 0.15, 4.0
"""Or, far above the next best place, in deviations."""
RAW, TYPICAL_RAW, SHARE = 0.6, 0.7, 0.7
PLAIN_DEVIATIONS, PLAIN_RAW = 8.0, 0.6
"""At a place that stands out this far the fits themselves may be poorer."""
AUDIBLE = 0.9
"""Share of the part's weight that can typically be heard: of much, a little is found anywhere."""
OWN_FRAMES, OWN_GAIN_DB = 0.75, 5.0
"""The middle half of a sound of its own wanders by this or more; its level by no more than this."""
LEAST = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Index of a place, and how many deviations it stands out from all others."""

    at: int
    deviations: float


def placed(
    likeness: Floats, frames: int, fit: Callable[[int, int], Fit]
) -> list[tuple[int, int, Fit]]:
    """Occurrence, place and evidence of a part that has its place; empty if it has none.

    Args:
        likeness: (wholes, places) of the part, rounded.
        frames: length of the part.
        fit: compares it in one occurrence, at one place.
    """
    place = standing_out(_widened(likeness), frames)
    if place is None:
        return []
    low = max(0, place.at - WANDER_FRAMES)
    near = low + likeness[:, low : place.at + WANDER_FRAMES + 1].argmax(axis=1)
    fits = [(number, int(at), fit(number, int(at))) for number, at in enumerate(near)]
    fits = [each for each in fits if each[2].raw >= RAW and each[2].explained >= EXPLAINED]
    return fits if own([each[2] for each in fits], len(likeness), place) else []


def standing_out(wide: Floats, frames: int) -> Place | None:
    """The one place at which the wholes resemble the part far more than elsewhere."""
    mean = wide.mean(axis=0)
    top = int(mean.argmax())
    if mean[top] < LIKENESS:
        return None
    away: NDArray[np.bool_] = np.abs(np.arange(len(mean)) - top) > max(APART_FRAMES, frames // 2)
    if away.sum() < APART_FRAMES:
        return None
    elsewhere = mean[away]
    gap = float(mean[top] - elsewhere.max())
    deviations = float(mean[top] - elsewhere.mean()) / max(float(elsewhere.std()), 0.02)
    stands_out = gap >= GAP and deviations >= DEVIATIONS
    stands_out = stands_out or (gap >= CLEAR_GAP and deviations >= CLEAR_DEVIATIONS)
    return Place(top, deviations) if stands_out else None


def own(fits: Sequence[Fit], wholes: int, place: Place) -> bool:
    """Whether what lies at one place is a sound of its own: often, alike, and not rigid."""
    if len(fits) < max(LEAST, SHARE * wholes):
        return False
    if np.median([fit.audible for fit in fits]) < AUDIBLE:
        return False
    raw = np.median([fit.raw for fit in fits])
    gain = np.std([fit.gain for fit in fits])
    early, late = np.percentile([fit.place.row for fit in fits], (25, 75))
    typical = PLAIN_RAW if place.deviations >= PLAIN_DEVIATIONS else TYPICAL_RAW
    return bool(raw >= typical and gain <= OWN_GAIN_DB and late - early >= OWN_FRAMES)


def _widened(likeness: Floats) -> Floats:
    """(wholes, places) the best within WANDER_FRAMES - 1 of each place."""
    wide = likeness.copy()
    for reach in range(1, WANDER_FRAMES):
        np.maximum(wide[:, reach:], likeness[:, :-reach], out=wide[:, reach:])
        np.maximum(wide[:, :-reach], likeness[:, reach:], out=wide[:, :-reach])
    return wide
