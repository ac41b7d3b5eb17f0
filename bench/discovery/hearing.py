"""A scene heard by grym: the regions its segmenter cuts, and all that its detector says of them.

What was said stays in order, corrections included, so that it can be asked what was known when.
Invariant: nothing here sees the truth; CPU seconds are those of this thread alone.
"""

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from time import thread_time
from typing import TypeAlias

import platformdirs

from bench.discovery.library import real
from bench.discovery.scenes import DURATION_S, VERSION, BenchScene, scene
from operators import activity, onsets, spectrum
from operators.patterns import Detector, DetectorConfig
from operators.patterns.detector import Found
from operators.patterns.memory import Moment
from operators.records import (
    ANALYSIS_RATE_HZ,
    Frame,
    Novel,
    Occurrence,
    Pattern,
    Region,
    Relation,
    StreamEnd,
)
from operators.relations import RelationTracker
from operators.revision import Revision
from operators.scene.truth import Truth
from operators.segment import Segmenter, segmenter

Said: TypeAlias = Occurrence | Pattern | Revision | Novel
_FRAME = ANALYSIS_RATE_HZ


@dataclass(frozen=True, slots=True)
class Cut:
    """A scene without its audio: what is told of it and what the segmenter made of it.

    Attributes:
        front_s: CPU seconds of the segmenter.
    """

    seed: int
    preset: str
    duration_s: float
    truth: Truth
    similar: tuple[tuple[str, str], ...]
    classes: dict[str, str]
    regions: tuple[Region, ...]
    front_s: float

    @property
    def stream(self) -> str:
        """Id of the stream."""
        return f"{self.preset}-{self.seed}"


@dataclass(frozen=True, slots=True)
class Story:
    """All that was said of a scene, in order.

    Attributes:
        relations: every state, in order.
        live_s, hindsight_s: CPU seconds of the detector.
        state_bytes: of its snapshot, pickled, at the end.
    """

    said: tuple[Said, ...]
    relations: tuple[Relation, ...]
    live_s: float
    hindsight_s: float
    state_bytes: int


class Timed(Detector):
    """A detector that knows what its looks back cost (CPU seconds)."""

    hindsight_s = 0.0

    def consolidate(self, moment: Moment) -> list[Found]:
        """As the detector does."""
        began = thread_time()
        found = super().consolidate(moment)
        self.hindsight_s += thread_time() - began
        return found


def cache() -> Path:
    """Where cut scenes and the results of baselines are kept."""
    return platformdirs.user_cache_path("grym") / "discovery"


def cut(seed: int, preset: str, duration_s: float = DURATION_S) -> Cut:
    """A scene as the segmenter cuts it; kept, because making one takes longer than hearing it."""
    path = cache() / f"{fingerprint()}-{preset}-{seed}-{duration_s:g}.pickle"
    if path.exists():
        # Nobody else writes there.
        kept: Cut = pickle.loads(path.read_bytes())  # noqa: S301
        return kept
    made = cut_of(scene(seed, preset, duration_s))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_bytes(pickle.dumps(made))
    aside.rename(path)
    return made


def cut_of(made: BenchScene) -> Cut:
    """Cuts a scene, in frames of a second."""
    stream = f"{made.preset}-{made.seed}"
    cutter = Segmenter(stream)
    regions: list[Region] = []
    began = thread_time()
    for index in range(0, len(made.samples), _FRAME):
        samples = made.samples[index : index + _FRAME]
        last = index + _FRAME >= len(made.samples)
        heard = cutter.hear(Frame(stream, index, samples, 0, last))
        regions += [item for item in heard if isinstance(item, Region)]
    return Cut(
        made.seed,
        made.preset,
        len(made.samples) / ANALYSIS_RATE_HZ,
        made.truth,
        made.similar,
        made.classes,
        tuple(regions),
        thread_time() - began,
    )


def hear(scene: Cut, config: DetectorConfig | None = None) -> Story:
    """Runs discovery and relations over a scene."""
    detector, tracker = Timed(scene.stream, config), RelationTracker(scene.stream)
    said: list[Said] = []
    relations: list[Relation] = []
    end = StreamEnd(scene.stream, round(scene.duration_s * ANALYSIS_RATE_HZ), 0)
    began = thread_time()
    for region in scene.regions:
        said += detector.hear(region)
    said += detector.finish(end)
    spent = thread_time() - began
    for item in said:
        if isinstance(item, Occurrence | Pattern | Revision):
            relations += tracker.observe(item)
    relations += tracker.finish(end)
    return Story(
        tuple(said),
        tuple(relations),
        spent - detector.hindsight_s,
        detector.hindsight_s,
        len(pickle.dumps(detector.snapshot())),
    )


def fingerprint() -> str:
    """Changes with the generator, the library and the front end: part of every cached name."""
    digest = hashlib.blake2b(f"{VERSION} {len(real())}".encode(), digest_size=6)
    for module in (activity, onsets, segmenter, spectrum):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
