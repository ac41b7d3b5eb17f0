"""A pair of sounds is looked at again only where something else could be found."""

import numpy as np
import pytest

from operators.patterns import looked as looked_module
from operators.patterns.canvas import Canvas
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.looked import Looked, Sight
from operators.patterns.template import Template
from operators.records import BANDS

HELD = ((100, ((90, 40),)), (300, ((280, 60),)))


def _template(number: int, frames: int = 10) -> Template:
    level = np.random.default_rng(number).uniform(-30, 0, (frames, BANDS)).astype(np.float32)
    floor = np.full(BANDS, -50, dtype=np.float32)
    return Template(number, str(number), level, floor, lead=2, origin_ns=0)


def _clip() -> Clip:
    rows = np.zeros((30, BANDS), dtype=np.float32)
    canvas = Canvas(0, rows, rows - 40, rows - 37, rows - 200, [], 0, False, 0)
    return cut_clip(canvas, 10, 5, 15, mask=False, score=1.0, gain=-12.0)


def test_what_is_the_same_is_recalled() -> None:
    looked, part, whole = Looked(), _template(1), _template(2, 40)
    assert looked.recall(Sight.of(part, whole, HELD)) is None
    looked.note(Sight.of(part, whole, HELD), ())
    part.reshape(part.level, part.floor, part.lead)
    assert looked.recall(Sight.of(part, whole, HELD)) == ()
    assert looked.recall(Sight.of(whole, part, HELD)) is None


@pytest.mark.parametrize("what", ["part", "whole", "lead", "gain", "tail", "row", "span"])
def test_what_has_changed_is_looked_at_again(what: str) -> None:
    looked, part, whole, held = Looked(), _template(1), _template(2, 40), HELD
    looked.note(Sight.of(part, whole, HELD), ())
    if what in ("part", "whole"):
        changed = part if what == "part" else whole
        changed.reshape(changed.level - np.eye(*changed.level.shape) * 5, changed.floor, 2)
    elif what == "lead":
        part.reshape(part.level, part.floor, 3)
    elif what == "gain":
        part.exemplars.append(_clip())
    elif what == "tail":
        part.tail = 0.5
    elif what == "row":
        held = (*HELD, (500, ((480, 80),)))
    else:
        held = (HELD[0], (300, ((280, 75),)))
    assert looked.recall(Sight.of(part, whole, held)) is None


def test_what_was_not_asked_for_between_two_sweeps_is_forgotten() -> None:
    looked, whole = Looked(), _template(9, 40)
    first, second = (Sight.of(_template(n), whole, HELD) for n in (1, 2))
    looked.note(first, ())
    looked.note(second, ())
    looked.sweep()
    assert looked.recall(first) == ()
    looked.sweep()
    assert looked.recall(first) == ()
    assert looked.recall(second) is None


def test_no_more_pairs_are_kept_than_there_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked_module, "PAIRS", 3)
    looked, whole = Looked(), _template(9, 40)
    sights = [Sight.of(_template(n), whole, HELD) for n in range(4)]
    for sight in sights:
        looked.note(sight, ())
    assert [looked.recall(sight) for sight in sights] == [None, None, None, ()]
