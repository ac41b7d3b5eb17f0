import numpy as np
import pytest

from operators.patterns.archive import Span, span_of
from operators.patterns.canvas import NOTHING, from_region
from operators.patterns.config import DetectorConfig
from operators.patterns.hindsight.decide import (
    STEP_FRAMES,
    Seen,
    decide,
    mark,
    stretches,
    with_known,
)
from operators.patterns.memory import Memory
from operators.patterns.refit import PAUSE_FRAMES
from operators.patterns.template import Template
from operators.records import BANDS, Region
from tests.operators.patterns.conftest import template_of


def memory_of(templates: list[Template], regions: list[Region], borders=()) -> Memory:
    """Remembers each region as one span, or in pieces that end at absolute frames."""
    memory = Memory(DetectorConfig())
    for template in templates:
        memory.bank.add(template, 0)
    for region in regions:
        canvas = from_region(region, 10_000)
        inside = sorted(b for b in borders if canvas.start < b < canvas.end)
        for first, last in zip([canvas.start, *inside], [*inside, canvas.end], strict=True):
            memory.archive.add(span_of(canvas, first, last))
    return memory


def seen_in(memory: Memory, since: int = 0) -> list[Seen]:
    return [one for whole in stretches(memory.archive, since) for one in decide(memory, whole)]


def places(seen: list[Seen]) -> list[tuple[int, int]]:
    return [(one.onset, one.number) for one in seen]


@pytest.fixture(scope="module")
def long(world) -> tuple[list[Template], Region, list[tuple[int, int]]]:
    """Two known sounds all through a stretch that is longer than one step of deciding."""
    rng = np.random.default_rng(3)
    sounds = [world.sound(1, 24), world.sound(2, 40)]
    templates = [template_of(levels, number) for number, levels in enumerate(sounds)]
    rows, row = [], 5
    while row < 3 * STEP_FRAMES:
        rows.append((row, int(rng.integers(2))))
        row += int(rng.integers(45, 80))
    placed = [(row, sounds[kind], 30.0) for row, kind in rows]
    region = world.region(1000, placed, 3 * STEP_FRAMES + 60)
    return templates, region, [(1000 + row, kind) for row, kind in rows]


def test_everything_that_templates_of_today_explain_is_seen(long) -> None:
    templates, region, truth = long
    memory = memory_of(templates, [region])
    (whole,) = stretches(memory.archive, 0)
    seen = decide(memory, whole)
    assert places(seen) == truth
    assert all(one.score > 0.9 and not one.nested for one in seen)
    assert all(one.gain == pytest.approx(-30, abs=1.5) for one in seen)
    for one in seen:
        row = one.first - whole.start
        # The loudest cell of what was seen is accounted for at its level.
        assert whole.known[row : row + one.frames].max() == pytest.approx(one.gain, abs=1.0)


def test_without_templates_nothing_is_seen_and_nothing_accounted_for(long) -> None:
    _, region, _ = long
    memory = memory_of([], [region])
    (whole,) = stretches(memory.archive, 0)
    assert decide(memory, whole) == []
    assert (whole.known == NOTHING).all()


@pytest.mark.parametrize("seed", range(4))
def test_it_does_not_matter_where_the_stretch_was_cut(long, seed: int) -> None:
    templates, region, truth = long
    last = region.start_frame + len(region.patch_db)
    borders = np.random.default_rng(seed).integers(region.start_frame + 1, last, 9)
    memory = memory_of(templates, [region], sorted({int(b) for b in borders}))
    (whole,) = stretches(memory.archive, 0)
    assert (whole.start, whole.end) == (region.start_frame, last)
    assert places(decide(memory, whole)) == truth


def test_it_does_not_matter_where_the_steps_fall(long, world) -> None:
    templates, _, _ = long
    levels = world.sound(1, 24)
    for row in (STEP_FRAMES - 30, STEP_FRAMES - 3, STEP_FRAMES - 1, STEP_FRAMES, STEP_FRAMES + 1):
        memory = memory_of(templates, [world.region(0, [(row, levels, 30)], 2 * STEP_FRAMES)])
        assert places(seen_in(memory)) == [(row, 0)]


def test_only_what_continues_is_joined_and_only_what_is_recent_decided(world) -> None:
    regions = [world.region(at, [], 40) for at in (100, 140, 300)]
    memory = memory_of([], regions)
    assert [(w.start, w.end) for w in stretches(memory.archive, 0)] == [(100, 180), (300, 340)]
    assert [(w.start, w.end) for w in stretches(memory.archive, 140)] == [(140, 180), (300, 340)]
    assert list(stretches(memory.archive, 301)) == []


def test_what_overlaps_is_not_joined(world) -> None:
    regions = [world.region(at, [], rows) for at, rows in ((500, 60), (520, 20), (560, 30))]
    memory = memory_of([template_of(world.sound(1))], regions)
    wholes = list(stretches(memory.archive, 0))
    assert [(w.start, w.end) for w in wholes] == [(500, 560), (520, 590)]
    for whole in wholes:
        mark(memory.archive, whole)
    assert [len(s.explained) for s in memory.archive.spans] == [60, 20, 30]


def test_a_short_pause_joins_and_is_background(world) -> None:
    regions = [world.region(at, [], 40, seed=at) for at in (100, 140 + PAUSE_FRAMES, 340)]
    memory = memory_of([], regions)
    first, second = stretches(memory.archive, 0)
    assert (first.start, first.end) == (100, 180 + PAUSE_FRAMES)
    assert (second.start, second.end) == (340, 380)
    spans = memory.archive.spans
    between = slice(40, 40 + PAUSE_FRAMES)
    np.testing.assert_array_equal(first.level[:40], spans[0].level)
    np.testing.assert_array_equal(first.level[40 + PAUSE_FRAMES :], spans[1].level)
    assert (first.level[between] == spans[0].floor).all()
    assert (first.noise[between] == spans[0].noise).all()


def test_what_is_accounted_for_across_a_pause_is_known_to_both_sides(world) -> None:
    pause = np.full((18, BANDS), -90.0)
    words = np.concatenate([world.sound(1, 24), pause, world.sound(2, 24)])
    at = 24 + len(pause)
    regions = [
        world.region(1000, [(5, words[:24], 30)], 30),
        world.region(1000 + at, [(5, words[at:], 30)], 40),
    ]
    memory = memory_of([template_of(words)], regions)
    (whole,) = stretches(memory.archive, 0)
    assert places(decide(memory, whole)) == [(1005, 0)]
    mark(memory.archive, whole)
    for span, rows in zip(memory.archive.spans, (slice(0, 30), slice(at, None)), strict=True):
        loud = span.level > span.level.max() - 20
        assert span.explained[loud].mean() > 0.9
        known = with_known(memory.archive, whole).known[rows]
        np.testing.assert_array_equal(known > NOTHING, span.explained)
        again = Span.restore(span.snapshot())
        np.testing.assert_array_equal(again.usable, span.usable)


def test_deciding_twice_is_deciding_once(long) -> None:
    templates, region, _ = long
    memory = memory_of(templates, [region])
    one, two = seen_in(memory), seen_in(memory)
    assert places(one) == places(two)
    assert [s.score for s in one] == [s.score for s in two]
