"""Templates rebuilt from the best of all occurrences that are remembered, and fragments retired.

Growing to both sides is what cures fragments: a piece of a longer sound grows until it is the whole
sound, and what then keeps one rigid distance from a longer one is no sound of its own, unless it
explains what the longer one does not.

Invariant: a template that was seen less than three times stays as it is.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from operators.patterns.archive import Archive
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.config import DetectorConfig
from operators.patterns.hindsight.seen import Seen
from operators.patterns.refit import AFTER_FRAMES, BEFORE_FRAMES
from operators.patterns.template import RECENT, Template
from operators.patterns.update import adopt, refitted

BEST = 10
RIGID_FRAMES = 3
RIGID_SHARE = 0.7
LEAST_MEETINGS = 3
LENGTH_ALONE, ALONE = 0.6, 3

ByNumber = Mapping[int, Sequence[Seen]]


def by_number(seen: Sequence[Seen]) -> dict[int, list[Seen]]:
    """What was seen of each template."""
    grouped: dict[int, list[Seen]] = defaultdict(list)
    for one in seen:
        grouped[one.number].append(one)
    return grouped


def note(templates: Sequence[Template], seen: ByNumber, since: int) -> None:
    """Every template remembers the latest places where it was seen.

    What set in before the absolute frame ``since`` stays as it was told, whether seen now or not.
    """
    for template in templates:
        rows = [one.first for one in seen.get(template.number, ()) if one.onset >= since]
        before = [row for row in template.recent if row + template.lead < since]
        template.recent = sorted([*before, *rows])[-RECENT:]


def renewed(
    template: Template,
    seen: Sequence[Seen],
    templates: Sequence[Template],
    archive: Archive,
    config: DetectorConfig,
) -> bool:
    """Rebuild a template from its best occurrences; whether it changed."""
    best = best_of(seen)
    clips = [clip for one in best if (clip := exemplar(one, template.frames, archive)) is not None]
    made = refitted(template, clips, templates, config)
    if made is None:
        return False
    before = template.level
    adopt(template, made, clips[: config.bounds.exemplars])
    return template.level.shape != before.shape or not np.array_equal(template.level, before)


def best_of(seen: Sequence[Seen], *, retuned: bool = False) -> list[Seen]:
    """The occurrences that tell most of a sound, the surest first; of another pitch if asked."""
    clear = (
        one for one in seen if not one.nested and one.tempo == 1.0 and (retuned or one.speed == 1.0)
    )
    return sorted(clear, key=lambda o: (-round(o.score * (1 - o.occlusion), 4), o.first))[:BEST]


def exemplar(one: Seen, frames: int, archive: Archive) -> Clip | None:
    """What was heard of an occurrence, and around it; None where that is forgotten."""
    first, last = one.first - BEFORE_FRAMES, one.first + frames + AFTER_FRAMES
    canvas = archive.excerpt(first, last, one.origin_ns)
    if canvas is None:
        return None
    return cut_clip(
        canvas,
        one.first,
        BEFORE_FRAMES,
        frames + AFTER_FRAMES,
        mask=False,
        score=one.score * (1 - one.occlusion),
        gain=one.gain,
    )


def rigid_parts(
    templates: Sequence[Template], seen: ByNumber, own: Callable[[Template, Template], bool]
) -> list[Template]:
    """Templates that are heard at one rigid distance of a longer one, and hardly ever alone.

    Args:
        templates: all.
        seen: of each.
        own: whether one explains what the longer one does not.
    """
    gone: list[Template] = []
    for part in sorted(templates, key=lambda t: (t.frames, t.number)):
        for whole in templates:
            if whole is part or any(whole is g for g in gone):
                continue
            if (whole.frames, -whole.number) <= (part.frames, -part.number):
                continue
            if _rigid(part, whole, seen) and not own(part, whole):
                gone.append(part)
                break
    return gone


def _rigid(part: Template, whole: Template, seen: ByNumber) -> bool:
    own = np.array([one.first for one in seen.get(part.number, ())])
    others = np.array([one.first for one in seen.get(whole.number, ())])
    if len(own) < LEAST_MEETINGS or len(others) < LEAST_MEETINGS:
        return False
    lags = own[:, None] - others[None, :]
    inside = (lags > -part.frames - RIGID_FRAMES) & (lags < whole.frames + RIGID_FRAMES)
    if inside.sum() < LEAST_MEETINGS:
        return False
    lag = int(np.median(lags[inside]))
    near = (np.abs(lags - lag) <= RIGID_FRAMES).any(axis=1)
    together = int(near.sum())
    if together < max(LEAST_MEETINGS, RIGID_SHARE * len(own)):
        return False
    alone = len(own) - together
    return not (part.frames < LENGTH_ALONE * whole.frames and alone >= ALONE)
