import numpy as np

from operators.patterns.archive import Archive, Span, span_of
from operators.patterns.bank import Bank, salience
from operators.patterns.canvas import from_region
from operators.patterns.clip import Clip, cut_clip
from operators.patterns.config import Bounds
from operators.patterns.reservoir import Reservoir
from operators.patterns.rivals import Rivals, resemblance
from tests.operators.patterns.conftest import template_of


def clip(world, number: int, start: int = 0) -> Clip:
    canvas = from_region(world.alone(start + 3, world.sound(number)), 420)
    return cut_clip(canvas, start + 3, 40, 150, mask=False)


def test_the_least_salient_template_is_forgotten_first(world) -> None:
    bank = Bank(Bounds(templates=3))
    for number, worth in enumerate([5.0, 1.0, 9.0]):
        assert bank.add(template_of(world.sound(number, 20), number, salience=worth), 0) == []
    gone = bank.add(template_of(world.sound(3, 20), 3, salience=0.5), 0)
    assert [t.number for t in gone] == [1]
    assert [t.number for t in bank.templates] == [0, 2, 3]


def test_salience_halves_in_six_hours_without_an_occurrence(world) -> None:
    old = template_of(world.sound(0, 20), 0, salience=8.0, touched=0)
    six_hours = round(6 * 3600 / 0.02321995)
    assert abs(salience(old, six_hours) - 4.0) < 0.01


def test_templates_are_bounded_in_rows_and_exemplars_go_before_patterns(world) -> None:
    bank = Bank(Bounds(template_frames_total=50, exemplar_frames_total=80))
    for number in range(4):
        held = template_of(world.sound(number, 20), number, salience=1.0 + number)
        held.exemplars = [clip(world, number)] * 3
        bank.add(held, 0)
    assert sum(t.frames for t in bank.templates) <= 50
    assert sum(len(c.codes) for t in bank.templates for c in t.exemplars) <= 80
    assert bank.templates[-1].number == 3


def test_the_reservoir_forgets_the_oldest_by_number_and_by_rows(world) -> None:
    few = Reservoir(Bounds(reservoir=4), 2)
    rows = Reservoir(Bounds(reservoir_frames_total=100), 2)
    for number in range(10):
        few.add(clip(world, number, 1000 * number))
        rows.add(clip(world, number, 1000 * number))
    assert [c.onset for c in few.clips] == [6003, 7003, 8003, 9003]
    assert sum(len(c.codes) for c in rows.clips) <= 100
    assert rows.clips[-1].onset == 9003


def test_an_event_that_a_new_sound_accounts_for_leaves_the_reservoir(world) -> None:
    reservoir = Reservoir(Bounds(), 2)
    reservoir.add(clip(world, 1))
    reservoir.add(clip(world, 2, 1000))
    reservoir.explain(3, world.sound(1) - 30, origin_ns=0)
    assert [c.onset for c in reservoir.clips] == [1003]
    reservoir.explain(1003, world.sound(2) - 30, origin_ns=77)
    assert len(reservoir) == 1


def test_the_most_alike_event_comes_first(world) -> None:
    reservoir = Reservoir(Bounds(), 2)
    assert reservoir.alike(clip(world, 5), 0.5, 8) == []
    for number in range(8):
        reservoir.add(clip(world, number, 1000 * number))
    found = reservoir.alike(clip(world, 5, 9000), 0.5, 3)
    assert found[0].onset == 5003
    assert len(found) <= 3


def test_the_archive_keeps_the_latest_rows_and_what_was_explained(world) -> None:
    archive = Archive(100)
    for start in range(0, 5000, 1000):
        canvas = from_region(world.alone(start + 3, world.sound(1)), 420)
        archive.add(span_of(canvas, canvas.start, canvas.end))
    assert sum(len(s.codes) for s in archive.spans) <= 100
    archive.explain(4003, world.sound(1) - 30, origin_ns=0)
    last = archive.spans[-1]
    assert last.explained.sum() > 50
    assert not archive.spans[0].explained.any()
    again = Span.restore(last.snapshot())
    assert (again.explained == last.explained).all()
    assert (again.usable == last.usable).all()
    assert np.abs(again.level - world.alone(4003, world.sound(1)).patch_db).max() <= 70


def test_rivals_are_bounded_and_forget_the_least_met() -> None:
    rivals = Rivals(2)
    for _ in range(3):
        rivals.meet(1, 2, 4)
    rivals.meet(5, 4, -6)
    rivals.meet(7, 8, 0)
    assert len(rivals.pairs) == 2
    assert rivals.lag(1, 2) == (3, 4.0, 0.0)
    assert rivals.lag(2, 1) == (3, -4.0, 0.0)
    assert rivals.lag(1, 9) == (0, 0.0, 0.0)
    assert rivals.met(1) == [2]
    rivals.claim(1)
    rivals.forget(1)
    assert rivals.met(2) == []
    assert rivals.claims == {}


def test_templates_resemble_each_other_only_when_they_are_equal(world) -> None:
    whole, part, other = (
        template_of(world.sound(1, 40), 1),
        template_of(world.sound(1, 40), 1),
        template_of(world.sound(9, 40), 9),
    )
    part.reshape(part.level[10:25], part.floor, 0)
    same = resemblance(whole, template_of(world.sound(1, 40), 1), 1)
    assert same.lag == 0
    assert min(same.a_in_b, same.b_in_a) > 0.95
    piece = resemblance(whole, part, 10)
    assert piece.b_in_a > 0.9
    assert piece.a_in_b < 0.6
    different = resemblance(whole, other, 0)
    assert min(different.a_in_b, different.b_in_a) < 0.5
    assert resemblance(whole, part, 39).a_in_b == 0


def test_two_sounds_that_begin_together_get_different_ids() -> None:
    bank = Bank(Bounds())
    assert [bank.name_onset(5), bank.name_onset(5), bank.name_onset(9)] == [5, 6, 9]
    assert bank.name_onset(5) == 7
