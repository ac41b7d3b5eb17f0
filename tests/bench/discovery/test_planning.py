"""When things are heard, without any audio."""

from bisect import bisect_left
from itertools import pairwise

import pytest

from bench.discovery.planning import BURST_S, BURSTS, NEW_FROM, plan
from operators.scene.plan import APART_S, PlannedEvent, Spacing
from operators.scene.presets import EASY, HARD

DURATION_S = 300.0
EXTENTS_S = dict.fromkeys("ABXCFKNYZ", 0.6) | {"E": 0.4, "H": 0.4, "D": 2.5, "G": 3.0}
EXTENTS_S |= {"F2": 0.6, "V": 0.8, "V2": 0.9, "once-1": 1.0, "once-2": 1.0}
EXTENTS_S |= {f"{name}.{n}": 0.5 for name in "LM" for n in (1, 2, 3)}

Planned = tuple[Spacing, tuple[PlannedEvent, ...]]


@pytest.fixture(scope="module", params=[2, 3])
def planned(request: pytest.FixtureRequest) -> tuple[int, Planned]:
    return request.param, plan(request.param, DURATION_S, EASY, EXTENTS_S)


def starts(planned: Planned, role: str) -> list[float]:
    return [event.start_s for event in planned[1] if event.role == role]


def followed(planned: Planned, leader: str, follower: str, lag_s: float, within_s: float) -> float:
    """Share of the leader's occurrences with the follower at the lag."""
    later = starts(planned, follower)
    hits = 0
    for at in starts(planned, leader):
        place = bisect_left(later, at + lag_s - within_s)
        hits += place < len(later) and later[place] <= at + lag_s + within_s
    return hits / len(starts(planned, leader))


def test_everything_is_heard_in_order_and_inside_the_scene(planned: tuple[int, Planned]) -> None:
    _, (spacing, events) = planned
    assert {event.role for event in events} == set(EXTENTS_S)
    assert all(a.start_s <= b.start_s for a, b in pairwise(events))
    assert events[0].start_s >= 4.0
    assert max(e.start_s + EXTENTS_S[e.role] for e in events) <= DURATION_S
    assert 9 <= spacing.period_s <= 17
    for role in EXTENTS_S:
        onsets = starts((spacing, events), role)
        assert all(b - a >= APART_S for a, b in pairwise(onsets)), role


def test_roles_are_as_specified(planned: tuple[int, Planned]) -> None:
    seed, drawn = planned
    spacing = drawn[0]
    assert followed(drawn, "A", "B", spacing.lag_b_s, 0.5) >= 0.6
    assert followed(drawn, "G", "H", spacing.offset_h_s, 0.2) >= 0.7
    assert followed(drawn, "D", "E", 1.05, 1.06) >= 0.6
    assert (spacing.lag_x_s is not None) == bool(seed % 2)
    if spacing.lag_x_s is not None:
        assert followed(drawn, "B", "X", spacing.lag_x_s, 0.5) >= 0.5
    beats = starts(drawn, "C")
    assert all(abs((b - a) / spacing.period_s % 1 - 0.5) > 0.4 for a, b in pairwise(beats))
    assert min(starts(drawn, "N")) >= NEW_FROM * DURATION_S
    assert [len(starts(drawn, f"once-{n}")) for n in (1, 2)] == [1, 1]
    counts = [len(starts(drawn, f"L.{n}")) for n in (1, 2, 3)]
    assert max(counts) - min(counts) <= 1


def test_decoys_share_bursts_and_nothing_else(planned: tuple[int, Planned]) -> None:
    both = sorted(starts(planned[1], "Y") + starts(planned[1], "Z"))
    gaps = sum(b - a > BURST_S for a, b in pairwise(both))
    assert gaps < BURSTS


def test_the_plan_is_a_function_of_the_seed(planned: tuple[int, Planned]) -> None:
    seed, drawn = planned
    assert plan(seed, DURATION_S, EASY, EXTENTS_S) == drawn
    assert plan(seed + 2, DURATION_S, EASY, EXTENTS_S) != drawn


def test_a_harder_preset_varies_more(planned: tuple[int, Planned]) -> None:
    seed, drawn = planned
    harder = plan(seed, DURATION_S, HARD, EXTENTS_S)[1]
    assert any(event.variation.tempo != 1 for event in harder)
    assert all(event.variation.tempo == 1 for event in drawn[1])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no plan of 60 s found"):
        plan(1, 60.0, EASY, EXTENTS_S | {"K": 60.0})
