"""From evidence to a link of the right kind and direction."""

import random

import pytest

from operators.relations.config import RelationConfig
from operators.relations.ledger import Ledger
from operators.relations.links import Link, find_links

CONFIG = RelationConfig()
SPAN_S = 600.0


def _links(*sounds: tuple[str, list[float], float], config: RelationConfig = CONFIG) -> list[Link]:
    """Links between sounds given as (name, onsets, duration)."""
    ledger = Ledger(config)
    for name, onsets, duration in sounds:
        for onset in onsets:
            ledger.add(round(onset * 1e6), round((onset + duration) * 1e6), name)
    return find_links(ledger, sorted(name for name, _, _ in sounds), SPAN_S, config)


def _times(count: int, seed: int = 0) -> list[float]:
    """Onsets at least 17 s apart, further than any lag reaches."""
    rng = random.Random(seed)
    return [10.0 + 25.0 * k + rng.uniform(0, 8) for k in range(count)]


def _after(onsets: list[float], lag: float, spread: float, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [onset + lag + rng.gauss(0, spread) for onset in onsets]


@pytest.mark.parametrize(("leader", "follower"), [("a", "b"), ("b", "a")])
def test_what_follows_is_sequential_from_the_leader(leader: str, follower: str) -> None:
    times = _times(10)
    (link,) = _links((leader, times, 0.5), (follower, _after(times[:8], 1.5, 0.1), 0.5))
    assert (link.kind, link.source, link.target) == ("sequential", leader, follower)
    assert link.support == 8
    assert link.lag_s == pytest.approx(1.5, abs=0.1)
    assert link.lag_sd_s == pytest.approx(0.1, abs=0.06)
    assert link.probability == pytest.approx(0.8)
    assert link.lift > 10
    assert link.first_s == pytest.approx(times[0])
    assert link.last_s == pytest.approx(times[7] + 1.5, abs=0.4)


def test_one_event_claimed_twice_is_twins() -> None:
    times = _times(8)
    (link,) = _links(("a", times, 0.5), ("b", _after(times[:6], 0.02, 0.02), 0.5))
    assert (link.kind, link.source) == ("twins", "a")


def test_pieces_of_one_sound_are_fragments() -> None:
    times = _times(10)
    (link,) = _links(("a", times, 0.8), ("b", _after(times[:9], 0.9, 0.01), 0.5))
    assert link.kind == "fragments"


def test_a_loose_companion_that_also_misses_is_not_a_fragment() -> None:
    times = _times(10)
    (link,) = _links(("a", times, 0.8), ("b", _after(times[:8], 0.9, 0.1), 0.5))
    assert link.kind == "sequential"


def test_a_part_at_its_place_that_also_occurs_alone_makes_a_composite() -> None:
    times = _times(9)
    part = [*_after(times[:8], 1.2, 0.04), 300.0, 400.0, 500.0, 550.0]
    (link,) = _links(("part", part, 0.4), ("whole", times, 3.0))
    assert (link.kind, link.source, link.target) == ("composite", "whole", "part")
    assert link.lag_s == pytest.approx(1.2, abs=0.06)
    assert link.probability == pytest.approx(8 / 9)


def test_a_part_never_heard_without_its_whole_is_no_composite() -> None:
    times = _times(10)
    (link,) = _links(("part", _after(times, 1.2, 0.04), 0.4), ("whole", times, 3.0))
    assert link.kind == "fragments"
    (link,) = _links(("part", _after(times[:8], 1.2, 0.04), 0.4), ("whole", times[:9], 3.0))
    assert link.kind == "overlapping"


def test_anywhere_inside_is_overlapping_not_composite() -> None:
    times = _times(10)
    rng = random.Random(3)
    inside = [onset + rng.uniform(0.1, 2.4) for onset in times[:8]]
    (link,) = _links(("e", [*inside, 300.0, 400.0, 500.0], 0.5), ("d", times, 3.0))
    assert (link.kind, link.source, link.target) == ("overlapping", "d", "e")
    assert link.support == 8


def test_a_part_at_its_place_is_composite_though_anywhere_inside_is_likelier_still() -> None:
    times = _times(7)
    inside = [onset + lag for onset, lag in zip(times, (0.95, 1.0, 1.05, 1.1, 0.35), strict=False)]
    alone = [onset + 12 for onset in times[:4]]
    (link,) = _links(("a", times, 2.9), ("b", sorted([*inside, *alone]), 0.3))
    assert (link.kind, link.source, link.support) == ("composite", "a", 4)
    assert link.lag_s == pytest.approx(1.025)


def test_a_few_that_lie_beside_their_whole_do_not_hide_those_inside() -> None:
    times = _times(7)
    lags = (0.2, 0.9, 1.5, 2.2, -1.2, 3.2, 3.6)
    parts = [onset + lag for onset, lag in zip(times, lags, strict=True)]
    (link,) = _links(("a", times, 2.9), ("b", parts, 0.6))
    assert (link.kind, link.source, link.target) == ("overlapping", "a", "b")


def test_too_small_a_share_of_the_rarer_is_not_reported_though_significant() -> None:
    rng = random.Random(4)
    times = sorted(rng.uniform(0, SPAN_S) for _ in range(18))
    other = [*_after(times[:4], 1.5, 0.01), *(rng.uniform(0, SPAN_S) for _ in range(16))]
    assert _links(("a", times, 0.5), ("b", other, 0.5)) == []
    loose = RelationConfig(min_share=0.1)
    assert len(_links(("a", times, 0.5), ("b", other, 0.5), config=loose)) == 1


def test_sounds_that_never_meet_and_a_single_sound_have_no_links() -> None:
    assert _links(("a", [10.0, 20.0, 30.0], 0.5), ("b", [500.0, 520.0, 540.0], 0.5)) == []
    assert _links(("a", [10.0, 20.0, 30.0], 0.5)) == []
