from operators.describing.agenda import Agenda
from operators.revision import Revision
from tests.operators.describing.conftest import occurrence, pattern


def agenda(patterns: int = 100) -> Agenda:
    return Agenda(every_s=60.0, retry_s=10.0, patterns=patterns)


def test_a_pattern_is_due_once_it_is_confirmed_whichever_is_told_first() -> None:
    one, other = agenda(), agenda()
    at = occurrence("p", 1.0)
    assert one.heard(at) is None
    assert one.changed(pattern("p", "born")) is None
    assert one.changed(pattern("p")) is at
    assert other.changed(pattern("p")) is None
    assert other.heard(at) is at


def test_the_latest_occurrence_is_the_exemplar() -> None:
    plan = agenda()
    late, early = occurrence("p", 9.0), occurrence("p", 3.0, backfilled=True)
    plan.heard(late)
    plan.heard(early)
    assert plan.changed(pattern("p")) is late


def test_an_exemplar_that_is_corrected_stays_the_exemplar() -> None:
    plan = agenda()
    told, corrected = occurrence("p", 9.0), occurrence("p", 8.95, backfilled=True)
    plan.heard(told)
    plan.heard(corrected)
    plan.taken_back(Revision("s", 9.0, told.start_ns, "p", "p", "hindsight", 20.0))
    assert plan.changed(pattern("p")) is corrected


def test_what_was_described_is_due_again_after_a_while_in_stream_time() -> None:
    plan = agenda()
    plan.changed(pattern("p"))
    plan.described(occurrence("p", 100.0))
    assert plan.heard(occurrence("p", 100.0)) is None
    assert plan.heard(occurrence("p", 50.0)) is None
    assert plan.heard(occurrence("p", 159.9)) is None
    assert plan.heard(occurrence("p", 160.0)) is not None


def test_what_failed_is_tried_again_sooner() -> None:
    plan = agenda()
    plan.changed(pattern("p"))
    plan.failed(occurrence("p", 100.0))
    assert plan.heard(occurrence("p", 109.0)) is None
    again = occurrence("p", 110.0)
    assert plan.heard(again) is again
    plan.described(again)
    assert plan.heard(occurrence("p", 121.0)) is None


def test_an_occurrence_whose_audio_is_gone_is_not_offered_twice() -> None:
    plan = agenda()
    at = occurrence("p", 1.0)
    plan.heard(at)
    assert plan.changed(pattern("p")) is at
    plan.missed(at)
    assert plan.changed(pattern("p")) is None
    plan.missed(occurrence("nobody", 1.0))


def test_an_occurrence_that_hindsight_took_back_is_not_due() -> None:
    plan = agenda()
    early, late = occurrence("p", 1.0), occurrence("p", 9.0)
    plan.heard(late)
    for at in (early, late, occurrence("nobody", 9.0)):
        back = Revision(at.stream, at.start_s, at.start_ns, at.pattern, "q", "hindsight", 900.0)
        plan.taken_back(back)
        if at is early:
            assert plan.changed(pattern("p")) is late
    assert plan.changed(pattern("p")) is None
    assert plan.heard(early) is early


def test_who_took_a_described_pattern_in_counts_as_described() -> None:
    plan = agenda()
    for name in ("old", "new"):
        plan.changed(pattern(name))
    plan.described(occurrence("old", 0.0))
    plan.changed(pattern("old", "merged", into="new"))
    assert plan.heard(occurrence("new", 30.0)) is None
    assert plan.heard(occurrence("new", 60.0)) is not None


def test_who_was_described_later_keeps_its_own_time_when_it_takes_another_in() -> None:
    plan = agenda()
    for name, at_s in (("old", 0.0), ("new", 50.0)):
        plan.changed(pattern(name))
        plan.described(occurrence(name, at_s))
    plan.changed(pattern("old", "merged", into="new"))
    assert plan.heard(occurrence("new", 70.0)) is None


def test_what_was_retired_is_forgotten() -> None:
    plan = agenda()
    plan.changed(pattern("p"))
    plan.changed(pattern("p", "retired"))
    plan.changed(pattern("never heard of", "retired"))
    assert plan.heard(occurrence("p", 1.0)) is None
    plan.described(occurrence("q", 1.0))
    plan.failed(occurrence("q", 1.0))
    assert [row[0] for row in plan.snapshot()] == ["p"]


def test_only_so_many_patterns_are_known_those_heard_last() -> None:
    plan = agenda(patterns=2)
    for name in ("a", "b"):
        plan.changed(pattern(name))
    plan.heard(occurrence("a", 1.0))
    plan.changed(pattern("c"))
    assert [row[0] for row in plan.snapshot()] == ["a", "c"]
    assert plan.forgotten == 1


def test_a_snapshot_goes_on_where_it_was_and_another_model_begins_anew() -> None:
    plan = agenda()
    plan.changed(pattern("p"))
    plan.described(occurrence("p", 100.0))
    same, other = agenda(), agenda()
    same.restore(plan.snapshot(), describe_again=False)
    other.restore(plan.snapshot(), describe_again=True)
    assert same.heard(occurrence("p", 130.0)) is None
    assert other.heard(occurrence("p", 130.0)) is not None
    assert same.snapshot() == plan.snapshot()
