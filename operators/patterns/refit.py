"""Rebuild a template from the best of its occurrences, growing or shrinking at both ends.

A pattern founded on two events may be a fragment: one of them was covered, or its first onset was
missed. With more occurrences at hand every cell takes a low quantile of what was observed (what
covers a sound only ever makes it louder), and both ends move to where the agreement of the
occurrences stops paying. Growing to both sides is what cures fragments. A sound may fall silent and
go on: two words of a phrase whose distance never changes are one sound, not one after another. A
beat, or a phrase in which a word comes again, is left as it is.

Invariant: never longer than ``template_frames``; without a gain in agreement nothing changes.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from operators.patterns.birth import quiet, reach
from operators.patterns.cells import agreement
from operators.patterns.clip import Clip
from operators.patterns.config import DetectorConfig
from operators.patterns.levels import DISAGREE_DB, EMPTY, loudness_weight
from operators.patterns.template import QUIET_FRAMES, SILENT_WEIGHT
from operators.records import BANDS, Floats

BEFORE_FRAMES = 40
AFTER_FRAMES = 70
QUANTILE = 0.4
PAYS = 0.58
CAUTION = 0.3
PAUSE_FRAMES = 26
"""A sound that falls silent for so long (0.6 s) has ended."""
RESUMED = 0.15
"""How much more its occurrences have to agree after a shorter pause."""
SAME = 0.9
"""Cosine from which two words are the same one (those of one voice: 0.6 to 0.87)."""


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
    total = weight.sum(axis=1)
    silent = total < SILENT_WEIGHT
    middle = BEFORE_FRAMES + min(frames // 2, 20)
    after, before = slice(middle, None), slice(middle - 1, None, -1)
    last = middle + _reach(total[after], profit[after], silent[after])
    first = middle - _reach(total[before], profit[before], silent[before])
    phrase = _phrase(weight, silent, slice(first, last), middle)
    first, last = phrase.start, min(phrase.stop, phrase.start + config.bounds.template_frames)
    if last - first < config.birth_frames:
        return None
    if silent[max(0, first - 1)]:
        first = max(0, first - lead)
        last = min(last, first + config.bounds.template_frames)
    grid = value[first:last]
    return Refit(grid, floor, BEFORE_FRAMES - first) if (grid > EMPTY).any() else None


def faith(level: Floats, grown: int, clip: Clip) -> float:
    """How like what was heard in one occurrence a shape is: weighted agreement, 0 to 1.

    Args:
        level: (T, BANDS) dB relative to the loudest cell of the shape that the clip is anchored
            on, EMPTY where inaudible.
        grown: rows that it has before the row the clip is anchored on.
        clip: the occurrence.
    """
    rows = np.arange(len(level)) + clip.anchor - grown
    inside = (rows >= 0) & (rows < len(clip.codes))
    heard = np.broadcast_to(clip.floor, level.shape).copy()
    at = rows[inside]
    heard[inside] = np.where(clip.known[at], clip.level[at], clip.floor)
    predicted = level + np.float32(clip.gain)
    counts = (level > EMPTY) & (predicted > clip.floor + 3.0)
    weight = np.where(counts, loudness_weight(level - level.max()), 0)
    return float((weight * agreement(heard - predicted)).sum() / max(float(weight.sum()), 1e-6))


def _reach(weight: Floats, paid: Floats, silent: NDArray[np.bool_]) -> int:
    """How many rows from the middle on pay; what follows a pause has to agree more."""
    resumed = np.maximum.accumulate(quiet(silent, QUIET_FRAMES))
    return reach(paid - np.where(resumed, RESUMED * weight, 0), silent, PAUSE_FRAMES)


def _phrase(weight: Floats, silent: NDArray[np.bool_], rows: slice, middle: int) -> slice:
    """Rows of a phrase; where a word comes again it is a beat: of the word in the middle alone."""
    sounding = rows.start + np.flatnonzero(~silent[rows])
    pauses = np.flatnonzero(np.diff(sounding) > QUIET_FRAMES)
    if not len(pauses):
        return rows
    firsts, lasts = [sounding[0], *sounding[pauses + 1]], [*sounding[pauses], sounding[-1]]
    words = [weight[one : other + 1] for one, other in zip(firsts, lasts, strict=True)]
    if not any(_same(one, other) for one, other in combinations(words, 2)):
        return rows
    home = max(0, bisect_right(firsts, middle) - 1)
    return slice(
        int(firsts[home]) if home else rows.start,
        int(lasts[home]) + 1 if home + 1 < len(words) else rows.stop,
    )


def _same(one: Floats, other: Floats) -> bool:
    """Whether the shorter word is like some part of the longer (cosine of what is loud)."""
    short, long = sorted((one, other), key=len)
    laid = sliding_window_view(long, len(short), axis=0)
    norm = np.sqrt((short * short).sum() * (laid * laid).sum(axis=(1, 2)))
    cosine = np.einsum("nbr,rb->n", laid, short) / np.maximum(norm, 1e-6)
    return bool(cosine.max() > SAME)


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
