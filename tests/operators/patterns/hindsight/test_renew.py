import numpy as np
import pytest

from operators.patterns.archive import span_of
from operators.patterns.canvas import from_region
from operators.patterns.config import DetectorConfig
from operators.patterns.hindsight import renew
from operators.patterns.hindsight.decide import Seen, decide, stretches
from operators.patterns.memory import Memory
from operators.patterns.template import RECENT, Template
from operators.records import BANDS, Floats
from tests.operators.patterns.conftest import template_of

CONFIG = DetectorConfig()


def heard(world, levels: Floats, template: Template, times: int) -> tuple[Memory, list[Seen]]:
    """A memory of a sound that came several times, and what is seen of it."""
    memory = Memory(CONFIG)
    memory.bank.add(template, 0)
    for n in range(times):
        at = 500 + 300 * n
        region = world.alone(at, levels, 28.0 + n % 3, seed=n)
        memory.archive.add(span_of(from_region(region, 420), at - 3, at - 3 + len(region.patch_db)))
    seen = [one for whole in stretches(memory.archive, 0) for one in decide(memory, whole)]
    return memory, seen


def at(number: int, rows: list[int], frames: int = 20) -> list[Seen]:
    return [
        Seen(number, row, frames, 0, 0.9, 0.0, 0.0, 1.0, False, 0) for row in rows
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_fragment_grows_to_the_whole_sound(world, seed: int) -> None:
    levels = world.phrase(seed)
    template = template_of(levels[20:44])
    memory, seen = heard(world, levels, template, 5)
    assert len(seen) == 5
    assert renew.renewed(template, seen, [template], memory.archive, CONFIG)
    assert template.frames >= 0.9 * 60
    onsets = [one.first for one in seen]
    again = [one for whole in stretches(memory.archive, 0) for one in decide(memory, whole)]
    assert len(again) == 5
    assert all(abs(one.onset - (500 + 300 * n)) <= 2 for n, one in enumerate(again))
    assert [one.first for one in again] < onsets
    assert template.exemplars
    assert len(template.exemplars) <= CONFIG.bounds.exemplars


def test_a_template_that_was_seen_twice_stays_as_it_is(world) -> None:
    levels = world.phrase(1)
    template = template_of(levels[20:44])
    before = template.level.copy()
    memory, seen = heard(world, levels, template, 2)
    assert not renew.renewed(template, seen, [template], memory.archive, CONFIG)
    assert not renew.renewed(template, [], [template], memory.archive, CONFIG)
    assert np.array_equal(template.level, before)
    assert template.refits == 0


def test_what_the_archive_forgot_is_no_exemplar(world) -> None:
    levels = world.phrase(1)
    template = template_of(levels)
    memory, seen = heard(world, levels, template, 5)
    memory.archive.spans.clear()
    assert not renew.renewed(template, seen, [template], memory.archive, CONFIG)


def test_every_template_remembers_its_latest_places() -> None:
    templates = [template_of(np.zeros((20, BANDS), dtype=np.float32), n) for n in range(2)]
    templates[1].recent = [7, 70]
    rows = [50 * n for n in range(1, RECENT + 5)]
    renew.note(templates, renew.by_number(at(0, rows[::-1])), 20)
    assert templates[0].recent == rows[-RECENT:]
    # What it was told of and is not there any more is not where it was heard.
    assert templates[1].recent == [7]


def test_places_that_were_not_looked_at_again_stay_remembered() -> None:
    template = template_of(np.zeros((20, BANDS), dtype=np.float32), 0)
    template.recent = [100, 300, 500]
    renew.note([template], renew.by_number(at(0, [520, 700])), 400)
    assert template.recent == [100, 300, 520, 700]


@pytest.fixture(scope="module")
def pair() -> list[Template]:
    """A whole of 60 rows, and a template of 20."""
    return [
        template_of(np.zeros((rows, BANDS), dtype=np.float32), n) for n, rows in ((0, 60), (1, 20))
    ]


def _piece(part: Template, whole: Template) -> bool:
    return False


WHOLES = [1000 * n for n in range(6)]


@pytest.mark.parametrize(
    ("own", "rigid"),
    [
        pytest.param([row + 25 for row in WHOLES], True, id="always inside at one distance"),
        pytest.param([row + 62 for row in WHOLES], True, id="always just behind"),
        pytest.param([row - 22 for row in WHOLES], True, id="always just before"),
        pytest.param([row + 25 for row in WHOLES[:4]], True, id="not in all of them"),
        pytest.param([row + 25 for row in WHOLES] + [400, 5400], True, id="twice alone"),
        pytest.param([row + 25 for row in WHOLES] + [400, 3400, 5400], False, id="also alone"),
        pytest.param([row + 200 for row in WHOLES], False, id="far behind"),
        pytest.param([row + 10 * n for n, row in enumerate(WHOLES)], False, id="anywhere inside"),
        pytest.param([row + 25 for row in WHOLES[:2]], False, id="twice proves nothing"),
        pytest.param([], False, id="never"),
    ],
)
def test_what_is_heard_at_one_distance_of_a_longer_sound_is_a_part(pair, own, rigid) -> None:
    seen = renew.by_number([*at(0, WHOLES, 60), *at(1, own)])
    gone = renew.rigid_parts(pair, seen, _piece)
    assert [t.number for t in gone] == ([1] if rigid else [])


def test_of_two_that_are_equally_long_the_older_stays() -> None:
    twins = [template_of(np.zeros((20, BANDS), dtype=np.float32), number) for number in range(2)]
    seen = renew.by_number([*at(0, WHOLES), *at(1, WHOLES)])
    assert [t.number for t in renew.rigid_parts(twins, seen, _piece)] == [1]
    assert [t.number for t in renew.rigid_parts(twins[::-1], seen, _piece)] == [1]


def test_what_explains_more_than_the_longer_sound_is_none_of_its_parts(pair) -> None:
    seen = renew.by_number([*at(0, WHOLES, 60), *at(1, [row + 25 for row in WHOLES])])
    asked = []
    own = lambda part, whole: asked.append((part.number, whole.number)) or True  # noqa: E731
    assert renew.rigid_parts(pair, seen, own) == []
    assert asked == [(1, 0)]
