"""A known sound inside a longer known one: found by all occurrences of the whole together."""

import copy

import numpy as np
import pytest

from operators.patterns import Detector
from operators.patterns.inside import Inside
from operators.patterns.looked import Looked
from operators.records import FRAME_S, Occurrence

APART = 400


def _heard(world, placements, part_snr=30.0, wander_db=1.0):
    """Wholes with a part at the given rows (None = without), then the part alone, four times.

    Returns:
        Where else the pattern heard alone was found: number of the whole and row + 20 in it.
    """
    part, whole = world.sound(5, 18), world.phrase(4, 10)
    detector, found, at = Detector("s"), [], 500
    for n, row in enumerate(placements):
        placed = [(3, whole, 30.0)]
        if row is not None:
            placed.append((3 + row, part, part_snr - wander_db * (n % 3)))
        found += detector.hear(world.region(at - 3, placed, len(whole) + 12, seed=n, onsets=[3]))
        at += APART
    alone = at
    for n in range(4):
        found += detector.hear(world.alone(at, part, seed=50 + n))
        at += APART
    occurrences = [item for item in found if isinstance(item, Occurrence)]
    name = next(o.pattern for o in reversed(occurrences) if o.start_s > (alone - 50) * FRAME_S)
    onsets = {round(o.start_s / FRAME_S) - 500 for o in occurrences if o.pattern == name}
    return {divmod(onset + 20, APART) for onset in onsets if onset + 500 < alone - 50}


def test_a_part_that_keeps_its_place_is_found_in_every_whole_it_was_in(world) -> None:
    rows = [42, 45, 43, None, 46, 44, 42, 45]
    inside = {n: row - 20 for n, row in _heard(world, rows)}
    assert set(inside) == {n for n, row in enumerate(rows) if row is not None}
    assert all(abs(inside[n] - row) <= 3 for n, row in enumerate(rows) if row is not None)


def test_a_part_that_lies_anywhere_is_found_where_it_stands_out(world) -> None:
    rows = [12, None, 70, None, 38, None, 55]
    inside = {n: row - 20 for n, row in _heard(world, rows, 32.0)}
    assert set(inside) == {0, 2, 4, 6}
    assert all(abs(row - rows[n]) <= 3 for n, row in inside.items())


def test_what_keeps_its_place_to_the_frame_is_a_piece_of_the_whole(world) -> None:
    assert _heard(world, [44] * 8, wander_db=0.0) == set()


def test_a_whole_without_the_part_gives_away_nothing(world) -> None:
    assert _heard(world, [None] * 8) == set()


def _rushing(rows: int = 110) -> np.ndarray:
    """(rows, bands) dB: loud, broad, and steady but for slow waves."""
    rng = np.random.default_rng(3)
    waves = rng.normal(0, 3, (1 + rows // 10, 48)).repeat(10, axis=0)[:rows]
    level = -6 + waves - np.linspace(0, 8, 48)
    return (level - level.max()).astype(np.float32)


def _among_noise(world, part, rows, others=()):
    """A detector that heard the part alone, then broad wholes with it ``rows`` into them."""
    detector, at, whole = Detector("s"), 500, _rushing()
    for n in range(4):
        for sound in (part, *others):
            detector.hear(world.alone(at, sound, seed=50 + n))
            at += APART
    for n, row in enumerate(rows):
        placed = [(3, whole, 30.0)]
        if row is not None:
            placed.append((3 + row, part, 27.0 - n % 2))
        detector.hear(world.region(at - 3, placed, len(whole) + 12, seed=n, onsets=[3]))
        at += APART
    return detector


ROWS = [20, None, 62, 41, None, 74, 33, 55]


def _places(detector, part_template, first_whole_at):
    starts = [first_whole_at + APART * n for n in range(len(ROWS))]
    return {
        n: row + part_template.lead - start
        for row in part_template.recent
        for n, start in enumerate(starts)
        if 0 <= row - start < 110
    }


def test_a_part_that_a_broad_whole_masks_is_found_by_what_it_adds(world) -> None:
    part = world.sound(5, 18)
    detector = _among_noise(world, part, ROWS)
    found = _places(detector, detector.templates[0], 500 + 4 * APART)
    expected = {n: row for n, row in enumerate(ROWS) if row is not None}
    assert len(found) >= len(expected) - 1
    assert all(abs(found[n] - expected[n]) <= 3 for n in found)


def test_what_is_like_the_part_does_not_take_its_place(world) -> None:
    part = world.sound(5, 18)
    like = np.concatenate([part[:9] - 3, world.sound(6, 9)])
    detector = _among_noise(world, part, ROWS, others=[like])
    right, wrong = detector.templates[:2]
    assert len(_places(detector, right, 500 + 8 * APART)) >= 4
    assert not _places(detector, wrong, 500 + 8 * APART)


def test_only_what_explains_more_than_the_whole_is_a_sound_of_its_own(world) -> None:
    part = world.sound(5, 18)
    detector = _among_noise(world, part, ROWS)
    short, whole = detector.templates[0], detector.templates[-1]
    memory = detector._memory
    inside = Inside(detector.templates, memory.archive, memory.config, Looked())
    assert whole.frames > 4 * short.frames
    assert inside.own(short, whole)
    assert not inside.own(whole, short)
    without = _among_noise(world, part, [None] * len(ROWS))
    memory = without._memory
    inside = Inside(without.templates, memory.archive, memory.config, Looked())
    assert not inside.own(without.templates[0], without.templates[-1])


def test_what_was_looked_for_is_not_weighed_again(world, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = _among_noise(world, world.sound(5, 18), ROWS)
    memory, looked = detector._memory, Looked()
    whole = detector.templates[-1]

    def spots(expected: int) -> list[object]:
        weighed = []
        original = Inside._search
        monkeypatch.setattr(
            Inside, "_search", lambda self, *pair: weighed.append(pair) or original(self, *pair)
        )
        inside = Inside(detector.templates, memory.archive, memory.config, looked)
        inside.parts_of(whole)
        monkeypatch.setattr(Inside, "_search", original)
        assert len(weighed) == expected
        return sorted(looked._asked)

    assert spots(len(detector.templates) - 1) == spots(0)


def test_what_a_whole_lies_in_itself_leaves_room_for_its_parts(world) -> None:
    detector = _among_noise(world, world.sound(5, 18), ROWS)
    memory, (part, whole) = detector._memory, (detector.templates[0], detector.templates[-1])
    around = copy.copy(whole)
    around.reshape(np.pad(whole.level, ((10, 10), (0, 0))), whole.floor, whole.lead)
    around.number, around.recent = 99, [row - 10 for row in whole.recent]
    part.recent = [row for row in part.recent if row < whole.recent[0]]
    before = list(part.recent)
    inside = Inside([*detector.templates, around], memory.archive, memory.config, Looked())
    assert len(inside.parts_of(whole)) >= 4
    assert part.recent[: len(before)] == before
