"""A beat is told of the head of a sound, not of what hangs on it."""

from operators.relations.config import RelationConfig
from operators.relations.heads import inherited_beats, whole_onsets
from operators.relations.kinds import LinkKind
from operators.relations.ledger import Ledger
from operators.relations.links import Link
from operators.relations.periodic import Beat

S = 1_000_000


def _link(source: str, target: str, kind: LinkKind, lag_s: float = 0.5) -> Link:
    return Link(kind, source, target, 8, lag_s, 0.01, 0.9, 50.0, 1e-6, 0.0, 100.0)


def _beat(period_s: float, support: int) -> Beat:
    return Beat(period_s, 0.08, support, 0.9, 0.5, 1e-9, 0.0, 300.0)


def test_a_head_missed_where_its_piece_was_heard_is_put_back() -> None:
    ledger = Ledger(RelationConfig())
    for at in (10, 20, 40):
        ledger.add(at * S, at * S + S, "head")
    for at in (20, 30, 40):
        ledger.add(at * S + S // 2, (at + 1) * S, "tail")
    members = ["head", "tail"]
    whole = whole_onsets(ledger, members, [_link("head", "tail", "fragments")])
    assert whole == {
        "head": [10 * S, 20 * S, 30 * S, 40 * S],
        "tail": [20 * S + S // 2, 30 * S + S // 2, 40 * S + S // 2],
    }
    assert whole_onsets(ledger, members, [_link("head", "tail", "sequential")])["head"] == [
        10 * S,
        20 * S,
        40 * S,
    ]


def test_a_piece_owes_its_beat_to_the_head_even_if_heard_more_often() -> None:
    beats = {"head": _beat(15.0, 9), "tail": _beat(15.1, 14)}
    assert inherited_beats(beats, [_link("head", "tail", "fragments")]) == {"tail"}
    assert inherited_beats(beats, [_link("head", "tail", "sequential")]) == {"head"}


def test_beats_of_other_periods_or_without_a_link_are_their_own() -> None:
    beats = {"a": _beat(15.0, 9), "b": _beat(11.0, 14)}
    assert inherited_beats(beats, [_link("a", "b", "sequential")]) == set()
    assert inherited_beats(beats, [_link("a", "c", "sequential")]) == set()
    assert inherited_beats({"a": _beat(15.0, 9), "b": _beat(15.0, 9)}, []) == set()
