"""``grym publish``: sources onto a topic, with how far it is."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from connectors.terminal import JsonLines, PipedConsole, ReadableLines
from flows.cli.following import Following
from flows.cli.options import (
    SOURCES_HELP,
    ChannelsOption,
    ConfigOption,
    FormatOption,
    JsonOption,
    RateOption,
    settings_of,
    start_ns_of,
)
from flows.errors import GrymError, UsageError
from flows.publish import PublishCodec, PublishOutcome, PublishRequest, publish
from flows.pump import Publishing

Speed = Literal["max", "realtime"]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("publish", epilog="Example: grym publish mic:default --to kafka://hub:9092/audio")(
        publish_sources
    )


def publish_sources(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=SOURCES_HELP)],
    to: Annotated[
        str, typer.Option("--to", metavar="URI", help="kafka://host:port[,host:port]/topic")
    ],
    speed: Annotated[
        str, typer.Option("--speed", metavar="max|realtime", help="How fast to read files.")
    ] = "max",
    codec: Annotated[
        str, typer.Option("--codec", metavar="pcm_s16le|flac", help="16 bits; flac is smaller.")
    ] = "pcm_s16le",
    partitions: Annotated[
        int, typer.Option("--partitions", min=1, metavar="N", help="Of a topic that is created.")
    ] = 1,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="When files begin (ISO 8601); 1970 if unset."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Only what went wrong, and the summary.")
    ] = False,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    form: FormatOption = None,
) -> None:
    """Publish microphones, files and pipes to a Kafka topic, for a listener elsewhere."""
    request = PublishRequest(
        sources,
        to,
        codec=cast("PublishCodec", _one_of("--codec", codec, get_args(PublishCodec))),
        speed=cast("Speed", _one_of("--speed", speed, get_args(Speed))),
        partitions=partitions,
        start_ns=start_ns_of(start),
    )
    settings = settings_of(
        config, {"stdin": {"rate_hz": rate, "channels": channels, "format": form}}
    )
    stop = threading.Event()
    console = PipedConsole(stderr=as_json, gone=stop.set)
    view: JsonLines | ReadableLines = ReadableLines(console, windows=False, quiet=quiet)
    if as_json:
        view = JsonLines(sys.stdout, windows=False, quiet=quiet, gone=stop.set)
    with _progress(console, drawn=console.is_terminal and not quiet) as follow:
        outcome = publish(settings, request, view, stop, follow)
    _close(console, view, outcome)
    raise typer.Exit(outcome.exit_status)


def _one_of(flag: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"{flag} {value!r}: expected {' or '.join(known)}")
    return value


@dataclass(slots=True)
class _Shown:
    """The line of progress."""

    bar: Progress
    task: TaskID
    publishing: Publishing | None = None

    def follow(self, publishing: Publishing) -> None:
        """From here on, show how far it is."""
        self.publishing = publishing

    def refresh(self) -> None:
        """Take over the present figures."""
        if self.publishing is not None:
            self.bar.update(self.task, description=line(self.publishing))


def line(publishing: Publishing) -> str:
    """How far it is, in words."""
    streams = len(publishing.sent)
    rate = publishing.messages / max(publishing.elapsed_s, 0.1)
    return (
        f"publishing {streams} stream{'' if streams == 1 else 's'}: {publishing.audio_s:.0f} s"
        f" sent, {rate:.0f} messages/s, {publishing.unacknowledged} unacknowledged"
    )


@contextmanager
def _progress(console: Console, *, drawn: bool) -> Iterator[Any]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Following(*columns, console=console, transient=True, disable=not drawn) as bar:
        shown = _Shown(bar, bar.add_task("connecting", total=None))
        bar.shown = shown
        yield shown.follow


def _close(console: Console, view: JsonLines | ReadableLines, outcome: PublishOutcome) -> None:
    for note in outcome.notes:
        Console(stderr=True).print(note, highlight=False, soft_wrap=True, markup=False)
    figures = outcome.summary
    if isinstance(view, JsonLines):
        view.event(figures)
        if view.lost is not None:
            raise GrymError(f"stdout takes nothing more: {view.lost.strerror}; make room there")
        return
    console.print(
        f"published {figures['audio_s']:.1f} s of audio of {figures['streams']} streams in"
        f" {figures['elapsed_s']:.1f} s: {figures['messages']} messages,"
        f" {figures['unacknowledged']} not acknowledged",
        highlight=False,
        soft_wrap=True,
    )
    if figures["sources_failed"]:
        console.print(f"[red]{figures['sources_failed']} sources failed[/]", highlight=False)
