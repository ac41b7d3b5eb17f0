"""The verbs that ask a store: ``patterns``, ``occurrences``, ``relations``, ``search``.

They answer while a ``listen`` is running on the same store and after it, through the same store
process. Invariant: with ``--json`` they print the objects ``listen`` prints, in their final state.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.milvus.queries import Queries
from flows.cli.options import (
    ConfigOption,
    JsonOption,
    LimitOption,
    SinceOption,
    StoreOption,
    StreamOption,
    settings_of,
)
from flows.cli.tables import table
from flows.errors import UsageError
from flows.loading import check_known
from flows.search import heard_with, mapped, read_clip, reader_of, vectors_of_words
from flows.settings import Settings

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command(epilog="Example: grym patterns --since 1h")(patterns)
    app.command(epilog="Example: grym occurrences --stream field --json")(occurrences)
    app.command(epilog="Example: grym relations --limit 20")(relations)
    app.command(epilog="Example: grym search --like clip.wav --since 1h")(search)


def patterns(
    store: StoreOption = None,
    stream: StreamOption = None,
    since: SinceOption = None,
    limit: LimitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the sounds that recur."""
    rows = _ask(Queries.patterns, store, stream, since, limit, config)
    columns = ("stream", "pattern", "name", "count", "first_s", "last_s", "status")
    _print(rows, columns, "patterns", as_json=as_json)
    for line in () if as_json else _remarks(rows):
        Console().print(line, highlight=False, soft_wrap=True)


def occurrences(
    store: StoreOption = None,
    stream: StreamOption = None,
    since: SinceOption = None,
    limit: LimitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List when each pattern was heard."""
    rows = _ask(Queries.occurrences, store, stream, since, limit, config)
    _print(rows, ("stream", "start_s", "end_s", "pattern", "score"), "occurrences", as_json=as_json)


def relations(
    store: StoreOption = None,
    stream: StreamOption = None,
    since: SinceOption = None,
    limit: LimitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List how patterns relate, with the evidence."""
    rows = _ask(Queries.relations, store, stream, since, limit, config)
    columns = ("stream", "kind", "source", "target", "lag_s", "period_s", "support", "lift")
    _print(rows, columns, "relations", as_json=as_json)


def search(
    like: Annotated[
        Path | None, typer.Option("--like", metavar="CLIP", help="A sound file to look for.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="WORDS", help="What it sounds like (a model that reads)."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Search in this model's space.")
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            metavar="NAME",
            help="Search in this model's space instead, by the map of `models project`.",
        ),
    ] = None,
    store: StoreOption = None,
    stream: StreamOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 10,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find where something like a clip was heard, best first.

    Of windows that sound like the clip, those rise whose pattern it is by its spectrum (match).
    """
    settings = settings_of(config, {"store": {"uri": store}})
    if (like is None) == (text is None):
        raise UsageError("search needs one of --like CLIP or --text WORDS, and not both")
    if into is not None and "-" not in into:
        check_known(into)
    age_s = _age_s(since)
    if text is not None:
        model = reader_of(settings, text, model)
    recognise = None
    with _queries(settings) as queries:
        if like is not None:
            name = model or heard_with(settings, queries.spaces)
            check_known(name)
            clip = read_clip(like, settings)
            space, vectors = clip.vectors(name, settings)
            recognise = clip.recognised
        else:
            space, vectors = vectors_of_words(str(text), str(model), settings)
        if into is not None:
            space, vectors = mapped(vectors, space, into, settings)
        rows = queries.search(
            vectors, space, stream=stream, since_s=age_s, limit=limit, recognise=recognise
        )
    said = [name for name in ("match", "speech") if any(row[name] is not None for row in rows)]
    shown = ("score", "stream", "start_s", "end_s", "pattern", *said)
    _print(rows, shown, f"heard like {like.name if like else text}", as_json=as_json)


def _remarks(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What was said of patterns, and where to hear them: too long for a table."""
    for row in rows:
        if row["description"]:
            yield f"[cyan]{row['pattern']}[/]  {escape(row['description'])}"
        if row["clip"]:
            yield f"[cyan]{row['pattern']}[/]  [dim]{escape(row['clip'])}[/]"


def _ask(
    question: Callable[..., list[dict[str, Any]]],
    store: str | None,
    stream: str | None,
    since: str | None,
    limit: int | None,
    config: Path | None,
) -> list[dict[str, Any]]:
    """The rows of a list verb."""
    age_s = _age_s(since)
    with _queries(settings_of(config, {"store": {"uri": store}})) as queries:
        return question(queries, stream=stream, since_s=age_s, limit=limit)


def _queries(settings: Settings) -> Queries:
    return Queries(settings.store.uri, settings.store.secret)


def _age_s(text: str | None) -> float | None:
    if text is None:
        return None
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--since {text!r}: expected a number and s, m, h or d, such as 90s or 1h")
    return float(match[1]) * _UNIT_S[match[2]]


def _print(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], title: str, *, as_json: bool
) -> None:
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    Console().print(_table(rows, columns, title))


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str], title: str) -> Table:
    shown = table(title if rows else f"nothing found: {title}", columns)
    for row in rows:
        shown.add_row(*(_cell(column, row.get(column)) for column in columns))
    return shown


def _cell(column: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f} s" if column.endswith("_s") else f"{value:.3g}"
    return str(value)
