"""Vectors meet their patterns whichever lane is faster, and likeness stands out of a background."""

import itertools
import pickle
import random
from dataclasses import astuple, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.kinship import Kinship, KinshipConfig
from operators.kinship.affinity import affinities
from operators.kinship.kinship import Said
from operators.kinship.rooms import Rooms
from operators.records import (
    ANALYSIS_RATE_HZ,
    Centroid,
    Embedding,
    Occurrence,
    Pattern,
    Relation,
    StreamEnd,
    Verdict,
)
from operators.revision import Revision, settled

SPACE = "net-0badcafe-64"
END = StreamEnd("s", 300 * ANALYSIS_RATE_HZ, 0)
DIMENSION = 64


def _vector(seed: int, near: np.ndarray | None = None, spread: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=DIMENSION) * (1.0 if near is None else spread)
    raw = raw if near is None else near + raw
    return (raw / np.linalg.norm(raw)).astype(np.float32)


def _embedding(
    at_s: float, vector: np.ndarray, onset: bool = True, space: str = SPACE
) -> Embedding:
    index = round(at_s * ANALYSIS_RATE_HZ)
    return Embedding("s", index, round(at_s * 1e9), 1.0, onset, -20.0, space, vector)


def _heard(pattern: str, start_s: float, later_s: float = 1.0) -> Occurrence:
    return Occurrence(
        "s", pattern, start_s, start_s + 0.5, round(start_s * 1e9), 0.9, start_s + later_s, False
    )


def _gone(pattern: str, start_s: float, emitted_s: float, now: str = "") -> Revision:
    start_ns = round(start_s * 1e9)
    return Revision("s", start_s, start_ns, pattern, now, "hindsight", emitted_s)


def _dead(at_s: float, space: str = SPACE) -> Verdict:
    index = round(at_s * ANALYSIS_RATE_HZ)
    return Verdict("s", index, round(at_s * 1e9), space, "dead", "breaker_open")


def _news(pattern: str, status: str, into: str = "") -> Pattern:
    return Pattern("s", pattern, pattern, 3, 0.0, 1.0, 0, 10**9, 0.5, status, into)  # type: ignore[arg-type]


def _scene() -> tuple[list[Occurrence], list[Embedding]]:
    """Six sounds, four times each; ``p4`` and ``p5`` are alike."""
    centres = [_vector(seed) for seed in range(5)]
    centres.append(_vector(99, centres[4], 0.05))
    occurrences, embeddings = [], []
    for number in range(24):
        start = 5.0 + 11.0 * number
        occurrences.append(_heard(f"p{number % 6}", start))
        vector = _vector(1_000 + number, centres[number % 6], 0.03)
        embeddings += [
            _embedding(start + 0.02, vector),
            _embedding(start + 0.6, _vector(number), onset=False),
        ]
    return occurrences, embeddings


@cache
def _lanes() -> list[list]:
    """Discovery and two spaces, each in its order: all that can happen, happens."""
    occurrences, embeddings = _scene()
    discovery: list = [*occurrences]
    discovery.insert(21, _news("p5", "retired"))
    discovery.insert(16, _news("p0", "merged", into="p1"))
    discovery[15:15] = [replace(_heard("p3", 60.0), emitted_s=200.0), _gone("p4", 49.0, 200.0)]
    discovery[12:12] = [
        *(replace(_heard("p1", 5.05), emitted_s=130.0), _gone("p0", 5.0, 130.0, "p1")),
        *(replace(_heard("p3", 38.1), emitted_s=130.0), _gone("p3", 38.0, 130.0, "p3")),
        *(_gone("p2", 27.0, 130.0), _gone("p2", 28.0, 130.0)),
        _gone("", 71.0, 130.0, "p4"),
    ]
    discovery.insert(9, replace(_heard("p3", 40.0), emitted_s=100.0, backfilled=True))
    discovery.insert(5, _news("p1", "confirmed"))
    embeddings.insert(4, _embedding(20.0, _vector(7)))
    one = [replace(item, space="one") for item in embeddings]
    two = [
        replace(item, space="two", vector=item.vector[::-1]) for item in embeddings if item.onset
    ]
    return [[*discovery, END], [*one, END], [*two[:14], *two[16:], END]]


CONFIG = KinshipConfig(wait_s=100.0, revise_s=130.0)


