from dataclasses import replace

from operators.records import Relation
from operators.reported import Reported


def relation(target: str, support: int) -> Relation:
    return Relation("s", "similar", "a", target, support)


def by_key(*relations: Relation) -> dict[str, Relation]:
    return {each.key: each for each in relations}


def reported() -> Reported:
    return Reported(lambda before, now: abs(now.support - before.support) >= 2)


def test_new_ones_are_said_by_key_and_what_is_gone_is_withdrawn_first() -> None:
    told = reported()
    b, c, d = (relation(name, 4) for name in "bcd")
    assert told.changes(by_key(d, b), final=False) == [b, d]
    assert told.changes(by_key(c, d), final=False) == [replace(b, withdrawn=True), c]
    assert told.standing == by_key(c, d)


def test_small_changes_wait_for_the_end_and_are_measured_by_what_was_said() -> None:
    told = reported()
    told.changes(by_key(relation("b", 4)), final=False)
    assert told.changes(by_key(relation("b", 5)), final=False) == []
    assert told.changes(by_key(relation("b", 6)), final=False) == [relation("b", 6)]
    assert told.changes(by_key(relation("b", 7)), final=True) == [relation("b", 7)]
    assert told.changes(by_key(relation("b", 7)), final=True) == []


def test_a_snapshot_goes_on_the_same() -> None:
    told, again = reported(), reported()
    told.changes(by_key(relation("b", 4), relation("c", 4)), final=False)
    again.resume(told.snapshot())
    assert again.standing == told.standing
