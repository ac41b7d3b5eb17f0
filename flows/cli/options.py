"""Options that several verbs share, declared once."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

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
