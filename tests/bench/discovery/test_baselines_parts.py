import importlib

import numpy as np
import pytest

from bench.discovery.baselines import BASELINES
from bench.discovery.baselines.leader import Leader, led
from bench.discovery.baselines.reporting import NOISE, joined, recurring
from bench.discovery.baselines.segments import activity_of, segments_of
from bench.discovery.baselines.vectors import embedded
from bench.discovery.baselines.windows import active_windows
from bench.discovery.given import Labelled
from operators.records import ANALYSIS_RATE_HZ, BANDS, FRAME_S, Region


def region(start: int, frames: int, onsets: tuple[int, ...], cut: bool = False) -> Region:
    floor = np.zeros(BANDS, np.float32)
    return Region("s", start, np.ones((frames, BANDS), np.float32), floor, floor, onsets, 0, cut)


def test_what_was_heard_twice_is_not_reported() -> None:
    spans = [(4.0, 5.0), (1.0, 2.0), (3.0, 3.5), (2.0, 3.0), (6.0, 7.0), (8.0, 9.0), (9.0, 9.5)]
    found = recurring(spans, [7, 7, 2, 7, 2, NOISE, NOISE])
    assert found == [
        Labelled(1.0, 2.0, "c7"),
        Labelled(2.0, 3.0, "c7"),
        Labelled(4.0, 5.0, "c7"),
    ]
    assert recurring([(float(at), at + 1.0) for at in range(4)], [NOISE] * 4) == []


def test_neighbours_of_one_number_are_one_event() -> None:
    spans = [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0), (3.0, 4.0)]
    assert joined(spans, [1, 1, 2, 2], 0.5) == (
        [(0.0, 1.5), (1.0, 2.0), (3.0, 4.0)],
        [1, 2, 2],
    )
    assert joined(spans, [1, 2, 1, 1], 0.5)[1] == [1, 2, 1, 1]


def test_a_leader_is_the_mean_of_those_it_took() -> None:
    east, north = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    both = east + north
    assert led(np.stack([east, 5 * both, north]), 0.7) == [0, 0, 1]
    assert led(np.stack([both, north, north, east]), 0.7) == [0, 0, 0, 1]
    leader = Leader(0.99)
    assert [leader.assign(vector) for vector in (east, north, 9 * east)] == [0, 1, 0]


def test_a_segment_ends_where_the_next_begins() -> None:
    regions = [
        region(100, 200, (103, 150), cut=True),
        region(300, 50, (310,)),
        region(400, 20, ()),
        region(500, 20, (500,)),
    ]
    frames = [(103, 150), (150, 310), (310, 350), (500, 520)]
    assert segments_of(regions) == [(start * FRAME_S, end * FRAME_S) for start, end in frames]
    stretches = [(100, 350), (400, 420), (500, 520)]
    assert activity_of(regions) == [(start * FRAME_S, end * FRAME_S) for start, end in stretches]


def test_a_scene_that_ends_in_a_sound_loses_none_of_it() -> None:
    assert segments_of([region(10, 200, (12,), cut=True)]) == [(12 * FRAME_S, 210 * FRAME_S)]


def test_windows_without_activity_are_left_out() -> None:
    activity = [(1.9, 2.2), (2.6, 2.7), (7.0, 9.0)]
    found = active_windows(activity, 9.0)
    assert [start_s for start_s, _ in found] == [1.5, 2.0, 6.5, 7.0, 7.5, 8.0]
    assert [heard for _, heard in found] == [
        (1.9, 2.2),
        (2.0, 2.7),
        (7.0, 7.5),
        (7.0, 8.0),
        (7.5, 8.5),
        (8.0, 9.0),
    ]
    assert active_windows(activity, 0.5) == []


def test_what_follows_a_segment_is_not_looked_at() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0.0, 0.1, 2 * ANALYSIS_RATE_HZ).astype(np.float32)
    other = samples.copy()
    other[ANALYSIS_RATE_HZ // 2 :] *= 0.1
    spans = [(0.2, 0.5), (1.8, 2.6), (0.0, 0.5)]
    one, two = (embedded(heard, spans, "logmel") for heard in (samples, other))
    assert one.shape == (3, 176)
    assert np.array_equal(one[[0, 2]], two[[0, 2]])
    assert not np.array_equal(one[1], two[1])
    assert np.allclose(np.linalg.norm(one, axis=1), 1.0, atol=1e-5)
    assert embedded(samples, [], "logmel").shape == (0, 176)


def test_they_are_known_by_name() -> None:
    assert list(BASELINES) == [
        "windows",
        "regions-leader",
        "dbstream",
        "matrix-profile",
        "agglomerative",
        "hdbscan",
        "oracle",
    ]
    assert [name for name, one in BASELINES.items() if not one.online] == [
        "agglomerative",
        "hdbscan",
        "oracle",
    ]


@pytest.mark.bench
def test_a_motif_is_named_after_the_earliest_like_it() -> None:
    module = importlib.import_module("bench.discovery.baselines.matrix_profile")
    motifs = module.motifs
    distances, earlier = np.full(100, 9.0), np.full(100, -1)
    for start, source, away in ((30, 10, 0.5), (31, 11, 0.7), (50, 29, 0.6), (70, 69, 0.0)):
        distances[start], earlier[start] = away, source
    begins = np.zeros(110, np.bool_)
    begins[[10, 30, 31, 50, 70, 90]] = True
    assert motifs(distances, earlier, begins, 1.0) == ([10, 30, 50], [0, 0, 0])
    assert motifs(distances, earlier, begins, 0.55) == ([10, 30], [0, 0])
    assert motifs(distances, earlier, np.zeros_like(begins), 1.0) == ([], [])
