"""``grym config``: the effective settings, secrets masked."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.cli.options import settings_of
from flows.cli.tables import table


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command(epilog="Example: GRYM_STORE__URI=/data/site.db grym config --json")(config)


def config(
    file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print the effective settings: flags over GRYM_* over TOML over defaults."""
    effective = settings_of(file).masked()
    if as_json:
        typer.echo(json.dumps(effective))
        return
    shown = table("effective settings", ("setting", "value"))
    for key, value in _flat(effective):
        shown.add_row(key, "" if value is None else str(value))
    Console().print(shown)


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, value))
    return rows