def _mixed(lanes: list[list], rng: random.Random) -> list[tuple[int, Any]]:
    """One interleaving of lanes, in runs of any length: (lane, item)."""
    left = [list(lane) for lane in lanes]
    mixed = []
    while any(left):
        number = rng.choice([number for number, lane in enumerate(left) if lane])
        run = rng.choice((1, 3, 10, 50))
        mixed += [(number, item) for item in left[number][:run]]
        del left[number][:run]
    return mixed


def _plain(said: list[Said]) -> list[tuple]:
    """What was said, word for word, comparable."""
    return [
        tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in astuple(item))
        for item in said
    ]


@cache
def _uninterrupted() -> tuple[Kinship, list[Said]]:
    """One lane after the other: whoever has heard it, and what was said."""
    kinship = Kinship("s", CONFIG, lanes=3)
    return kinship, [r for lane in _lanes() for item in lane for r in kinship.hear(item)]


def _run(items: list, lanes: int = 2, config: KinshipConfig | None = None) -> list[Said]:
    kinship = Kinship("s", config, lanes)
    return [said for item in items for said in kinship.hear(item)]


def _rows(said: list[Said]) -> dict:
    """What a store holds afterwards."""
    rows: dict = {}
    for item in said:
        key = (item.pattern, item.space) if isinstance(item, Centroid) else item.key
        if item.withdrawn:
            rows.pop(key, None)
        elif isinstance(item, Centroid):
            rows[key] = (item.count, item.vector.tobytes())
        else:
            rows[key] = item
    return rows


def test_similar_sounds_are_told_and_others_are_not() -> None:
    occurrences, embeddings = _scene()
    said = _run([*occurrences, *embeddings, END, END])
    (relation,) = [item for item in _rows(said).values() if isinstance(item, Relation)]
    assert (relation.kind, relation.source, relation.target) == ("similar", "p4", "p5")
    assert relation.support == 4
    assert relation.probability is not None
    assert 0.9 < relation.probability <= 1.0
    assert relation.first_s == pytest.approx(49.02, abs=0.001)
    assert relation.last_s == pytest.approx(258.02, abs=0.001)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_said_does_not_depend_on_which_lane_is_faster(rng: random.Random) -> None:
    reference, expected = _uninterrupted()
    kinship = Kinship("s", CONFIG, lanes=3)
    said = [r for _, item in _mixed(_lanes(), rng) for r in kinship.hear(item)]
    assert _plain(said) == _plain(expected)
    assert _rows(said) == _rows(expected)
    assert kinship.dropped == reference.dropped
    assert kinship.forced == reference.forced == 0


def test_the_lanes_of_these_tests_make_everything_happen() -> None:
    kinship, said = _uninterrupted()
    gone = [item for item in said if item.withdrawn]
    assert {(g.pattern, g.space) for g in gone if isinstance(g, Centroid)} >= {
        (pattern, space) for pattern in ("p0", "p5") for space in ("one", "two")
    }
    assert {g.key for g in gone if isinstance(g, Relation)} == {"p4|similar|p5"}
    assert len([item for item in said if isinstance(item, Relation)]) > 2
    unjoined = ("occurrence_late", "occurrence_unmatched", "embedding_unmatched")
    assert {*unjoined, "revision_late", "revision_unmatched"} <= {*kinship.dropped}


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_restart_anywhere_says_the_same_word_for_word(rng: random.Random) -> None:
    items = [item for _, item in _mixed(_lanes(), rng)]
    cut = rng.randrange(len(items) + 1)
    straight = Kinship("s", CONFIG, lanes=3)
    expected = [straight.hear(item) for item in items]
    first = Kinship("s", CONFIG, lanes=3)
    said = [first.hear(item) for item in items[:cut]]
    second = Kinship.restore(pickle.loads(pickle.dumps(first.snapshot())), CONFIG)  # noqa: S301 - own bytes
    said += [second.hear(item) for item in items[cut:]]
    assert [_plain(step) for step in said] == [_plain(step) for step in expected]
    assert second.dropped == straight.dropped


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_crash_leaves_nothing_behind_that_an_uninterrupted_run_does_not(
    rng: random.Random,
) -> None:
    whole, expected = _uninterrupted()
    order = _mixed(_lanes(), rng)
    kept, killed = sorted(rng.choices(range(len(order) + 1), k=2))
    first = Kinship("s", CONFIG, lanes=3)
    said = [r for _, item in order[:kept] for r in first.hear(item)]
    state = first.snapshot()
    said += [r for _, item in order[kept:killed] for r in first.hear(item)]
    left = [[item for lane, item in order[kept:] if lane == number] for number in range(3)]
    second = Kinship.restore(state, CONFIG)
    said += [r for _, item in _mixed(left, rng) for r in second.hear(item)]
    assert _rows(said) == _rows(expected)
    assert second.dropped == whole.dropped


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_snapshot_does_not_change_when_the_lanes_go_on(rng: random.Random) -> None:
    items = [item for _, item in _mixed(_lanes(), rng)]
    cut = rng.randrange(len(items) + 1)
    kinship = Kinship("s", CONFIG, lanes=3)
    for item in items[:cut]:
        kinship.hear(item)
    state = kinship.snapshot()
    before = pickle.dumps(state)
    for item in items[cut:]:
        kinship.hear(item)
    assert pickle.dumps(state) == before


