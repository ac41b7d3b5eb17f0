"""``grym listen`` and ``grym demo``: hear something, show what was found."""

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console

from connectors.chunks import Share
from connectors.live.view import LiveView, possible
from connectors.terminal import JsonLines, PipedConsole, ReadableLines
from flows import demo as demo_scene
from flows.cli import show
from flows.cli.options import (
    SOURCES_HELP,
    ChannelsOption,
    ConfigOption,
    FormatOption,
    JsonOption,
    RateOption,
    StoreOption,
    settings_of,
    start_ns_of,
)
from flows.errors import GrymError, UsageError
from flows.run import Outcome, Request, run
from flows.settings import Settings

_NOTES_S = 1.0
View: TypeAlias = JsonLines | ReadableLines | LiveView


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command(epilog="Example: grym demo --seed 7")(demo)
    app.command(
        epilog="Example: grym listen yard=recordings/ mic:default kafka://broker:9092/audio"
        " --recovery state/"
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
    _close(console, view, heard.outcome)
    raise typer.Exit(heard.outcome.exit_status)


def listen(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=SOURCES_HELP)],
    store: StoreOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME[,NAME...]",
            help="Embed with this model (repeatable); the next one serves while it fails.",
        ),
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
    plain: Annotated[
        bool,
        typer.Option("--plain", help="On a terminal: a line a finding, no live view below them."),
    ] = False,
    process: Annotated[
        int | None,
        typer.Option("--process", min=1, metavar="I", help="Hear only the I-th share of a topic."),
    ] = None,
    of: Annotated[
        int | None, typer.Option("--of", min=1, metavar="N", help="How many shares there are.")
    ] = None,
    events_to: Annotated[
        str | None,
        typer.Option("--events-to", metavar="URI", help="Publish events: kafka://host:port/topic."),
    ] = None,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    form: FormatOption = None,
) -> None:
    """Listen to microphones, topics, files and pipes: which sounds recur, and how they relate."""
    settings = settings_of(
        config,
        {
            "store": {"uri": store},
            "listen": {
                "models": tuple(model) if model else None,
                "speed": speed,
                "frame_ms": frame_ms,
            },
            "stdin": {"rate_hz": rate, "channels": channels, "format": form},
        },
    )
    stop = threading.Event()
    console = PipedConsole(stderr=as_json, gone=stop.set)
    view: View
    if possible(console) and not (as_json or quiet or plain):
        view = LiveView(console, windows=windows)
    else:
        view = _view(console, stop, as_json=as_json, windows=windows, quiet=quiet)
    with _display(settings, console, view, stop) as shown:
        request = Request(
            sources=sources,
            recovery=recovery,
            start_ns=start_ns_of(start),
            share=_share(process, of),
            events_to=events_to,
            windows=windows,
            progress=shown.follow,
            watch=shown.watch,
        )
        outcome = run(settings, request, view, shown.say, stop)
    _close(console, view, outcome)
    raise typer.Exit(outcome.exit_status)


def _view(
    console: Console, stop: threading.Event, *, as_json: bool, windows: bool, quiet: bool
) -> JsonLines | ReadableLines:
    if as_json:
        return JsonLines(sys.stdout, windows=windows, quiet=quiet, gone=stop.set)
    return ReadableLines(console, windows=windows, quiet=quiet)


def _display(
    settings: Settings, console: Console, view: View, stop: threading.Event
) -> AbstractContextManager[show.Shown | show.Watched]:
    if isinstance(view, LiveView):
        return show.watching(settings, view, stop.is_set)
    return show.progress(settings, console, as_json=isinstance(view, JsonLines))


def _close(console: Console, view: View, outcome: Outcome) -> None:
    told = outcome.told and (not isinstance(view, LiveView) or view.drawn)
    notes = threading.Thread(target=_say, args=[outcome.notes], daemon=True)
    notes.start()
    notes.join(None if told else _NOTES_S)
    if not told:  # a thread waits for stdout, which a tidy exit would wait for, too
        os._exit(outcome.exit_status)
    if isinstance(view, ReadableLines):
        view.close()
    if not isinstance(view, JsonLines):
        show.summary(console, outcome.summary)
        return
    view.event(outcome.summary)
    if view.lost is not None:
        raise GrymError(f"stdout takes nothing more: {view.lost.strerror}; make room there")


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        Console(stderr=True).print(note, highlight=False, soft_wrap=True)


def _share(process: int | None, of: int | None) -> Share:
    if process is None and of is None:
        return Share()
    if process is None or of is None or process > of:
        raise UsageError(
            f"--process {process or '(none)'} --of {of or '(none)'}: expected both, and I from 1 to"
            " N, as in --process 1 --of 2"
        )
    return Share(process - 1, of)
