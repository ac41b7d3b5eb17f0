"""Vectors meet their patterns whichever lane is faster, and likeness stands out of a background."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.kinship import Kinship, KinshipConfig
from operators.kinship.affinity import affinities
from operators.kinship.kinship import Said
from operators.records import (
    ANALYSIS_RATE_HZ,
    Centroid,
    Embedding,
    Occurrence,
    Pattern,
    Relation,
    StreamEnd,
)

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


def _run(items: list, lanes: int = 2, config: KinshipConfig | None = None) -> list[Said]:
    kinship = Kinship("s", config, lanes)
    return [said for item in items for said in kinship.hear(item)]


def _rows(said: list[Said]) -> dict:
    """What a store holds afterwards."""
    rows: dict = {}
    for item in said:
        if isinstance(item, Centroid):
            rows[item.pattern, item.space] = (item.count, item.vector.tobytes())
        elif item.withdrawn:
            del rows[item.key]
        else:
            rows[item.key] = item
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


@given(st.randoms(use_true_random=False))
def test_which_lane_is_faster_does_not_matter(rng: random.Random) -> None:
    occurrences, embeddings = _scene()
    lanes = [[*occurrences, END], [*embeddings, END]]
    order = [0] * len(lanes[0]) + [1] * len(lanes[1])
    rng.shuffle(order)
    mixed = [lanes[lane].pop(0) for lane in order]
    assert _rows(_run(mixed)) == _rows(_run([*occurrences, *embeddings, END, END]))


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


def test_centroids_are_told_at_fibonacci_counts_and_at_the_end() -> None:
    items: list = []
    for number in range(10):
        items += [_heard("p", 5.0 * number + 1), _embedding(5.0 * number + 1, _vector(number))]
    counts = [item.count for item in _run([*items, END, END]) if isinstance(item, Centroid)]
    assert counts == [1, 2, 3, 5, 8, 10]


def test_a_centroid_is_the_unit_mean_of_its_vectors() -> None:
    vectors = [_vector(seed) for seed in range(3)]
    items: list = [_embedding(5.0 * k + 1, 7.0 * v) for k, v in enumerate(vectors)]
    items += [_heard("p", 5.0 * k + 1) for k in range(3)]
    centroid = _run([*items, END, END])[-1]
    assert isinstance(centroid, Centroid)
    mean = np.mean(vectors, axis=0)
    np.testing.assert_allclose(centroid.vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_a_backfilled_occurrence_is_still_joined_and_one_beyond_the_wait_is_counted() -> None:
    config = KinshipConfig(wait_s=100.0)
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
    assert [item.count for item in said if isinstance(item, Centroid)] == [1, 2]
    assert kinship.dropped == {"occurrence_late": 1}


def test_embeddings_are_forgotten_once_discovery_is_far_beyond_them() -> None:
    kinship = Kinship("s", KinshipConfig(wait_s=30.0))
    kinship.hear(_embedding(10.0, _vector(1)))
    kinship.hear(_embedding(200.0, _vector(1)))
    kinship.hear(_heard("p", 100.0))
    assert kinship.dropped == {"occurrence_unmatched": 1, "embedding_unmatched": 1}
    assert [at for at, *_ in kinship.snapshot()["waiting"]["rooms"][0][2]] == [200_000_000]


def test_both_rooms_are_bounded_and_count_whom_they_turn_away() -> None:
    kinship = Kinship("s", KinshipConfig(max_waiting=5))
    for number in range(8):
        kinship.hear(_heard("p", 10.0 + number))
    for number in range(9):
        kinship.hear(_embedding(100.0 + number, _vector(number)))
    assert kinship.dropped["occurrence_without_vectors"] == 3
    assert kinship.dropped["embedding_crowded_out"] == 4


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
    assert [c.space for c in said] == ["one"]
    (late,) = kinship.hear(END)
    assert isinstance(late, Centroid)
    assert late.space == "two"
    np.testing.assert_allclose(late.vector, _vector(2), atol=1e-6)


def test_a_merge_folds_the_centroid_and_whoever_still_waits() -> None:
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
    rows = _rows(_run(items))
    assert rows["b", SPACE][0] == 4
    assert rows["a", SPACE][0] == 1


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
    (gone,) = [item for item in kinship.hear(END) if isinstance(item, Relation)]
    assert gone.withdrawn
    assert gone.key == "p4|similar|p5"


def test_a_restart_anywhere_changes_nothing() -> None:
    occurrences, embeddings = _scene()
    items: list = [*occurrences[:12], *embeddings[:30], _news("p0", "merged", into="p1")]
    items += [*embeddings[30:], *occurrences[12:], END, END]
    straight = _run(items)
    for cut in (0, 10, 20, 45, len(items) - 1):
        first = Kinship("s")
        parts = [r for item in items[:cut] for r in first.hear(item)]
        second = Kinship.restore(first.snapshot())
        parts += [r for item in items[cut:] for r in second.hear(item)]
        assert _rows(parts) == _rows(straight)
        assert second.dropped == {k: v for k, v in second.dropped.items() if v > 0}


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
    kinship = Kinship("s")
    for item in (_heard("a", 10.0), _embedding(10.0, _vector(1)), _embedding(11.0, _vector(1))):
        kinship.hear(item)
    assert kinship.hear(_news("z", "merged", into="a")) == []
    assert kinship.hear(_news("a", "merged", into="a")) == []


def test_a_state_of_another_version_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"version 9.*start without the recovery state"):
        Kinship.restore(Kinship("s").snapshot() | {"version": 9})


def test_patterns_beyond_the_bound_make_room_by_age() -> None:
    config = KinshipConfig(max_patterns=3)
    items: list = []
    for number in range(5):
        items += [_heard(f"p{number}", 5.0 * number), _embedding(5.0 * number, _vector(number))]
    kinship = Kinship("s", config)
    for item in [*items, END, END]:
        kinship.hear(item)
    assert sorted(kinship.snapshot()["centroids"][SPACE]) == ["p2", "p3", "p4"]


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