def test_a_stream_that_ended_may_be_taken_up_again() -> None:
    occurrences, embeddings = _scene()
    items = sorted([*occurrences, *embeddings], key=lambda item: item.start_ns)
    half = len(items) // 2
    whole = Kinship("s")
    said: list[Said] = []
    for item in (*items[:half], END, END, *items[half:], END, END):
        said += whole.hear(item)
    assert {key[:2] for key in _rows(said)} == {key[:2] for key in _rows(_run([*items, END, END]))}


def test_an_interval_is_told_once_every_lane_is_beyond_it() -> None:
    kinship = Kinship("s", lanes=3)
    for item in (
        _heard("p", 10.0),
        _embedding(10.0, _vector(1), space="one"),
        _embedding(10.0, _vector(2), space="two"),
        _embedding(31.0, _vector(1), space="one", onset=False),
        _embedding(30.15, _vector(1), space="two"),
        _heard("p", 30.0),
    ):
        assert kinship.hear(item) == []
    said = kinship.hear(_embedding(30.2, _vector(1), space="two", onset=False))
    assert [(c.pattern, c.space, c.count) for c in said] == [("p", "one", 1), ("p", "two", 1)]


def test_a_sound_right_before_the_boundary_takes_a_window_right_after_it() -> None:
    kinship = Kinship("s")
    kinship.hear(_heard("p", 29.95, later_s=0.04))
    kinship.hear(_heard("q", 60.0))
    kinship.hear(_embedding(30.05, _vector(1)))
    (centroid,) = kinship.hear(_embedding(40.0, _vector(2)))
    assert isinstance(centroid, Centroid)
    np.testing.assert_allclose(centroid.vector, _vector(1), atol=1e-6)


def test_a_pattern_told_in_the_past_keeps_its_place_in_its_lane() -> None:
    """The merge is news of 130 s although the sound was last heard at 1 s."""
    items = [_heard("a", 10.0), _heard("b", 11.0), _heard("b", 129.0), _news("a", "merged", "b")]
    windows = [_embedding(at, _vector(1)) for at in (10.0, 11.0, 129.0)]
    said = _run([*items, *windows, END, END])
    told = [(c.pattern, c.count, c.withdrawn) for c in said if isinstance(c, Centroid)]
    assert told == [("a", 1, False), ("b", 1, False), ("a", 1, True), ("b", 3, False)]


def test_a_lane_that_is_stuck_is_left_behind_once_too_much_waits() -> None:
    kinship = Kinship("s", KinshipConfig(max_held=10))
    kinship.hear(_embedding(5.0, _vector(1)))
    said = [r for number in range(10) for r in kinship.hear(_heard("p", 5.0 + 10.0 * number))]
    assert [(c.pattern, c.count) for c in said] == [("p", 1)]
    assert kinship.forced == 1
    for number in range(200):
        kinship.hear(_heard("p", 105.0 + 10.0 * number))
        held = kinship.snapshot()["barrier"]["lanes"]
        assert sum(len(items) for *_, items in held) <= 10
    assert kinship.forced > 50
    assert Kinship.restore(kinship.snapshot()).forced == kinship.forced


