"""Rebuild a template from the best of its occurrences, growing or shrinking at both ends.

A pattern founded on two events may be a fragment: one of them was covered, or its first onset was
missed. With more occurrences at hand every cell takes a low quantile of what was observed (what
covers a sound only ever makes it louder), and both ends move to where the agreement of the
occurrences stops paying. Growing to both sides is what cures fragments.

Invariant: never longer than ``template_frames``; without a gain in agreement nothing changes.
"""

from dataclasses import dataclass

import numpy as np

from operators.patterns.birth import SILENT_WEIGHT, reach
from operators.patterns.cells import agreement
from operators.patterns.clip import Clip
from operators.patterns.config import DetectorConfig
from operators.patterns.kernels import DISAGREE_DB
from operators.patterns.template import EMPTY, loudness_weight
from operators.records import BANDS, Floats

BEFORE_FRAMES = 40
AFTER_FRAMES = 70
QUANTILE = 0.4
PAYS = 0.58
CAUTION = 0.3


@dataclass(frozen=True, slots=True)
class Refit:
    """A rebuilt template: levels relative to the old loudest cell, and how far it grew.

    Attributes:
        level: (T', BANDS) dB, EMPTY where inaudible.
        floor: (BANDS,) dB.
        grown: rows added before the old row 0 (negative: removed).
    """

    level: Floats
    floor: Floats
    grown: int


def _stack(exemplars: list[Clip], frames: int) -> tuple[Floats, Floats]:
    """Observed level minus gain on the common grid, and floors minus gain."""
    rows = BEFORE_FRAMES + frames + AFTER_FRAMES
    observed = np.zeros((len(exemplars), rows, BANDS), dtype=np.float32)
    floors = np.zeros((len(exemplars), 1, BANDS), dtype=np.float32)
    for i, clip in enumerate(exemplars):
        # Outside of the activity it was heard in there was nothing but background.
        observed[i] = clip.floor - np.float32(clip.gain)
        first = BEFORE_FRAMES - clip.anchor
        lo, hi = max(0, first), min(rows, first + len(clip.codes))
        part = slice(lo - first, hi - first)
        level = clip.level[part] - np.float32(clip.gain)
        observed[i, lo:hi] = np.where(clip.known[part], level, observed[i, lo:hi])
        floors[i, 0] = clip.floor - np.float32(clip.gain)
    return observed, floors


def refit(level: Floats, exemplars: list[Clip], lead: int, config: DetectorConfig) -> Refit | None:
    """Rebuild a template (T, BANDS) from at least three exemplars, or None.

    Args:
        level: the present template.
        exemplars: occurrences of it, anchored on its row 0.
        lead: quiet rows wanted before the first that pays.
        config: bounds.
    """
    if len(exemplars) < config.confirm_count:
        return None
    frames = len(level)
    observed, floors = _stack(exemplars, frames)
    value, floor = _consensus(observed, floors)
    weight = np.where(value > EMPTY, loudness_weight(value), 0)
    price = _price(frames, len(exemplars))
    profit = (weight * (_support(observed, floors, value) - price)).sum(axis=1)
    silent = weight.sum(axis=1) < SILENT_WEIGHT
    middle = BEFORE_FRAMES + min(frames // 2, 20)
    last = middle + reach(profit[middle:], silent[middle:])
    first = middle - reach(profit[:middle][::-1], silent[:middle][::-1])
    last = min(last, first + config.bounds.template_frames)
    if last - first < config.birth_frames:
        return None
    if silent[max(0, first - 1)]:
        first = max(0, first - lead)
        last = min(last, first + config.bounds.template_frames)
    grid = value[first:last]
    return Refit(grid, floor, BEFORE_FRAMES - first) if (grid > EMPTY).any() else None


def _consensus(observed: Floats, floors: Floats) -> tuple[Floats, Floats]:
    """A low quantile of every cell, EMPTY where that is background; and the common floor."""
    bounded = np.sort(np.maximum(observed, floors + 3.0), axis=0)
    value = bounded[int(QUANTILE * (len(observed) - 1))]
    floor = np.median(floors, axis=0)
    value = np.where(value > floor + 4.0, value, EMPTY)
    return value.astype(np.float32), floor[0].astype(np.float32)


def _support(observed: Floats, floors: Floats, value: Floats) -> Floats:
    """How well the exemplars agree with each cell, without the one that gave its value."""
    expected = (value > EMPTY) & (value > floors + 3.0)
    error = np.where(expected, observed - value, 0)
    # One that is louder than the rest may be covered: half a vote against.
    votes = np.where(expected, np.where(error > DISAGREE_DB, 0.5, 1.0), 0)
    others = votes.sum(axis=0) - 1
    agreed = ((votes * agreement(error)).sum(axis=0) - 1) / np.maximum(others, 1e-6)
    return np.asarray(np.where(others > 0.4, np.clip(agreed, 0, 1), 0), dtype=np.float32)


def _price(frames: int, exemplars: int) -> Floats:
    """Agreement that pays, by row: few exemplars agree by chance, so growing costs more."""
    price = np.full((BEFORE_FRAMES + frames + AFTER_FRAMES, 1), PAYS, dtype=np.float32)
    price[:BEFORE_FRAMES] += CAUTION / exemplars
    price[BEFORE_FRAMES + frames :] += CAUTION / exemplars
    return price
