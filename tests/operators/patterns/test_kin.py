"""One sound that was founded twice becomes one pattern; what is merely related does not."""

import numpy as np
import pytest

from operators.patterns import Detector, kin
from operators.patterns.clip import Clip
from operators.patterns.memory import Moment
from operators.records import BANDS, Pattern
from tests.operators.patterns.conftest import template_of
from tests.operators.patterns.test_pitch import chord

CLIP = Clip(np.ones((4, BANDS), np.uint8), 0.0, np.zeros(BANDS, np.float32), 0, 0, 0)


def compared(one, other) -> tuple[Detector, list[Pattern]]:
    """A detector that knows two templates (the first heard more often), held together."""
    detector = Detector("s")
    for number, levels in enumerate((one, other)):
        detector._memory.bank.add(template_of(levels, number, count=5 - number), 0)
    detector.templates[1].exemplars.append(CLIP)
    round_ = kin.Kin(detector._memory, Moment("s", 1_000))
    return detector, round_.compare(detector.templates[1:])


@pytest.mark.parametrize("speed", [0.94, 0.95, 1.05, 1.06])
def test_a_sound_that_was_founded_at_two_pitches_is_one(speed: float) -> None:
    detector, told = compared(chord(), chord(speed))
    assert [(p.pattern, p.status, p.into) for p in told] == [
        ("p1", "merged", "p0"),
        ("p0", "born", ""),
    ]
    (kept,) = detector.templates
    assert kept.count == 9
    assert kept.exemplars == []


def test_what_was_heard_at_the_same_pitch_teaches_the_one_that_stays() -> None:
    detector, told = compared(chord(), chord())
    assert told
    assert len(detector.templates[0].exemplars) == 1


def test_another_chord_stays_another_sound_at_any_pitch() -> None:
    for seed in range(1, 30):
        one, other = template_of(chord()), template_of(chord(seed=seed), 1)
        assert kin._retuned(one, other, 0) is None
    for seed in range(1, 9):
        detector, told = compared(chord(), chord(seed=seed))
        assert told == []
        assert len(detector.templates) == 2
