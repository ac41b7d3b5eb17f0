"""Where one sound lies in or beside another, as far as their places are remembered, and pieces.

Invariant: pure functions of the places and shapes of two templates.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from operators.patterns.rivals import resemblance
from operators.patterns.template import Template

PART_SHARE = 0.8
INSIDE_SHARE = 0.75
BESIDE_FRAMES = 15
RIGID_BESIDE = 1.0
RIGID_SHARE = 0.5
INDEPENDENT = 2
LONGER, WHOLES = 2.0, 3
"""A whole is so much longer than a part, and was heard so often."""
FOUND_INSIDE = 0.65
SLACK_FRAMES = 4


def _between(rows: list[int], first: int, last: int) -> list[int]:
    """Those of ascending rows within [first, last]."""
    return rows[bisect_left(rows, first) : bisect_right(rows, last)]


def lags_inside(part: Template, whole: Template) -> list[int]:
    """Rows of ``whole`` at which ``part`` began, for each of its remembered occurrences inside."""
    longest = whole.frames - part.frames // 2
    return [
        row - start
        for row in part.recent
        for start in _between(whole.recent, row - longest, row + SLACK_FRAMES)
    ]


def adjoining(row: int, frames: int, whole: Template) -> list[int]:
    """Lags at which a stretch lies in or close beside remembered occurrences of ``whole``."""
    first, last = row - whole.frames - BESIDE_FRAMES, row + frames + BESIDE_FRAMES
    return [row - start for start in _between(whole.recent, first, last)]


def beside(part: Template, whole: Template) -> bool:
    """Whether ``part`` is heard at one rigid lag from ``whole`` and hardly ever without it."""
    if part.frames > PART_SHARE * whole.frames:
        return False
    lags = [lag for row in part.recent for lag in adjoining(row, part.frames, whole)[:1]]
    if len(lags) < 3 or len(part.recent) - len(lags) >= INDEPENDENT:
        return False
    return float(np.std(lags)) <= RIGID_BESIDE and len(lags) >= RIGID_SHARE * len(whole.recent)


def independent(part: Template, whole: Template) -> int:
    """Remembered occurrences of ``part`` outside of every one of ``whole``."""
    return sum(
        not _between(whole.recent, row - whole.frames, row + SLACK_FRAMES) for row in part.recent
    )


def alone(part: Template, rows: Sequence[int], templates: Iterable[Template]) -> list[bool]:
    """Whether no longer sound, of which ``part`` is independent, goes on where it lies.

    Args:
        part: a template.
        rows: absolute frames of its row 0.
        templates: all.
    """
    wholes = [whole for whole in templates if may_contain(whole, part)]
    reach = part.frames - SLACK_FRAMES
    return [
        not any(_between(w.recent, row - w.frames + SLACK_FRAMES, row + reach) for w in wholes)
        for row in rows
    ]


def may_contain(whole: Template, part: Template) -> bool:
    """Whether ``part`` is short enough to lie in ``whole``, and is also heard on its own."""
    return (
        whole is not part
        and whole.frames >= LONGER * part.frames
        and len(whole.recent) >= WHOLES
        and independent(part, whole) >= INDEPENDENT
    )


def fragment(part: Template, whole: Template) -> bool:
    """Whether ``part`` is nothing but a piece of ``whole``."""
    if part.frames > PART_SHARE * whole.frames or len(whole.recent) < 3:
        return False
    inside = lags_inside(part, whole)
    if len(inside) < 2 or independent(part, whole) >= INDEPENDENT:
        return False
    if len(inside) < INSIDE_SHARE * len(part.recent):
        return False
    fits = [resemblance(whole, part, lag).b_in_a for lag in sorted(set(inside))[:8]]
    return float(np.mean(fits)) >= FOUND_INSIDE
