"""Online: motifs of the streaming matrix profile on three dimensions, at 10.8 Hz.

The series is the mean level above the floor of three groups of bands, 0 where nothing is active.
Each dimension has a streaming profile (STAMPI: Yeh et al. 2016, ``stumpy.stumpi``) that knows the
nearest earlier subsequence of every subsequence; of the three candidates the one nearest over all
dimensions counts. A subsequence that begins with an onset, is nearer to an earlier one than a
threshold and than its neighbours are to theirs, is an event of that one's motif. Distances are in
dB and not z-normalised, because normalising makes a quiet stretch as large as a loud one.

Invariant: only earlier subsequences are looked at; no randomness.
"""

import warnings

import numpy as np
import stumpy
from numpy.typing import NDArray

from bench.discovery.baselines.reporting import Span, recurring
from bench.discovery.given import Given, Labelled
from operators.records import BANDS, FRAME_S, HOP_SAMPLES

STEP_FRAMES = 4
STEP_S = STEP_FRAMES * FRAME_S
DIMENSIONS = 3
LENGTH = 7
"""Of a subsequence, in steps: .65 s; with ``LEAD`` and ``MOST_DB`` the best of 7 and 11, 1 to 4 and
1.5 to 4 on development scenes (synthetic sounds, seeds 1-2, three presets)."""
NEAR = LENGTH // 2
"""Steps within which two subsequences are the same event."""
LEAD = 2
"""Steps within which a subsequence must have an onset."""
ACTIVE_DB = 2.0
MOST_DB = 4.0

Series = NDArray[np.float64]
Places = NDArray[np.int64]


def run(given: Given, most_db: float = MOST_DB) -> list[Labelled]:
    """The recurring motifs whose members are within ``most_db`` (rms over their cells)."""
    levels = series(given)
    if len(levels) < 4 * LENGTH:
        return []
    distances, earlier = nearest(levels, profiles(levels))
    begins = np.zeros(len(levels), np.bool_)
    onsets = [onset // STEP_FRAMES for region in given.regions for onset in region.onsets]
    begins[[step for step in onsets if step < len(levels)]] = True
    starts, numbers = motifs(distances, earlier, begins, most_db)
    active = levels.mean(axis=1) > ACTIVE_DB
    return recurring([_extent(begins, active, start) for start in starts], numbers)


def series(given: Given) -> Series:
    """(steps, DIMENSIONS) mean dB above the floor; low, middle and high bands."""
    frames = len(given.samples) // HOP_SAMPLES + 1
    rise = np.zeros((frames, BANDS))
    for region in given.regions:
        end = region.start_frame + len(region.patch_db)
        rise[region.start_frame : end] = np.maximum(region.patch_db - region.floor_db, 0.0)
    steps = frames // STEP_FRAMES
    cells = rise[: steps * STEP_FRAMES].reshape(steps, STEP_FRAMES, DIMENSIONS, -1)
    means: Series = cells.mean(axis=(1, 3))
    return means


def profiles(levels: Series) -> Places:
    """(subsequences, DIMENSIONS): where the nearest earlier subsequence begins, -1 for none."""
    columns = []
    for column in levels.T:
        begun = column[: 2 * LENGTH].copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # silence is exactly like silence: we know
            stream = stumpy.stumpi(begun, LENGTH, egress=False, normalize=False)
        for value in column[2 * LENGTH :]:
            stream.update(value)
        columns.append(stream.left_I_.astype(np.int64))
    return np.stack(columns, axis=1)


def nearest(levels: Series, candidates: Places) -> tuple[Series, Places]:
    """Distance (rms dB over all dimensions) and place of the best candidate; inf, -1 if none."""
    windows = np.lib.stride_tricks.sliding_window_view(levels, LENGTH, axis=0)
    count = len(windows)
    away = np.full((count, candidates.shape[1]), np.inf)
    for column, places in enumerate(candidates.T):
        known = np.flatnonzero(places >= 0)
        apart = windows[known] - windows[places[known]]
        away[known, column] = np.sqrt(np.square(apart).mean(axis=(1, 2)))
    rows, best = np.arange(count), away.argmin(axis=1)
    return away[rows, best], candidates[rows, best]


def motifs(
    distances: Series, earlier: Places, begins: NDArray[np.bool_], most_db: float
) -> tuple[list[int], list[int]]:
    """Where events begin (steps) and which motif each belongs to, as they become known."""
    starts: list[int] = []
    numbers: list[int] = []
    eligible = np.array([begins[at : at + LEAD].any() for at in range(len(distances))])
    judged = np.where(eligible, distances, np.inf)
    for start in np.flatnonzero(judged < most_db).tolist():
        around = judged[max(0, start - NEAR) : start + NEAR + 1]
        before = judged[max(0, start - NEAR) : start]
        source = int(earlier[start])
        if judged[start] > around.min() or judged[start] in before or start - source < LENGTH:
            continue
        known = [at for at, begun in enumerate(starts) if abs(begun - source) <= NEAR]
        if known:
            number = numbers[min(known, key=lambda at: abs(starts[at] - source))]
        else:
            number = max(numbers, default=-1) + 1
            starts.append(source)
            numbers.append(number)
        starts.append(start)
        numbers.append(number)
    return starts, numbers


def _extent(begins: NDArray[np.bool_], active: NDArray[np.bool_], start: int) -> Span:
    """From the onset in a subsequence to the last activity in it."""
    first = start + int(begins[start : start + LEAD].argmax())
    last = max(np.flatnonzero(active[start : start + LENGTH]).tolist(), default=LENGTH - 1)
    return first * STEP_S, (max(start + last, first) + 1) * STEP_S
