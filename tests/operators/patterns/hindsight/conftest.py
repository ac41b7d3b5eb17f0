"""Random scenes of constructed sounds, and a detector that looks back often."""

from collections.abc import Callable

import numpy as np
import pytest

from operators.patterns import Detector, DetectorConfig
from operators.records import HOP_SAMPLES, Region, StreamEnd
from tests.operators.patterns.conftest import World

Scene = Callable[[int, int], list[Region]]
Heard = Callable[[Detector, list[Region]], list[list[object]]]


@pytest.fixture(scope="session")
def scene(world: World) -> Scene:
    """Regions of four sounds in random order, every third one overlapped by another sound."""

    def made(seed: int, events: int) -> list[Region]:
        rng = np.random.default_rng(seed)
        sounds = [world.sound(100 * seed + k, int(rng.integers(14, 50))) for k in range(4)]
        at, regions = 400, []
        for number in range(events):
            kind = int(rng.integers(4))
            placed = [(3, sounds[kind], rng.uniform(22, 32))]
            if number % 3 == 2:
                other = sounds[(kind + 1 + int(rng.integers(3))) % 4]
                placed.append((int(rng.integers(10, 20)), other, rng.uniform(22, 32)))
            frames = max(row + len(levels) for row, levels, _ in placed) + 8
            regions.append(world.region(at, placed, frames, seed=seed))
            at += frames + int(rng.integers(20, 200))
        return regions

    return made


@pytest.fixture(scope="session")
def often() -> Callable[[float], Detector]:
    """A detector that looks back every 20 s of stream time, as far as it is told."""

    def made(horizon_s: float) -> Detector:
        return Detector("s", DetectorConfig(hindsight_s=20.0, horizon_s=horizon_s))

    return made


@pytest.fixture(scope="session")
def heard() -> Heard:
    """What a detector tells of each region, and of the end."""

    def run(detector: Detector, regions: list[Region]) -> list[list[object]]:
        last = regions[-1]
        end = (last.start_frame + len(last.patch_db)) * HOP_SAMPLES
        told: list[list[object]] = [list(detector.hear(region)) for region in regions]
        return [*told, list(detector.finish(StreamEnd(detector.stream, end, last.origin_ns)))]

    return run
