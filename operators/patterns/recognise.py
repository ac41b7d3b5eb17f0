"""Is a clip the sound of a known pattern, rather than merely like it?

The clip is heard through the front end of discovery and every template is held against it cell by
cell where its fingerprint proposes to, as the detector does with a region: best of several places,
one frame to either side, a few percent of tempo and pitch, at any gain. The answer is the
detector's own acceptance, with two differences. Beyond its ends a clip is unknown, not silent
(somebody cut it out), so cells there do not count. And the sound to be explained is all of the
clip, not only the stretch the template covers: a knock that fits into a melody is not the melody.

Invariant: a pure function of clip and templates; bounded by ``PLACES`` exact comparisons each.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from operators.patterns.accept import acceptance
from operators.patterns.canvas import LOUDEST_DB, NOTHING, Canvas, View, finite
from operators.patterns.codec import decode
from operators.patterns.config import DetectorConfig
from operators.patterns.levels import EMPTY
from operators.patterns.match import Placement, coarse, exact
from operators.patterns.propose import Candidate, cosines, print_rows
from operators.patterns.template import PRINT_BANDS, PRINT_FRAMES, TEMPI, Template
from operators.records import BANDS, Floats
from operators.segment.audio import AudioTail
from operators.segment.bands import BandStream

PLACES = 2
APART_FRAMES = 4
FLOOR_QUANTILE = 0.25
FLOOR_OFFSET_DB = 1.5
BACKGROUND_DB = 4.5
"""A cell is background up to this far above the floor, as in a region of ordinary deviation."""
LEAST_HEARD = 0.01
SILENT_DB = -75.0
TRUST = 0.7
"""Share of what likeness lacks that a certain match makes up for; see ``fused``."""

_CONFIG = DetectorConfig()
_PAD = math.ceil(_CONFIG.bounds.template_frames * max(TEMPI)) + PRINT_FRAMES


def hear(samples: Floats) -> View | None:
    """The levels of a clip as templates are compared with them; None where there is no sound.

    Args:
        samples: mono at the analysis rate, a few seconds; values may be anything.
    """
    tail, bands = AudioTail(), BandStream()
    tail.append(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32))
    rows = [levels for _, levels in bands.flush(tail)]
    if not rows:
        return None
    level = finite(np.concatenate(rows), -90.0)
    if level.max() < SILENT_DB:
        return None
    floor = np.broadcast_to(_floor(level), level.shape).astype(np.float32)
    canvas = Canvas(
        start=0,
        level=level,
        floor=floor,
        noise=floor + np.float32(BACKGROUND_DB),
        known=np.full(level.shape, NOTHING, dtype=np.float32),
        onsets=[],
        due=0,
        open=False,
        origin_ns=0,
    )
    view = View.of(canvas, _PAD)
    inside = np.zeros(len(view.level), dtype=np.bool_)
    inside[_PAD:-_PAD] = True
    return replace(view, seen=inside, so_far=inside)


def recognised(view: View, templates: Mapping[str, bytes]) -> dict[str, float]:
    """How surely the clip is the sound of each template, 0-1.

    Args:
        view: of the clip, see ``hear``.
        templates: the bytes that were stored, by pattern.

    Returns:
        Patterns whose template can be compared; the others (none stored, damaged, of another
        version) are left out.
    """
    known = {name: made for name, data in templates.items() if (made := _template(data))}
    found = dict.fromkeys(known, 0.0)
    if not known:
        return found
    names, those = list(known), list(known.values())
    for place in coarse(view, those, _proposed(view, those), _CONFIG.coarse):
        name = names[place.index]
        found[name] = max(found[name], _sureness(view, known[name], place))
    return found


def fused(likeness: float, match: float | None) -> float:
    """One score of a window from its vector and from the match of its pattern.

    Two signs that a window holds the sound, either of which may do: what likeness leaves open
    (1 - cosine) shrinks by what the match makes sure. So the score stays a cosine where there is
    nothing to compare or nothing matches, never falls below it, never exceeds 1; and because even
    a certain match leaves some of it open, likeness still orders the windows that all match.
    """
    if match is None:
        return likeness
    return 1.0 - (1.0 - likeness) * (1.0 - TRUST * match)


def _floor(level: Floats) -> Floats:
    """(BANDS,) background of a clip: a low quantile of every band.

    A clip that is all sound would be its own background: where hardly anything rises above that,
    the floor lies as far below the loudest cell as levels are told apart at all.
    """
    floor = np.quantile(level, FLOOR_QUANTILE, axis=0) + FLOOR_OFFSET_DB
    if (level > floor + BACKGROUND_DB).mean() < LEAST_HEARD:
        floor = np.full(BANDS, level.max() - LOUDEST_DB)
    return np.asarray(floor, dtype=np.float32)


def _template(data: bytes) -> Template | None:
    """The template of stored bytes, None where they are of no use."""
    try:
        level, floor, lead = decode(data)
    except ValueError:
        return None
    frames, bands = level.shape
    fits = bands == BANDS and 0 < frames <= _CONFIG.bounds.template_frames
    if not fits or not (level > EMPTY + 5).any():
        return None
    return Template(number=0, pattern="", level=level, floor=floor, lead=lead, origin_ns=0)


def _proposed(view: View, templates: list[Template]) -> list[Candidate]:
    """The best few places of each template, apart from one another."""
    first, last = _PAD - _CONFIG.bounds.template_frames, len(view.level) - _PAD
    score = cosines(
        print_rows(view.level, view.floor),
        np.stack([template.shape.print_ for template in templates], axis=1),
        np.stack([template.shape.print_mask for template in templates], axis=1),
        first,
        last,
        np.repeat(view.seen[:, None], PRINT_BANDS, axis=1).astype(np.float32),
    )
    found: list[Candidate] = []
    for _ in range(PLACES):
        rows = score.argmax(axis=0)
        for index, row in enumerate(rows.tolist()):
            cosine = float(score[row, index])
            if cosine > _CONFIG.propose_onset:
                found.append(Candidate(index, first + row, cosine, on_onset=True))
            score[max(0, row - APART_FRAMES + 1) : row + APART_FRAMES, index] = 0
    return found


def _sureness(view: View, template: Template, place: Placement) -> float:
    """Acceptance of a template at one place of the clip.

    What lies below the template's own background at this gain was never learnt: heard in a quieter
    place, the clip may hold more, which speaks neither for nor against it.
    """
    fit = exact(view, template, place, _CONFIG)
    least = template.floor + np.float32(fit.gain)
    noise = np.maximum(view.noise, least + np.float32(BACKGROUND_DB))
    above = replace(view, floor=np.maximum(view.floor, least), noise=noise)
    fit = exact(above, template, place, _CONFIG)
    sound = np.clip(view.level - noise, 0, LOUDEST_DB)[view.seen].sum()
    explained = min(fit.explained, fit.energy / max(float(sound), 1e-6))
    # How a sound usually goes on after its template ends is not stored, so it cannot be held
    # against the clip.
    return acceptance(replace(fit, tail=0.0), template, _CONFIG.acceptance, explained=explained)
