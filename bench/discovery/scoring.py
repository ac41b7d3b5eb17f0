"""One scene and every candidate that was asked for: the unit of work of the benchmark.

What a baseline reported is kept (``hearing.cache``) under the scene's fingerprint and a digest of
the baselines' sources; grym is heard anew each time. CPU is that of the process, because a package
may bring threads of its own, beyond the front end that all candidates share, and after a rehearsal,
so that nobody is charged for loading and compiling.

Invariant: a function of seed, preset and names, but for the CPU it took; can be pickled.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from time import process_time

from bench.discovery import baselines, given, hearing, measures
from bench.discovery.baselines import BASELINES, rehearsal
from bench.discovery.given import Given, Labelled
from bench.discovery.hearing import Cut, Story
from bench.discovery.kinds import Kinds, kinds, variants_of
from bench.discovery.measures import Measures
from bench.discovery.scenes import scene
from operators.records import ANALYSIS_RATE_HZ, FRAME_S, Floats, Occurrence
from operators.scene.truth import Truth

GRYM = "grym"
CANDIDATES = (GRYM, *BASELINES)


@dataclass(frozen=True, slots=True)
class Task:
    """A scene, and the names of the candidates that hear it."""

    seed: int
    preset: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """How good what a candidate reported is, and its CPU in ms for a second of audio."""

    measures: Measures
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is known of grym alone.

    Attributes:
        frozen: measures of what stood ``measures.FROZEN_AFTER_S`` after each event.
        recognised_from: the how-manieth occurrence was the first recognised live (median).
        onset_recall: share of the events near which an onset was detected.
        live_ms, hindsight_ms, front_ms: CPU in ms for a second of audio.
        state_mb: of the detector's snapshot in the end.
        judged: claimed probability of every reported occurrence, and whether it was right.
    """

    frozen: Measures
    recognised_from: float
    onset_recall: float
    live_ms: float
    hindsight_ms: float
    front_ms: float
    state_mb: float
    judged: tuple[tuple[float, bool], ...]
    kinds: Kinds


@dataclass(frozen=True, slots=True)
class Outcome:
    """All figures of one scene; ``grym`` is None where grym did not hear it."""

    seed: int
    preset: str
    rows: dict[str, Row]
    grym: Discovery | None


def scored(task: Task) -> Outcome:
    """Hears a scene with every candidate.

    Raises:
        BaselineError: the extra ``bench`` is not installed.
        ModelError: the weights of the default model are not on this machine.
    """
    if GRYM in task.candidates:
        _rehearse_grym()
    heard = hearing.cut(task.seed, task.preset)
    rows: dict[str, Row] = {}
    alone = None
    if GRYM in task.candidates:
        rows[GRYM], alone = discovery(heard, hearing.hear(heard))
    audio: list[Floats] = []

    def handed() -> Given:
        if not audio:
            audio.append(scene(task.seed, task.preset).samples)
        return given_of(heard, audio[0])

    for name in task.candidates:
        if name in BASELINES:
            rows[name] = _judged_row(heard, *_kept(heard, name, handed))
    return Outcome(task.seed, task.preset, rows, alone)


def given_of(heard: Cut, samples: Floats) -> Given:
    """What baselines are given of a scene."""
    segments = tuple((event.start_s, event.end_s) for event in heard.truth.events)
    return Given(samples, heard.regions, segments)


def discovery(heard: Cut, story: Story) -> tuple[Row, Discovery]:
    """The figures of what grym said of a scene."""
    confirmed = measures.confirmed_of(story.said)
    final = measures.reported(measures.standing(story.said), confirmed)
    at_once = measures.standing(story.said, measures.FROZEN_AFTER_S)
    view = measures.strict(heard.truth, heard.classes, final, story.relations)
    onsets_s = [onset * FRAME_S for region in heard.regions for onset in region.onsets]
    ms = 1000.0 / heard.duration_s
    alone = Discovery(
        frozen=measures.measure(heard.truth, heard.classes, measures.reported(at_once, confirmed)),
        recognised_from=measures.recognised_from(heard.truth, story.said, view),
        onset_recall=measures.onset_recall(heard.truth, onsets_s) if onsets_s else 0.0,
        live_ms=ms * story.live_s,
        hindsight_ms=ms * story.hindsight_s,
        front_ms=ms * heard.front_s,
        state_mb=story.state_bytes / 1e6,
        judged=tuple(measures.judged(view)),
        kinds=kinds(heard.truth, heard.similar, heard.classes, final, variants_of(story.said)),
    )
    figures = measures.measure(heard.truth, heard.classes, final, story.relations)
    return Row(figures, alone.live_ms + alone.hindsight_ms), alone


def occurrences(stream: str, found: Sequence[Labelled]) -> list[Occurrence]:
    """What a baseline reported, as grym would have told it."""
    return [
        Occurrence(
            stream=stream,
            pattern=event.label,
            start_s=event.start_s,
            end_s=event.end_s,
            start_ns=round(event.start_s * 1e9),
            score=1.0,
            emitted_s=event.end_s,
            backfilled=False,
        )
        for event in found
    ]


def _judged_row(heard: Cut, found: Sequence[Labelled], cpu_s: float) -> Row:
    told = measures.reported(occurrences(heard.stream, found))
    figures = measures.measure(heard.truth, heard.classes, told)
    return Row(figures, 1000.0 * cpu_s / heard.duration_s)


def _kept(heard: Cut, name: str, handed: Callable[[], Given]) -> tuple[list[Labelled], float]:
    """What a baseline reports of a scene and its CPU seconds; run only if it is not known yet."""
    key = f"{hearing.fingerprint()}-{sources()}-{heard.stream}-{heard.duration_s:g}-{name}"
    path = hearing.cache() / f"{key}.json"
    if path.exists():
        known = json.loads(path.read_text())
        return [Labelled(**event) for event in known["events"]], float(known["cpu_s"])
    what = handed()
    _prepare(name)
    began = process_time()
    found = BASELINES[name].run(what)
    cpu_s = process_time() - began
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps({"cpu_s": cpu_s, "events": [asdict(event) for event in found]}))
    aside.rename(path)
    return found, cpu_s


@cache
def sources() -> str:
    """Changes with the source of any baseline."""
    folder = Path(str(baselines.__file__)).parent
    digest = hashlib.blake2b(Path(str(given.__file__)).read_bytes(), digest_size=6)
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _prepare(name: str) -> None:
    """Once in a process."""
    BASELINES[name].prepare()


@cache
def _rehearse_grym() -> None:
    """Compile what is compiled at the first sound; once in a process."""
    short = rehearsal()
    duration_s = len(short.samples) / ANALYSIS_RATE_HZ
    hearing.hear(Cut(0, "rehearsal", duration_s, Truth((), ()), (), {}, short.regions, 0.0))
