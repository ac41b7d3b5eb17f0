"""The same audio gives the same occurrences and the same corrections, whatever happens around it.

Invariant under test: neither the cut of the frames, nor other streams, nor any number of restarts
from a snapshot changes what is told, or the order in which it is told.
"""

import pickle

import numpy as np
import pytest

from operators.patterns import Detector
from operators.records import ANALYSIS_RATE_HZ, Floats, Frame, Region, StreamEnd
from operators.revision import Revision, settled
from operators.scene import scene
from operators.segment import Segmenter

LENGTH_S = 300.0
KILLS = 10


def regions_of(samples: Floats, frame_s: float, stream: str = "s") -> list[Region | StreamEnd]:
    segmenter, length = Segmenter(stream), round(frame_s * ANALYSIS_RATE_HZ)
    items = []
    for start in range(0, len(samples), length):
        last = start + length >= len(samples)
        items += segmenter.hear(Frame(stream, start, samples[start : start + length], 0, last))
    return [item for item in items if isinstance(item, Region | StreamEnd)]


def hear(detector: Detector, item: Region | StreamEnd) -> list[object]:
    return list(detector.hear(item) if isinstance(item, Region) else detector.finish(item))


def lines(found: list[object]) -> list[str]:
    return [repr(item) for item in found]


@pytest.fixture(scope="module")
def samples() -> Floats:
    return scene(3, LENGTH_S).samples


@pytest.fixture(scope="module")
def regions(samples: Floats) -> list[Region | StreamEnd]:
    return regions_of(samples, 1.0)


@pytest.fixture(scope="module")
def told(regions: list[Region | StreamEnd]) -> list[object]:
    """What is told of the regions, undisturbed; beside it another stream is heard."""
    detector, other = Detector("s"), Detector("other")
    found = []
    for number, item in enumerate(regions):
        found += hear(detector, item)
        if number % 3 == 0 and isinstance(item, Region):
            other.hear(item)
    return found


def test_the_past_was_looked_at_twice_and_at_the_end(told: list[object]) -> None:
    """Looks back are due every 120 s, at the first region that begins after that."""
    revisions = [item for item in told if isinstance(item, Revision)]
    assert revisions
    assert settled(told)
    looks = {int(item.emitted_s // 120.0) for item in revisions}
    assert looks <= {1, 2}


def test_the_cut_of_the_frames_does_not_matter(samples: Floats, regions) -> None:
    """Down to the bits of the regions: what follows sees nothing else."""
    for one, two in zip(regions_of(samples, 0.02), regions, strict=True):
        assert type(one) is type(two)
        if isinstance(one, Region):
            assert (one.start_frame, one.onsets, one.cut) == (two.start_frame, two.onsets, two.cut)
            assert np.array_equal(one.patch_db, two.patch_db)
            assert np.array_equal(one.floor_db, two.floor_db)
            assert np.array_equal(one.deviation_db, two.deviation_db)


def test_neither_restarts_nor_company_matter(regions, told: list[object]) -> None:
    """Ten times it is killed: what was heard since its last snapshot is heard, and told, again."""
    rng = np.random.default_rng(11)
    kills = set(rng.choice(len(regions) - 1, KILLS, replace=False).tolist())
    detector = Detector("s")
    kept, at, heard = pickle.dumps(detector.snapshot()), 0, []
    position, killed = 0, 0
    while position < len(regions):
        found = hear(detector, regions[position])
        heard[position:] = [lines(found)]
        position += 1
        if position - 1 in kills:
            kills.remove(position - 1)
            killed += 1
            detector, position = Detector.restore(pickle.loads(kept)), at  # noqa: S301
        elif rng.uniform() < 0.15:
            kept, at = pickle.dumps(detector.snapshot()), position
    assert killed == KILLS
    assert [line for part in heard for line in part] == lines(told)
