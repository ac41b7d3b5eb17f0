"""One sound that was founded twice becomes one pattern; what is merely related does not."""

import pytest

from operators.patterns import Detector
from operators.patterns.kin import Kin
from operators.patterns.memory import Moment
from operators.records import Pattern
from tests.operators.patterns.conftest import template_of
from tests.operators.patterns.test_pitch import chord


def compared(one, other) -> tuple[Detector, list[Pattern]]:
    """A detector that knows two templates (the first heard more often), held together."""
    detector = Detector("s")
    for number, levels in enumerate((one, other)):
        detector._memory.bank.add(template_of(levels, number, count=5 - number), 0)
    kin = Kin(detector._memory, Moment("s", 1_000))
    return detector, kin.compare(detector.templates[1:])


@pytest.mark.parametrize("speed", [0.95, 0.97, 1.03, 1.05])
def test_a_sound_that_was_founded_at_two_pitches_is_one(speed: float) -> None:
    detector, told = compared(chord(), chord(speed))
    assert [(p.pattern, p.status, p.into) for p in told] == [
        ("p1", "merged", "p0"),
        ("p0", "born", ""),
    ]
    (kept,) = detector.templates
    assert kept.count == 9
    assert kept.exemplars == []


def test_another_chord_stays_another_sound() -> None:
    for seed in range(1, 9):
        detector, told = compared(chord(), chord(seed=seed))
        assert told == []
        assert len(detector.templates) == 2
