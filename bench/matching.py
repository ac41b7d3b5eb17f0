"""Templates for the gallery of ``bench.retrieval``, and queries ranked again by how they match.

A gallery sound has the template that a detector would found on hearing it twice: two windows of it
are aligned and what they share is kept, stored and read back. A query is held against the templates
of the ``TAKEN`` gallery sounds its vector finds; ``grym search`` does the same with five times as
many windows as are wanted.

Invariant: matches depend on the sounds alone, so every model is given the same ones.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from operators.patterns import DetectorConfig, encode
from operators.patterns.birth import NEVER, align, relative_template
from operators.patterns.canvas import NOTHING, Canvas
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.recognise import fused, hear, recognised
from operators.patterns.update import onset_row
from operators.records import Floats

TAKEN = 20
_ONSET_FRAME = 1
_CONFIG = DetectorConfig()

Scores = NDArray[np.float32]


def founded(one: Floats, other: Floats) -> bytes:
    """The stored template of a sound that two windows begin with; empty where none comes of it."""
    clips = [_clip(window) for window in (one, other)]
    pair = None if None in clips else align(clips[0], clips[1], _CONFIG)  # type: ignore[arg-type]
    if pair is None or not (pair.level > NEVER).any():
        return b""
    level, floor = relative_template(pair)
    return encode(level, floor, onset_row(level))


def ranked_again(
    queries: Floats, templates: Sequence[bytes], likeness: Mapping[str, Scores]
) -> dict[str, Scores]:
    """By model: (queries, gallery) fused scores of the gallery sounds taken, -inf elsewhere."""
    taken = {name: np.argsort(-scores, axis=1)[:, :TAKEN] for name, scores in likeness.items()}
    again = {name: np.full_like(scores, -np.inf) for name, scores in likeness.items()}
    for number, query in enumerate(queries):
        view = hear(query)
        wanted = sorted({int(index) for rows in taken.values() for index in rows[number]})
        found = {} if view is None else recognised(view, {str(i): templates[i] for i in wanted})
        for name, rows in taken.items():
            for index in rows[number].tolist():
                score = float(likeness[name][number, index])
                again[name][number, index] = fused(score, found.get(str(index)))
    return again


def _clip(window: Floats) -> Clip | None:
    """A window as the detector remembers an event at its beginning."""
    view = hear(window)
    if view is None:
        return None
    inner = slice(view.pad, -view.pad)
    canvas = Canvas(
        start=0,
        level=view.level[inner],
        floor=view.floor[inner],
        noise=view.noise[inner],
        known=np.full_like(view.level[inner], NOTHING),
        onsets=[_ONSET_FRAME],
        due=0,
        open=False,
        origin_ns=0,
    )
    after = _CONFIG.bounds.template_frames
    return cut_clip(canvas, _ONSET_FRAME, _ONSET_FRAME, after, mask=False)
