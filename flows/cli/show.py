"""What a person sees around a run: where things go, how far it is, and tables at the end.

Invariant: progress is drawn only on a terminal; tables show final states.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from connectors.live.view import LiveView
from connectors.sources import Sources
from flows.cli.following import Following
from flows.cli.tables import table
from flows.demo import Heard
from flows.sections import StoreSettings
from flows.settings import Settings
from operators.records import Pattern, Relation
from operators.vitals import Vitals

_NOTED_LAG_S = 2.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Shown:
    """A progress line: words while things are opened, a bar while audio is heard."""

    bar: Progress
    task: TaskID
    settings: Settings
    sources: Sources | None = None

    def say(self, line: str) -> None:
        """Say what is being done."""
        self.bar.update(self.task, description=escape(line))

    def follow(self, sources: Sources) -> None:
        """Everything is open: say where it goes, and follow how far the sources are."""
        self.sources = sources
        if self.settings.log_format == "json":  # stderr is read by machines
            _log.info("the store is %s", self.settings.shown_uri)
        else:
            where = self.bar.console if not self.bar.disable else Console(stderr=True)
            where.print(f"store  {self.settings.shown_uri}", highlight=False, soft_wrap=True)
        self.say("listening")

    def watch(self, vitals: Callable[[], Vitals]) -> None:
        """A line has no room for more than the sources' positions."""

    def refresh(self) -> None:
        """Take over the present positions."""
        if self.sources is None:
            return
        parts = self.sources.progress()
        lag_s = self.sources.lag_s
        behind = f", {lag_s:.1f} s behind" if lag_s is not None and lag_s > _NOTED_LAG_S else ""
        self.say(f"listening{behind}")
        known = [part.total_s for part in parts if part.total_s is not None]
        self.bar.update(
            self.task,
            completed=sum(part.position_s for part in parts),
            total=sum(known) if len(known) == len(parts) and parts else None,
        )


@contextmanager
def progress(settings: Settings, console: Console, *, as_json: bool = False) -> Iterator[Shown]:
    """A progress line where lines are shown, so that they do not run into one another.

    With JSON it goes to a terminal's stderr, unless stdout is that terminal too; without a
    terminal there is none, and only where the store lies is said, on stderr.
    """
    drawn = console.is_terminal and not (as_json and sys.stdout.isatty())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} s of audio"),
        TimeElapsedColumn(),
    )
    with Following(*columns, console=console, transient=True, disable=not drawn) as bar:
        shown = Shown(bar, bar.add_task("opening", total=None), settings)
        bar.shown = shown
        yield shown


@dataclass(frozen=True, slots=True)
class Watched:
    """The same for a live view, which shows more."""

    view: LiveView
    settings: Settings

    def say(self, line: str) -> None:
        """Say what is being done."""
        self.view.say(line)

    def follow(self, sources: Sources) -> None:
        """Everything is open: say where it goes."""
        del sources  # what there is to know of them is among the figures
        self.view.print(f"store  {self.settings.shown_uri}")
        self.view.say("listening")

    def watch(self, vitals: Callable[[], Vitals]) -> None:
        """From here on there are figures."""
        self.view.watch(vitals)


@contextmanager
def watching(settings: Settings, view: LiveView, hurried: Callable[[], bool]) -> Iterator[Watched]:
    """The live view of a run; closed in order, however slowly the terminal takes what is left.

    Args:
        settings: of the run.
        view: on a terminal.
        hurried: somebody asked to stop: a terminal that takes nothing is not waited for.
    """
    with view:
        yield Watched(view, settings)
        view.close(hurried)


