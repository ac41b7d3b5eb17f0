"""Options that several verbs share, declared once, and the settings they make."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

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


def settings_of(config: Path | None, flags: Mapping[str, Any] | None = None) -> Settings:
    """The effective settings of a verb; logs go to stderr from here on, as they say.

    Raises:
        UsageError: one line naming the key, the value and the expected form.
    """
    settings = load(config, flags)
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=settings.log.upper(), format=form, force=True)
    return settings
