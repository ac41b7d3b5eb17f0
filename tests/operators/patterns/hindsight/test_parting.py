"""One pattern that stands for two sounds becomes two; what is only covered stays."""

import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from operators.patterns import Bounds, Detector, DetectorConfig
from operators.patterns.hindsight import parting, renew
from operators.patterns.hindsight.seen import Seen
from operators.patterns.kin import Kin
from operators.patterns.memory import Moment
from operators.records import BANDS, FRAME_S, Floats, Occurrence, Pattern
from operators.revision import Revision, settled

FRAMES = 20
NEVER = DetectorConfig(hindsight_s=0.0)
ORDER = "aaabababababb"


def two_alike(seed: int) -> tuple[Floats, Floats]:
    """Two dense sounds that differ by some 6 dB a band: each resembles the other."""
    rng = np.random.default_rng(seed)
    bands = rng.uniform(-14, 0, BANDS)
    bands[40:] = -40.0
    fade = -0.25 * np.arange(FRAMES)[:, None]
    one, other = bands[None, :] + fade, bands[None, :] + rng.normal(0, 6, BANDS) + fade
    return (one - one.max()).astype(np.float32), (other - other.max()).astype(np.float32)


def at(n: int) -> int:
    return 500 + 300 * n


@pytest.fixture(params=range(3))
def mixed(request, world) -> tuple[Detector, list[object], tuple[Floats, Floats]]:
    """A detector that takes two sounds for one, what it told, and the sounds."""
    sounds = two_alike(request.param)
    detector = Detector("s", NEVER)
    found: list[object] = []
    for n, which in enumerate(ORDER):
        found += detector.hear(world.alone(at(n), sounds["ab".index(which)], seed=n))
    assert [t.count for t in detector.templates] == [len(ORDER)]
    return detector, found, sounds


def parted_by(detector: Detector, frame: int = 6_000) -> list[object]:
    return list(detector.consolidate(Moment("s", frame)))


def of(kind, found):
    return [item for item in found if isinstance(item, kind)]


def places(found, pattern: str) -> list[int]:
    return sorted(round(o.start_s / FRAME_S) for o in settled(found) if o.pattern == pattern)


def test_the_sound_that_fits_keeps_the_pattern_and_the_other_one_gets_its_own(mixed) -> None:
    detector, found, _ = mixed
    (before,) = {o.pattern for o in of(Occurrence, found)}
    more = parted_by(detector)
    kept, other = detector.templates
    assert (kept.pattern, other.apart) == (before, kept.number)
    told = of(Pattern, more)
    assert (told[0].pattern, told[0].status, told[0].into) == (before, "split", other.pattern)
    assert {(p.pattern, p.status, p.count) for p in told[1:]} == {
        (before, "confirmed", ORDER.count("a")),
        (other.pattern, "confirmed", ORDER.count("b")),
    }
    everything = [*found, *more]
    assert places(everything, before) == [at(n) for n, s in enumerate(ORDER) if s == "a"]
    assert places(everything, other.pattern) == [at(n) for n, s in enumerate(ORDER) if s == "b"]


def test_every_event_that_moves_says_that_it_was_a_split(mixed) -> None:
    detector, found, _ = mixed
    more = parted_by(detector)
    (before, other) = (t.pattern for t in detector.templates)
    revisions = of(Revision, more)
    assert len(revisions) == ORDER.count("b")
    assert {(r.reason, r.kind, r.pattern_from, r.pattern) for r in revisions} == {
        ("split", "moved", before, other)
    }
    standing = {(o.start_ns, o.pattern) for o in settled([*found, *more])}
    assert standing == set(detector._memory.told.entries)


def test_what_was_parted_is_told_apart_live_and_stays_apart(mixed, world) -> None:
    detector, _, sounds = mixed
    parted_by(detector)
    names = [t.pattern for t in detector.templates]
    detector = Detector.restore(pickle.loads(pickle.dumps(detector.snapshot())), NEVER)  # noqa: S301
    told: list[object] = []
    for n, which in enumerate(ORDER, start=20):
        told += detector.hear(world.alone(at(n), sounds["ab".index(which)], seed=n))
    assert Counter(o.pattern for o in settled(told)) == {
        names[0]: ORDER.count("a"),
        names[1]: ORDER.count("b"),
    }
    assert parted_by(detector, 12_000) == []
    one, other = detector.templates
    kin = Kin(detector._memory, Moment("s", 12_000))
    other.reshape(one.level, one.floor, one.lead)
    assert kin.compare([other]) == []
    other.apart = -1
    assert kin.compare([other])


def test_what_moves_is_at_the_pitch_of_its_own_template(mixed) -> None:
    template = mixed[0].templates[0]
    one = Seen(0, 500, 20, 0, 0.6, 0.0, 0.0, 1.0, False, 0, 1.035)
    assert renew.best_of([one]) == []
    assert renew.best_of([one], retuned=True) == [one]
    moved = parting._moved([one], template, 2)
    assert [(each.first, each.speed) for each in moved] == [(498, 1.0)]
    assert renew.best_of(moved) == moved


def test_what_is_only_covered_is_not_another_sound(world) -> None:
    levels = two_alike(0)[0]
    detector = Detector("s", NEVER)
    for n in range(12):
        covers = [(6, world.sound(40 + n, 30), 34.0)] if n % 2 else []
        region = world.region(at(n) - 3, [(3, levels, 30.0), *covers], 60, seed=n)
        detector.hear(region)
    before = detector.templates[0].pattern
    more = parted_by(detector)
    assert not [p for p in of(Pattern, more) if p.status == "split"]
    assert before in {t.pattern for t in detector.templates}


def test_too_few_do_not_part_a_pattern(world) -> None:
    sounds = two_alike(0)
    detector = Detector("s", NEVER)
    for n, which in enumerate("aaaabab"):
        detector.hear(world.alone(at(n), sounds["ab".index(which)], seed=n))
    parted_by(detector)
    assert len(detector.templates) == 1


def test_a_full_bank_forgets_nothing_for_it(mixed, world) -> None:
    detector, _, _ = mixed
    full = Bounds(templates=1)
    memory = detector._memory
    memory.bank.bounds = full
    memory.config = replace(memory.config, bounds=full)
    parted_by(detector)
    assert [t.count for t in detector.templates] == [len(ORDER)]