def test_what_a_stuck_lane_brings_late_still_serves_what_comes_after() -> None:
    kinship = Kinship("s", KinshipConfig(max_held=2))
    for at in (5.0, 50.0, 100.0):
        kinship.hear(_heard("p", at))
    assert kinship.forced == 1
    said = [*kinship.hear(_embedding(5.0, _vector(1))), *kinship.hear(_heard("q", 5.0, 100.0))]
    said += [r for end in (END, END) for r in kinship.hear(end)]
    assert [(c.pattern, c.count) for c in said if isinstance(c, Centroid)] == [("q", 1)]


def test_an_occurrence_takes_the_nearest_window_within_reach() -> None:
    near, far = _vector(1), _vector(2)
    items = [
        _heard("p", 10.0),
        _embedding(9.87, far),
        _embedding(10.06, near),
        _embedding(12.0, far),
        END,
        END,
    ]
    (centroid,) = _run(items)
    assert isinstance(centroid, Centroid)
    assert (centroid.count, centroid.space, centroid.pattern) == (1, SPACE, "p")
    np.testing.assert_allclose(centroid.vector, near, atol=1e-6)
    assert not centroid.vector.flags.writeable


def test_windows_out_of_reach_or_off_onsets_are_not_taken() -> None:
    kinship = Kinship("s")
    said = kinship.hear(_heard("p", 10.0))
    for item in (
        _embedding(10.0, _vector(1), onset=False),
        _embedding(10.2, _vector(1)),
        END,
        END,
    ):
        said += kinship.hear(item)
    assert said == []
    assert kinship.dropped == {"occurrence_unmatched": 1, "embedding_unmatched": 1}


def test_a_window_serves_two_sounds_that_begin_together() -> None:
    items = [_heard("p", 10.0), _heard("q", 10.03), _embedding(10.0, _vector(1)), END, END]
    assert [(c.pattern, c.count) for c in _run(items)] == [("p", 1), ("q", 1)]


def test_a_window_told_twice_counts_once() -> None:
    items = [
        _heard("p", 10.0),
        _embedding(10.0, _vector(1)),
        _embedding(20.0, _vector(1)),
        _heard("p", 10.0),
        END,
        END,
    ]
    assert [c.count for c in _run(items)] == [1]


def _centroids(items: list, config: KinshipConfig | None = None) -> dict:
    """Centroids in a store after both lanes have ended."""
    rows = _rows(_run([*items, END, END], config=config))
    return {key[0]: row for key, row in rows.items() if isinstance(key, tuple)}


def test_what_is_taken_back_leaves_no_trace_in_a_centroid() -> None:
    windows = [_embedding(5.0 * k + 1, _vector(k)) for k in range(4)]
    heard = [_heard("p", 5.0 * k + 1) for k in range(4)]
    taken = [_gone("p", 6.0, 200.0), _gone("p", 16.0, 200.0)]
    assert _centroids([*windows, *heard, *taken]) == _centroids([*windows, heard[0], heard[2]])


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_centroids_are_those_of_the_occurrences_that_stand(rng: random.Random) -> None:
    """Whoever claims a window, moves or goes, and whichever pattern is merged in between."""
    windows = [_embedding(2.0 * k + 1, _vector(k)) for k in range(6)]
    told: list = []
    for at_s in (rng.choice((1, 3, 5, 7, 9, 11)) + rng.choice((0.0, 0.02)) for _ in range(12)):
        told.append(replace(_heard(rng.choice("pqr"), at_s), emitted_s=20.0 + len(told)))
        gone = rng.choice(settled(told))
        if rng.random() < 0.5:
            told.append(_gone(gone.pattern, gone.start_s, 20.0 + len(told)))
    merged = _news("q", "merged", "p")
    at = rng.randrange(len(told) + 1)
    items = [*told[:at], merged, *told[at:]]
    kept = [item for item in items if item in settled(told) or item is merged]
    assert _centroids([*windows, *items]) == _centroids([*windows, *kept])


def test_a_correction_after_a_centroid_was_told_is_told_although_its_count_is_the_same() -> None:
    windows = [_embedding(at, _vector(round(at))) for at in (6.0, 6.3, 90.0, 190.0)]
    moved = [replace(_heard("p", 6.3), emitted_s=100.0), _gone("p", 6.0, 100.0, "p")]
    items = [*windows, _heard("p", 6.0), _heard("x", 90.0), *moved, _heard("x", 190.0)]
    told = [c for c in _run([*items, END, END]) if isinstance(c, Centroid) and c.pattern == "p"]
    assert [(c.count, c.withdrawn) for c in told] == [(1, False), (1, False)]
    np.testing.assert_allclose(told[1].vector, _vector(6), atol=1e-6)
    (one, two) = (_vector(6), _vector(round(6.3)))
    np.testing.assert_array_equal(one, two)


