"""Kinds: joined, missed, false and fused."""

import pytest

from bench.discovery.kinds import CLASS, TRANSPOSED, VOICE, added, kinds, variants_of
from operators.records import Occurrence, Pattern, Relation
from operators.scene.truth import PlantedEvent, Truth

STARTS_S = {
    "F-x": (10.0, 50.0, 90.0),
    "F2-x": (14.0, 54.0, 94.0),
    "V-y": (18.0, 58.0, 98.0),
    "V2-z": (22.0, 62.0, 102.0),
    "L.1-a": (26.0, 66.0),
    "L.2-b": (30.0, 70.0),
    "M.1-c": (34.0, 74.0),
}
TRUTH = Truth(
    tuple(PlantedEvent(s, at, at + 1) for s, starts in STARTS_S.items() for at in starts), ()
)
SIMILAR = (("F-x", "F2-x"), ("V-y", "V2-z"))
CLASSES = {"L.1-a": "L", "L.2-b": "L", "M.1-c": "M"}


def heard(**sounds: tuple[str, ...]) -> list[Occurrence]:
    """Patterns by name, each of every event of some sounds."""
    return [
        Occurrence("s", pattern, at, at + 1, round(at * 1e9), 0.9, at + 2, backfilled=False)
        for pattern, of in sounds.items()
        for sound in of
        for at in STARTS_S[sound]
    ]


def join(source: str, target: str) -> Relation:
    return Relation("s", "variant", source, target, 3)


APART = heard(f=("F-x",), g=("F2-x",), v=("V-y",), w=("V2-z",), a=("L.1-a",), b=("L.2-b",))


def test_joined_missed_and_false() -> None:
    found = kinds(TRUTH, SIMILAR, CLASSES, APART, [join("g", "f"), join("a", "b"), join("f", "v")])
    assert found.planted == {TRANSPOSED: 1, VOICE: 1, CLASS: 1}
    assert found.both_found == {TRANSPOSED: 1, VOICE: 1, CLASS: 1}
    assert found.joined == {TRANSPOSED: 1, VOICE: 0, CLASS: 1}
    assert found.fused == {TRANSPOSED: 0, VOICE: 0, CLASS: 0}
    assert (found.told, found.right) == (3, 2)


def test_what_was_fused_cannot_be_joined() -> None:
    found = kinds(TRUTH, SIMILAR, CLASSES, heard(p=("F-x", "F2-x"), v=("V-y",)), [join("p", "v")])
    assert found.fused == {TRANSPOSED: 1, VOICE: 0, CLASS: 0}
    assert found.both_found == {TRANSPOSED: 0, VOICE: 0, CLASS: 0}
    assert (found.told, found.right) == (1, 0)


def test_joins_of_what_is_not_reported_are_nobodys_business() -> None:
    assert kinds(TRUTH, SIMILAR, CLASSES, APART, [join("f", "unknown")]).told == 0


def test_counts_are_added_up() -> None:
    one = kinds(TRUTH, SIMILAR, CLASSES, APART, [join("f", "g")])
    both = added([one, one])
    assert (both.planted[CLASS], both.joined[TRANSPOSED], both.told) == (2, 2, 2)


def test_patterns_without_templates_have_no_variants() -> None:
    said = [Pattern("s", f"p{n}", "", 4, 0, 9, 0, 9, 1.0, "confirmed") for n in range(6)]
    assert variants_of(said) == []


def test_the_last_template_counts_though_later_news_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learnt: list[Pattern] = []
    monkeypatch.setattr(
        "bench.discovery.kinds.Variants.learn", lambda _, pattern: learnt.append(pattern)
    )
    variants_of(
        [
            Pattern("s", "p", "", 3, 0, 9, 0, 9, 1.0, "confirmed", template=b"old"),
            Pattern("s", "p", "", 4, 0, 9, 0, 9, 1.0, "confirmed", template=b"new"),
            Pattern("s", "p", "", 5, 0, 9, 0, 9, 1.0, "confirmed"),
        ]
    )
    assert [(each.count, each.template) for each in learnt] == [(5, b"new")]
