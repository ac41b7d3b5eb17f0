"""The rest of a sound, after a pause, whose beginning was heard in the region before.

Activity ends with a pause, so that each word of a phrase lies in a region of its own. A phrase is
told on its first word; where the rest comes as expected, it is accounted for, so that it is neither
another sound nor something new.

Invariant: a function of the canvas and of the places that templates remember; tells nothing.
"""

from dataclasses import replace

import numpy as np

from operators.patterns.accept import LEAST_CELLS
from operators.patterns.canvas import Canvas, View
from operators.patterns.match import coarse, exact
from operators.patterns.memory import Memory
from operators.patterns.propose import Candidate
from operators.patterns.template import PRINT_FRAMES, TEMPI


def resume(memory: Memory, canvas: Canvas) -> None:
    """Raise ``canvas.known`` by what goes on there of the sounds that began before it."""
    config, templates = memory.config, memory.bank.templates
    paused = [t for t in templates if t.shape.paused and t.origin_ns == canvas.origin_ns]
    if not paused:
        return
    # Its first word may have been taken for another sound, which begins alike.
    earliest = canvas.start - round(config.bounds.template_frames * max(TEMPI))
    begun = {first for t in templates for first in t.recent if earliest < first < canvas.start}
    going = [
        (template, first)
        for template in paused
        for first in sorted(begun)
        if canvas.start < first + round(template.frames * max(TEMPI))
    ]
    if not going:
        return
    pad = config.bounds.template_frames + PRINT_FRAMES
    view = View.of(canvas, pad, followed=False)
    now = np.arange(len(view.level)) >= pad
    view = replace(view, seen=view.seen & now, so_far=view.so_far & now)
    for template, first in going:
        candidate = Candidate(0, first - canvas.start + pad, 1.0, on_onset=True)
        for place in coarse(view, [template], [candidate], config.coarse):
            fit = exact(view, template, place, config)
            if fit.cells >= LEAST_CELLS and fit.raw >= config.acceptance.second_pass_raw:
                np.maximum(view.known[fit.rows], fit.predicted, out=view.known[fit.rows])
    canvas.known = view.known[pad:-pad].copy()
