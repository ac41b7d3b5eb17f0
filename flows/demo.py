"""``grym demo``: a scene with a known truth, heard through the same flow as anything else.

The scene is written as a file and listened to as stream ``demo-<seed>``; whoever keeps the file
with ``--out`` and listens to it under that name gets the same occurrences. Invariant: nothing in
the flow knows the scene; only the score, afterwards, does.
"""

import tempfile
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from connectors.events import Event
from connectors.logs import View
from connectors.sources import Sources
from flows.errors import GrymError
from flows.run import Outcome, Request, run
from flows.settings import Settings
from operators.records import ANALYSIS_RATE_HZ, Occurrence, Pattern, Relation
from operators.revision import Revision, settled
from operators.scene import Truth, scene
from operators.scene.score import Score, score


@dataclass(slots=True)
class _Collected:
    """Passes records on to a view and keeps those the score needs (a scene is short)."""

    view: View
    occurrences: list[Occurrence | Revision] = field(default_factory=list)
    patterns: list[Pattern] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def __call__(self, item: object) -> None:
        match item:
            case Occurrence() | Revision():
                self.occurrences.append(item)
            case Pattern():
                self.patterns.append(item)
            case Relation():
                self.relations.append(item)
        self.view(item)

    def event(self, event: Event) -> None:
        self.view.event(event)


@dataclass(frozen=True, slots=True)
class Heard:
    """A scene and what was found in it.

    Attributes:
        occurrences: those that stand in the end.
        patterns, relations: states in order, the last of each key holds.
    """

    truth: Truth
    occurrences: list[Occurrence]
    patterns: list[Pattern]
    relations: list[Relation]
    score: Score
    outcome: Outcome


def demo(
    settings: Settings,
    seed: int,
    out: Path | None,
    view: View,
    say: Callable[[str], None],
    stop: threading.Event,
    progress: Callable[[Sources], None],
) -> Heard:
    """Synthesise a scene, listen to it, hold what was found against what was planted.

    Raises:
        GrymError: the scene cannot be written.
    """
    say("synthesising a scene")
    made = scene(seed)
    collected = _Collected(view)
    keep = nullcontext(str(out)) if out else tempfile.TemporaryDirectory(prefix="grym-demo-")
    with keep as folder:
        path = Path(folder) / "scene.wav"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, made.samples, ANALYSIS_RATE_HZ, subtype="PCM_16")
            lines = "".join(f"{line}\n" for line in made.truth.lines())
            path.with_name("truth.jsonl").write_text(lines, encoding="utf-8")
        except (OSError, soundfile.LibsndfileError) as error:
            raise GrymError(
                f"the scene cannot be written to {path.parent}: {error}; name another folder"
            ) from None
        request = Request(sources=[f"demo-{seed}={path}"], progress=progress)
        outcome = run(settings, request, collected, say, stop)
    occurrences = settled(collected.occurrences)
    found = score(made.truth, occurrences, collected.patterns, collected.relations)
    return Heard(
        made.truth,
        occurrences,
        collected.patterns,
        collected.relations,
        found,
        outcome,
    )