def test_an_onset_that_moves_within_its_window_changes_nothing() -> None:
    windows = [_embedding(6.0, _vector(1))]
    moved = [replace(_heard("p", 6.05), emitted_s=100.0), _gone("p", 6.0, 100.0, "p")]
    assert _centroids([*windows, _heard("p", 6.0), *moved]) == _centroids(
        [*windows, _heard("p", 6.0)]
    )
    assert _centroids([*windows, _heard("p", 6.0), *moved, _gone("p", 6.05, 110.0)]) == {}


def test_a_window_moves_to_another_pattern_and_a_pattern_without_any_is_withdrawn() -> None:
    windows = [_embedding(at, _vector(round(at))) for at in (6.0, 90.0, 1_300.0)]
    moved = [replace(_heard("q", 6.0), emitted_s=1_200.0), _gone("p", 6.0, 1_200.0, "q")]
    items = [*windows, _heard("p", 6.0), _heard("q", 90.0), *moved, _heard("q", 1_300.0)]
    said = _run([*items, END, END])
    told = [(c.pattern, c.count, c.withdrawn) for c in said if isinstance(c, Centroid)]
    assert told == [
        ("p", 1, False),
        ("q", 1, False),
        ("p", 0, True),
        ("q", 2, False),
        ("q", 3, False),
    ]


def test_each_side_of_a_merge_is_taken_back_under_its_own_name() -> None:
    windows = [_embedding(6.0, _vector(1)), _embedding(16.0, _vector(2))]
    both = [_heard("p", 6.0), _heard("q", 6.0), _heard("p", 16.0)]
    merged = _news("q", "merged", "p")
    alone = _centroids([*windows, both[0], both[2]])
    assert _centroids([*windows, *both, merged, _gone("q", 6.0, 30.0)]) == alone
    assert _centroids([*windows, *both, merged, _gone("p", 6.0, 30.0)]) == alone
    assert _centroids([*windows, *both, _gone("q", 6.0, 30.0, "p"), merged]) == alone


def test_after_the_time_for_it_a_centroid_keeps_what_is_taken_back_and_says_so() -> None:
    config = KinshipConfig(wait_s=30.0, revise_s=60.0)
    kinship = Kinship("s", config)
    said: list[Said] = []
    for item in (
        *(_embedding(at, _vector(1)) for at in (6.0, 8.0, 140.0)),
        *(_heard("p", 6.0), _heard("x", 100.0), _gone("p", 6.0, 100.0)),
        *(END, END),
    ):
        said += kinship.hear(item)
    assert [(c.pattern, c.count) for c in said if isinstance(c, Centroid)] == [("p", 1)]
    assert kinship.dropped["revision_late"] == 1


def test_windows_that_served_stay_for_hindsight_and_go_first_when_there_is_no_room() -> None:
    rooms = Rooms(KinshipConfig(wait_s=30.0, revise_s=1_000.0, max_waiting=3), 1)
    for second in (6, 12):
        rooms.add("one", second * 10**6, _vector(second))
    assert rooms.join((6 * 10**6, "p"))
    rooms.expire(400 * 10**6)
    assert [at for at, *_ in rooms.snapshot()["rooms"][0][2]] == [6 * 10**6]
    assert rooms.join((6 * 10**6 + 5, "q"))
    for second in (398, 399, 400):
        rooms.add("one", second * 10**6, _vector(second))
    assert [at for at, *_ in rooms.snapshot()["rooms"][0][2]] == [
        398 * 10**6,
        *(399 * 10**6, 4 * 10**8),
    ]
    assert rooms.part((6 * 10**6, "p")) == []
    assert rooms.dropped == {"embedding_unmatched": 1, "revision_unmatched": 1}


def test_centroids_that_grew_are_told_once_an_interval_and_at_the_end() -> None:
    items: list = []
    for number in range(10):
        items += [_heard("p", 5.0 * number + 1), _embedding(5.0 * number + 1, _vector(number))]
    items += [_heard("q", 100.0), _embedding(100.0, _vector(1))]
    told = [(c.pattern, c.count) for c in _run([*items, END, END]) if isinstance(c, Centroid)]
    assert told == [("p", 6), ("p", 10), ("q", 1)]


