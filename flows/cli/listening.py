"""``grym listen`` and ``grym demo``: hear something, show what was found."""

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connectors.terminal import JsonLines, PipedConsole, ReadableLines
from flows import demo as demo_scene
from flows.cli import show
from flows.cli.options import ConfigOption, JsonOption, StoreOption, settings_of
from flows.errors import GrymError, UsageError
from flows.run import Request, run


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command(epilog="Example: grym demo --seed 7")(demo)
    app.command(
        epilog="Example: grym listen yard=recordings/ bats.flac --store site.db --recovery state/"
    )(listen)


def demo(
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which scene.")] = 1,
    store: StoreOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Keep scene.wav and truth.jsonl there."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Listen to a synthesised scene of five minutes and hold what was found against the truth."""
    settings = settings_of(config, {"store": {"uri": store}})
    stop = threading.Event()
    console = PipedConsole(stderr=as_json, gone=stop.set)
    view = _view(console, stop, as_json=as_json, windows=False, quiet=not as_json)
    with show.progress(settings, console, as_json=as_json) as shown:
        heard = demo_scene.demo(settings, seed, out, view, shown.say, stop, shown.follow)
    if as_json:
        view.event(heard.score.as_event())
    else:
        show.patterns_found(console, heard)
        show.relations_found(console, heard)
        show.what_next(console, heard, settings, seed, out)
    _close(console, view, heard.outcome.summary, heard.outcome.notes)
    raise typer.Exit(heard.outcome.exit_status)


def listen(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="[name=]path of a file or a folder.")
    ],
    store: StoreOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="Embed with this model (repeatable)."),
    ] = None,
    config: ConfigOption = None,
    recovery: Annotated[
        Path | None,
        typer.Option("--recovery", metavar="DIR", help="Keep state there, and go on from it."),
    ] = None,
    speed: Annotated[
        str | None, typer.Option("--speed", metavar="max|realtime", help="How fast to read files.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="When files begin (ISO 8601); 1970 if unset."),
    ] = None,
    frame_ms: Annotated[
        int | None, typer.Option("--frame-ms", metavar="N", help="Length of a frame.")
    ] = None,
    windows: Annotated[
        bool, typer.Option("--windows", help="Tell the verdict on every window too.")
    ] = False,
    as_json: JsonOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Only what went wrong, and the summary.")
    ] = False,
) -> None:
    """Listen to files and folders: which sounds recur, and how they relate."""
    settings = settings_of(
        config,
        {
            "store": {"uri": store},
            "listen": {
                "models": tuple(model) if model else None,
                "speed": speed,
                "frame_ms": frame_ms,
            },
        },
    )
    stop = threading.Event()
    console = PipedConsole(stderr=as_json, gone=stop.set)
    view = _view(console, stop, as_json=as_json, windows=windows, quiet=quiet)
    with show.progress(settings, console, as_json=as_json) as shown:
        request = Request(
            sources=sources,
            recovery=recovery,
            start_ns=_start_ns(start),
            progress=shown.follow,
        )
        outcome = run(settings, request, view, shown.say, stop)
    _close(console, view, outcome.summary, outcome.notes)
    raise typer.Exit(outcome.exit_status)


def _view(
    console: Console, stop: threading.Event, *, as_json: bool, windows: bool, quiet: bool
) -> JsonLines | ReadableLines:
    if as_json:
        return JsonLines(sys.stdout, windows=windows, quiet=quiet, gone=stop.set)
    return ReadableLines(console, windows=windows, quiet=quiet)


def _close(
    console: Console,
    view: JsonLines | ReadableLines,
    summary: dict[str, object],
    notes: tuple[str, ...],
) -> None:
    for note in notes:
        Console(stderr=True).print(note, highlight=False, soft_wrap=True)
    if isinstance(view, ReadableLines):
        show.summary(console, summary)
        return
    view.event(summary)
    if view.lost is not None:
        raise GrymError(f"stdout takes nothing more: {view.lost.strerror}; make room there")


def _start_ns(text: str | None) -> int:
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--start {text!r}: expected ISO 8601, such as 2026-05-01T04:30:00+02:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole_s = int(moment.replace(microsecond=0).timestamp())
    return whole_s * 1_000_000_000 + moment.microsecond * 1_000
