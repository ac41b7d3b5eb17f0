"""What is not shown is counted, with its reason."""

import numpy as np

from connectors.live.spells import ONCE, Spell, Spells
from operators.records import Embedding, Outcome, Verdict

VECTOR = np.ones(2, np.float32)


def verdict(
    index: int, outcome: Outcome, reason: str = "", *, stream: str = "s", space: str = "m"
) -> Verdict:
    return Verdict(stream, index, index, space, outcome, reason)


def stored(index: int, stream: str = "s") -> Embedding:
    return Embedding(stream, index, index, 1.0, False, -20.0, "m", VECTOR)


def fed(spells: Spells, *items: Embedding | Verdict) -> list[Spell]:
    return [over for item in items for over in spells.window(item, f"at {item.index}")]


def test_a_run_of_rejected_windows_is_one_count() -> None:
    spells = Spells()
    assert fed(spells, *(verdict(index, "gated") for index in range(37))) == []
    assert spells.open() == [Spell(("gated", ""), 37, 1, "s", "at 0", "at 36")]


def test_a_stream_that_goes_back_and_forth_is_still_one_count() -> None:
    spells = Spells()
    for index in range(0, 200, 2):
        assert fed(spells, verdict(index, "gated"), stored(index + 1)) == []
    assert [(each.count, each.since) for each in spells.open()] == [(100, "at 0")]


def test_a_long_spell_is_told_once_it_is_over_and_a_short_one_is_not() -> None:
    for count, told in ((19, 0), (20, 1)):
        spells = Spells()
        fed(spells, *(verdict(index, "silent") for index in range(count)))
        assert len(fed(spells, *(stored(100 + index) for index in range(20)))) == told
        assert spells.open() == []


def test_what_ought_not_to_be_is_told_however_short_and_comes_first() -> None:
    spells = Spells()
    fed(spells, *(verdict(index, "gated") for index in range(50)))
    fed(spells, verdict(50, "shed", "queue_full"))
    assert [each.cause[0] for each in spells.open()] == ["shed", "gated"]
    (over,) = fed(spells, *(verdict(51 + index, "gated") for index in range(20)))
    assert (over.cause, over.count, over.wrong) == (("shed", "queue_full"), 1, True)
    assert spells.reasons() == {"shed": "queue_full"}


def test_streams_are_told_together() -> None:
    spells = Spells()
    for number in range(40):
        fed(spells, verdict(number, "gated", stream=f"s{number}"))
    assert spells.open() == [Spell(("gated", ""), 40, 40, "", "at 0", "at 39")]


def test_a_window_counts_once_however_many_models_were_asked_for() -> None:
    spells = Spells()
    for index in range(10):
        fed(spells, verdict(index, "gated"), verdict(index, "gated", space="n"))
    assert spells.open()[0].count == 10


def test_sounds_heard_once_are_told_until_something_is_found() -> None:
    spells = Spells()
    spells.once("s", "at 1")
    spells.once("s", "at 2")
    fed(spells, *(stored(index) for index in range(100)))
    assert spells.open() == [Spell(ONCE, 2, 1, "s", "at 1", "at 2")]
    spells.found("s")
    assert spells.open() == []


def test_memory_is_bounded_by_the_number_of_streams() -> None:
    spells = Spells()
    for number in range(5_000):
        fed(spells, verdict(0, "silent", stream=f"s{number}"))
    assert spells.open()[0].streams == 4_096