def test_a_centroid_is_the_unit_mean_of_its_vectors() -> None:
    vectors = [_vector(seed) for seed in range(3)]
    items: list = [_embedding(5.0 * k + 1, 7.0 * v) for k, v in enumerate(vectors)]
    items += [_heard("p", 5.0 * k + 1) for k in range(3)]
    centroid = _run([*items, END, END])[-1]
    assert isinstance(centroid, Centroid)
    mean = np.mean(vectors, axis=0)
    np.testing.assert_allclose(centroid.vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_a_backfilled_occurrence_is_still_joined_and_one_beyond_the_wait_is_counted() -> None:
    config = KinshipConfig(wait_s=100.0, revise_s=100.0)
    kinship = Kinship("s", config)
    said: list[Said] = []
    for item in (
        _embedding(10.0, _vector(1)),
        _embedding(90.0, _vector(2)),
        _heard("p", 90.0),
        _heard("p", 10.0, later_s=95.0),
        _heard("p", 11.0, later_s=101.0),
        END,
        END,
    ):
        said += kinship.hear(item)
    assert [item.count for item in said if isinstance(item, Centroid)] == [2]
    assert kinship.dropped == {"occurrence_late": 1}


def test_embeddings_are_forgotten_once_discovery_is_far_beyond_them() -> None:
    kinship = Kinship("s", KinshipConfig(wait_s=30.0))
    kinship.hear(_embedding(10.0, _vector(1)))
    kinship.hear(_embedding(200.0, _vector(1)))
    kinship.hear(_embedding(300.0, _vector(1)))
    kinship.hear(_heard("p", 100.0))
    assert kinship.dropped == {}
    kinship.hear(_heard("p", 220.0))
    assert kinship.dropped == {"occurrence_unmatched": 1, "embedding_unmatched": 1}
    (room,) = kinship.snapshot()["rooms"]["rooms"]
    assert [at for at, *_ in room[2]] == [200_000_000]


def test_the_rooms_are_bounded_and_count_whom_they_turn_away() -> None:
    kinship = Kinship("s", KinshipConfig(max_waiting=5))
    for number in range(9):
        kinship.hear(_embedding(100.0 + number, _vector(number)))
    for item in (_heard("p", 100.0), _heard("p", 108.0), END):
        kinship.hear(item)
    (centroid,) = kinship.hear(END)
    assert isinstance(centroid, Centroid)
    np.testing.assert_allclose(centroid.vector, _vector(8), atol=1e-6)
    assert kinship.dropped == {
        "embedding_crowded_out": 4,
        "occurrence_unmatched": 1,
        "embedding_unmatched": 4,
    }


def test_without_any_vector_nothing_is_said_and_the_wait_is_counted() -> None:
    kinship = Kinship("s")
    said = [
        r for item in (_heard("p", 10.0), _heard("p", 20.0), END, END) for r in kinship.hear(item)
    ]
    assert said == []
    assert kinship.dropped == {"occurrence_without_vectors": 2}


def test_vectors_without_direction_or_of_another_dimension_are_refused() -> None:
    kinship = Kinship("s")
    kinship.hear(_heard("p", 1.0))
    kinship.hear(_embedding(1.0, _vector(1)))
    kinship.hear(_embedding(2.0, np.zeros(DIMENSION, np.float32)))
    kinship.hear(_embedding(3.0, np.full(DIMENSION, np.nan, np.float32)))
    kinship.hear(_embedding(4.0, np.ones(3, np.float32)))
    said = [r for end in (END, END) for r in kinship.hear(end)]
    assert [item.count for item in said if isinstance(item, Centroid)] == [1]
    assert kinship.dropped == {"embedding_unusable": 3}


def test_two_models_keep_their_spaces_apart_and_end_each() -> None:
    items: list = [
        _heard("p", 10.0),
        _embedding(10.0, _vector(1), space="one"),
        _embedding(20.0, _vector(1), space="one"),
        END,
        END,
        _embedding(10.0, _vector(2), space="two"),
    ]
    kinship = Kinship("s", lanes=3)
    said = [r for item in items for r in kinship.hear(item)]
    assert said == []
    one, two = kinship.hear(END)
    assert isinstance(one, Centroid)
    assert isinstance(two, Centroid)
    assert (one.space, two.space) == ("one", "two")
    np.testing.assert_allclose(one.vector, _vector(1), atol=1e-6)
    np.testing.assert_allclose(two.vector, _vector(2), atol=1e-6)


def test_a_model_that_brings_only_verdicts_keeps_no_other_model_waiting() -> None:
    kinship = Kinship("s", lanes=3)
    said: list[Said] = []
    for item in (
        _heard("p", 10.0),
        _embedding(10.0, _vector(1), space="one"),
        _dead(10.0, space="two"),
        _embedding(40.0, _vector(1), space="one", onset=False),
        _heard("p", 40.0),
        _dead(40.0, space="two"),
    ):
        said += kinship.hear(item)
    assert [(c.pattern, c.space, c.count) for c in said if isinstance(c, Centroid)] == [
        ("p", "one", 1)
    ]
    assert kinship.forced == 0


def test_a_rung_that_served_for_a_while_is_part_of_its_ladders_lane() -> None:
    lane_of = {"first": "net", "second": "net"}
    kinship = Kinship("s", lanes=2, lane_of=lane_of)
    said: list[Said] = []
    for at_s, space in ((10.0, "first"), (50.0, "second"), (90.0, "first")):
        said += kinship.hear(_embedding(at_s, _vector(1), space=space))
        said += kinship.hear(_heard("p", at_s))
    again = Kinship.restore(kinship.snapshot())
    for each in (kinship, again):
        more = [r for end in (END, END) for r in each.hear(end)]
        found = [(c.space, c.count) for c in [*said, *more] if isinstance(c, Centroid)]
        assert found == [("first", 1), ("second", 1), ("first", 2)]
        assert each.forced == 0


def test_after_a_restart_with_other_weights_the_lane_is_known_by_the_new_space() -> None:
    before = Kinship("s", lanes=2, lane_of={"old": "net"})
    before.hear(_embedding(10.0, _vector(1), space="old"))
    after = Kinship.restore(before.snapshot(), lane_of={"new": "net"})
    said: list[Said] = []
    for item in (_heard("p", 40.0), _embedding(40.0, _vector(2), space="new"), END, END):
        said += after.hear(item)
    assert [(c.space, c.count) for c in said if isinstance(c, Centroid)] == [("new", 1)]


def test_a_merge_folds_the_centroid_and_whoever_comes_after_it() -> None:
    items: list = [
        _heard("a", 10.0),
        _heard("b", 20.0),
        _embedding(10.0, _vector(1)),
        _embedding(20.0, _vector(2)),
        _heard("a", 30.0),
        _embedding(25.0, _vector(3)),
        _news("a", "merged", into="b"),
        _embedding(30.0, _vector(3)),
        _heard("a", 40.0),
        _embedding(40.0, _vector(4)),
        END,
        END,
    ]
    said = _run(items)
    told = [(c.pattern, c.withdrawn) for c in said if isinstance(c, Centroid)]
    assert told == [("a", False), ("b", False), ("a", True), ("b", False)]
    rows = _rows(said)
    assert rows["b", SPACE][0] == 4
    assert ("a", SPACE) not in rows


def test_a_retired_pattern_is_forgotten_and_its_likeness_withdrawn() -> None:
    occurrences, embeddings = _scene()
    paired = itertools.chain.from_iterable(
        (o, *embeddings[2 * k : 2 * k + 2]) for k, o in enumerate(occurrences)
    )
    kinship = Kinship("s")
    said = [r for item in paired for r in kinship.hear(item)]
    assert any(isinstance(item, Relation) for item in said)
    kinship.hear(_news("p5", "retired"))
    kinship.hear(END)
    last = kinship.hear(END)
    (centroid,) = [item for item in last if isinstance(item, Centroid) and item.withdrawn]
    assert (centroid.pattern, centroid.space) == ("p5", SPACE)
    (gone,) = [item for item in last if isinstance(item, Relation)]
    assert gone.withdrawn
    assert gone.key == "p4|similar|p5"
    assert ("p5", SPACE) not in _rows([*said, *last])


def test_a_pattern_retired_before_it_was_told_of_leaves_nothing_to_withdraw() -> None:
    items = [_heard("p", 10.0), _news("p", "retired"), _embedding(10.0, _vector(1)), END, END]
    assert _run(items) == []


def test_a_pattern_heard_again_after_it_was_retired_starts_anew() -> None:
    items = [_heard("p", 10.0), _heard("p", 50.0), _news("p", "retired"), _heard("p", 55.0, 2.0)]
    windows = [_embedding(at, _vector(seed)) for seed, at in enumerate((10.0, 50.0, 55.0))]
    said = _run([*items, *windows, END, END])
    assert [(c.count, c.withdrawn) for c in said if isinstance(c, Centroid)] == [
        (1, False),
        (1, False),
    ]
    np.testing.assert_allclose(
        np.frombuffer(_rows(said)["p", SPACE][1], np.float32), _vector(2), atol=1e-6
    )


def test_a_restart_after_a_relation_was_told_does_not_tell_it_again() -> None:
    occurrences, embeddings = _scene()
    items: list = []
    for number, occurrence in enumerate(occurrences):
        items += [occurrence, *embeddings[2 * number : 2 * number + 2]]
    first = Kinship("s")
    told = [r for item in items for r in first.hear(item) if isinstance(r, Relation)]
    assert {relation.key for relation in told} == {"p4|similar|p5"}
    second = Kinship.restore(first.snapshot())
    ends = [[r for end in (END, END) for r in k.hear(end)] for k in (first, second)]
    assert [r for r in ends[0] if isinstance(r, Relation)] == [
        r for r in ends[1] if isinstance(r, Relation)
    ]
    assert [c.count for c in ends[0] if isinstance(c, Centroid)] == [
        c.count for c in ends[1] if isinstance(c, Centroid)
    ]


def test_chains_of_merges_end_at_the_last_survivor() -> None:
    items: list = [
        _heard("a", 10.0),
        _embedding(10.0, _vector(1)),
        _embedding(15.0, _vector(1)),
        _news("x", "merged", into="a"),
        _news("a", "merged", into="b"),
        _heard("x", 20.0),
        _embedding(20.0, _vector(2)),
        END,
        END,
    ]
    rows = _rows(_run(items))
    assert rows["b", SPACE][0] == 2
    assert ("x", SPACE) not in rows


def test_merging_a_pattern_without_vectors_says_nothing() -> None:
    items: list = [_heard("a", 10.0), _embedding(10.0, _vector(1)), _heard("a", 40.0)]
    news = [_news("z", "merged", into="a"), _news("a", "merged", into="a")]
    assert _plain(_run([*items, *news, END, END])) == _plain(_run([*items, END, END])) != []


def test_a_state_of_another_version_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"version 9.*start without the recovery state"):
        Kinship.restore(Kinship("s").snapshot() | {"version": 9})


