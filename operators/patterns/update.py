"""What an accepted match teaches its template.

Only audible, uncovered cells move, slowly; every few occurrences the template is rebuilt from its
best exemplars (``refit``).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from statistics import fmean

import numpy as np

from operators.patterns.canvas import View
from operators.patterns.clip import Clip
from operators.patterns.config import DetectorConfig
from operators.patterns.levels import DISAGREE_DB, EMPTY, loudness_weight
from operators.patterns.match import Fit, observed_tail, seen_by
from operators.patterns.pieces import alone
from operators.patterns.refit import Refit, faith, refit
from operators.patterns.template import Template, tempo_rows
from operators.records import Floats

SLOWEST = 0.15
STEP_DB = 10.0
SETS_IN = 0.2
LESS, FAITHFUL = 0.03, 0.85
"""By how much less, and than this, may a rebuilt shape be like what was heard alone."""
REFIT_AT = (3, 4, 5, 6, 8, 11, 15, 20, 27, 36, 48, 64)


def onset_row(level: Floats) -> int:
    """Row of a template at which its sound sets in: a fifth of the weight of its first peak."""
    weight = np.where(level > EMPTY + 5, loudness_weight(level), 0).sum(axis=1)
    head = weight[:12]
    return (
        int(np.nonzero(head >= SETS_IN * head.max())[0][0]) if head.size and head.max() > 0 else 0
    )


def move(template: Template, view: View, fit: Fit) -> None:
    """Exponential mean on the audible, uncovered cells of one occurrence."""
    if fit.place.speed != 1.0 or fit.occlusion >= 0.25 or fit.explained <= 0.5:
        return
    rate = max(1.0 / (template.count + 1), SLOWEST)
    source = tempo_rows(template.frames, fit.place.tempo)[: len(fit.claims)]
    rows = fit.rows
    error = np.clip(view.level[rows] - fit.predicted, -STEP_DB, STEP_DB)
    heard = (fit.predicted > view.floor[rows] + 3.0) & (error < DISAGREE_DB)
    heard &= view.known[rows] < fit.predicted - 3.0
    heard &= seen_by(view, template.shape)[rows, None]
    level = template.level.copy()
    first = np.unique(source, return_index=True)[1]
    step = np.where(heard, rate * error, 0)[first].astype(np.float32)
    at = source[first]
    level[at] = np.where(level[at] > EMPTY + 5, level[at] + step, EMPTY)
    own_floor = view.floor[rows].mean(axis=0) - np.float32(fit.gain)
    floor = template.floor + np.float32(rate) * (own_floor - template.floor)
    template.tail += rate * (observed_tail(view, rows.stop, fit.predicted) - template.tail)
    template.tail = float(np.float32(template.tail))
    template.reshape(level, floor.astype(np.float32), template.lead)


def remember(template: Template, clip: Clip, config: DetectorConfig) -> None:
    """Keep an exemplar if it is among the best."""
    template.exemplars.append(clip)
    if len(template.exemplars) > config.bounds.exemplars:
        worst = min(range(len(template.exemplars)), key=lambda i: (template.exemplars[i].score, i))
        template.exemplars.pop(worst)


def rebuild(
    template: Template,
    templates: Sequence[Template],
    config: DetectorConfig,
    *,
    always: bool = False,
) -> bool:
    """Refit a template whose turn it is (or always); whether it changed."""
    turn = sum(template.count >= n for n in REFIT_AT)
    if not always and turn <= template.turn:
        return False
    template.turn = turn
    made = refitted(template, template.exemplars, templates, config)
    if made is None:
        return False
    adopt(template, made, template.exemplars)
    return True


def refitted(
    template: Template, clips: list[Clip], templates: Sequence[Template], config: DetectorConfig
) -> Refit | None:
    """Rebuild a template from some of its occurrences; None where that would be no gain.

    A sound that is mostly heard while a longer one goes on would take on more of that one each
    time, until it is no longer heard alone: what was heard alone tells what it sounds like.

    Args:
        template: as it is.
        clips: occurrences of it, anchored on its row 0.
        templates: all.
        config: bounds.
    """
    made = refit(template.level, clips, template.lead, config)
    if made is None:
        return None
    bare = alone(template, [clip.first + clip.anchor for clip in clips], templates)
    clear = list(compress(clips, bare))
    if not clear or len(clear) == len(clips):
        return made
    before = fmean(faith(template.level, 0, clip) for clip in clear)
    now = fmean(faith(made.level, made.grown, clip) for clip in clear)
    if now >= min(before - LESS, FAITHFUL):
        return made
    return refit(template.level, clear, template.lead, config)


def adopt(template: Template, made: Refit, exemplars: list[Clip]) -> None:
    """Take a rebuilt shape; exemplars (anchored on the old one) and places follow it."""
    peak = float(np.float32(made.level.max()))
    template.exemplars = [
        replace(clip, anchor=clip.anchor - made.grown, gain=clip.gain + peak) for clip in exemplars
    ]
    template.recent = [row - made.grown for row in template.recent]
    template.reshape(made.level, made.floor, onset_row(made.level))
    template.refits += 1
