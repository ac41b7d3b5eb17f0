"""Options that several verbs share, declared once, and the settings they make."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from connectors import logs
from flows.errors import UsageError
from flows.settings import Settings, load

StoreOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--store", metavar="URI", help="A path ending in .db, or a Milvus server."),
]
ConfigOption: TypeAlias = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML.")
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="JSON Lines on stdout, nothing else there.")
]
StreamOption: TypeAlias = Annotated[
    str | None, typer.Option("--stream", metavar="ID", help="Only this stream.")
]
SinceOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--since", metavar="AGE", help="Back from the newest data: 90s, 15m, 1h, 2d."),
]
LimitOption: TypeAlias = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many.")
]
RateOption: TypeAlias = Annotated[
    int | None, typer.Option("--rate", metavar="HZ", help="Sample rate of PCM on stdin.")
]
ChannelsOption: TypeAlias = Annotated[
    int | None, typer.Option("--channels", metavar="N", help="Channels of PCM on stdin.")
]
FormatOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--format", metavar="s16le|s24le|s32le|f32le", help="Samples of PCM on stdin."),
]
SOURCES_HELP = (
    r"\[name=]target: a file, a folder, mic:NAME, kafka://host:port/topic, watch:DIR, or - (stdin)."
)


def settings_of(config: Path | None, flags: Mapping[str, Any] | None = None) -> Settings:
    """The effective settings of a verb; logs go to stderr from here on, as they say.

    Raises:
        UsageError: one line naming the key, the value and the expected form.
    """
    settings = load(config, flags)
    logs.set_up(settings.log, settings.log_format)
    return settings


def start_ns_of(text: str | None) -> int:
    """Event time (ns) that ``--start`` says; 0 where it was not given.

    Raises:
        UsageError: it is no ISO 8601 time.
    """
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