def test_patterns_beyond_the_bound_make_room_by_age() -> None:
    config = KinshipConfig(max_patterns=3)
    items: list = []
    for number in range(5):
        items += [_heard(f"p{number}", 5.0 * number), _embedding(5.0 * number, _vector(number))]
    items += [_heard("p5", 100.0), _embedding(100.0, _vector(5))]
    kinship = Kinship("s", config)
    said = [r for item in [*items, END, END] for r in kinship.hear(item)]
    assert sorted(kinship.snapshot()["centroids"][SPACE]) == ["p3", "p4", "p5"]
    assert sorted(_rows(said)) == [("p3", SPACE), ("p4", SPACE), ("p5", SPACE)]
    assert [item.pattern for item in said if isinstance(item, Centroid) and item.withdrawn] == [
        "p2"
    ]
    assert kinship.dropped == {"centroid_crowded_out": 3}


def test_three_patterns_are_no_background() -> None:
    rows = np.stack([_vector(1), _vector(1), _vector(2)]).astype(np.float64)
    assert affinities(rows, KinshipConfig()) == []


def test_unrelated_directions_are_rarely_called_alike() -> None:
    alike = 0
    for seed in range(50):
        rows = np.random.default_rng(seed).normal(size=(12, 64))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        alike += len(affinities(rows, KinshipConfig()))
    assert alike == 0


def test_where_every_cosine_is_high_only_what_stands_out_is_alike() -> None:
    rng = np.random.default_rng(7)
    rows = 3.0 + rng.normal(size=(10, 64))
    rows[9] = rows[8] + 0.1 * rng.normal(size=64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    (pair,) = affinities(rows, KinshipConfig())
    assert (pair.first, pair.second) == (8, 9)
    assert pair.cosine > 0.99
    assert replace(pair, z=0.0) != pair