def patterns_found(console: Console, heard: Heard) -> None:
    """The patterns of a demo, and which planted sound each one is."""
    final: dict[str, Pattern] = {item.pattern: item for item in heard.patterns}
    planted = {name: sound for sound, (name, _) in heard.score.sounds.items() if name}
    f1 = dict(heard.score.sounds.values())
    shown = table("patterns", ("pattern", "heard", "first", "last", "length", "planted as", "F1"))
    for item in sorted(final.values(), key=lambda each: each.first_s):
        if item.status in ("merged", "retired"):
            continue
        sound = planted.get(item.pattern, "")
        shown.add_row(
            item.pattern,
            str(item.count),
            f"{item.first_s:.1f} s",
            f"{item.last_s:.1f} s",
            f"{item.duration_s:.2f} s",
            sound,
            f"{f1[item.pattern]:.2f}" if sound else "",
        )
    console.print(shown)


def relations_found(console: Console, heard: Heard) -> None:
    """The relations of a demo that hold at its end, in the planted sounds' names where known."""
    final: dict[str, Relation] = {item.key: item for item in heard.relations}
    planted = {name: sound for sound, (name, _) in heard.score.sounds.items() if name}
    shown = table("relations", ("kind", "source", "target", "lag or period", "support", "lift"))
    for item in sorted(final.values(), key=lambda each: (each.kind, -each.support)):
        if item.withdrawn:
            continue
        after_s = item.lag_s if item.period_s is None else item.period_s
        shown.add_row(
            f"{item.kind} [dim]*[/]" if item.indirect else item.kind,
            planted.get(item.source, item.source),
            planted.get(item.target, item.target),
            "" if after_s is None else f"{after_s:.2f} s",
            str(item.support),
            "" if item.lift is None else f"{item.lift:.1f}",
        )
    console.print(shown)
    if any(item.indirect and not item.withdrawn for item in final.values()):
        console.print("[dim]* follows from two other relations[/]", highlight=False)


def what_next(
    console: Console, heard: Heard, settings: Settings, seed: int, out: Path | None
) -> None:
    """The score in a sentence, where things lie, what to try."""
    score = heard.score
    console.print(
        f"found {score.patterns_found} of {score.patterns_planted} planted sounds"
        f" ({score.patterns_merged} merged) and {score.relations_found} of"
        f" {score.relations_planted} planted relations ({score.relations_false} others reported)",
        highlight=False,
    )
    default = settings.store.uri == StoreSettings().uri
    where = "" if default else f" --store {settings.shown_uri}"
    console.print(
        "try next\n"
        f"  grym patterns{where} --stream demo-{seed}\n"
        f"  grym relations{where} --stream demo-{seed}\n"
        + (
            f"  grym search{where} --like {out / 'scene.wav'}\n"
            if out
            else "  grym demo --out scene/        keeps the audio and the truth\n"
        )
        + "  grym listen your-recordings/",
        highlight=False,
        soft_wrap=True,
    )


def summary(console: Console, figures: dict[str, Any]) -> None:
    """The closing figures of a run."""
    latency = figures["latency_ms"]
    p95 = "" if latency["p95"] is None else f", latency p95 {latency['p95']:.0f} ms"
    windows = ", ".join(
        f"{figures[name]} {name}"
        for name in ("stored", "silent", "gated", "shed", "dead")
        if figures[name]
    )
    console.print(
        f"heard {figures['audio_s']:.1f} s of audio in {figures['elapsed_s']:.1f} s: "
        f"{figures['patterns']} patterns, {figures['occurrences']} occurrences, "
        f"{figures['relations']} relations; {figures['windows']} windows ({windows or 'none'})"
        f"{p95}, CPU share {figures['cpu_share']:.2f}, peak {figures['rss_mb']:.0f} MB",
        highlight=False,
        soft_wrap=True,
    )
    for reason, count in figures["reasons"].items():
        stage, _, word = reason.partition(": ")
        of_source = stage not in ("shed", "dead")
        said = f"{stage} failures: {word}, {count}" if of_source else f"{count} windows {reason}"
        console.print(said, highlight=False)
    if figures["sources_failed"]:
        console.print(f"[red]{figures['sources_failed']} sources failed[/]", highlight=False)
