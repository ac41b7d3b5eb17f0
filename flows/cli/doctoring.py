"""``grym doctor``: what of this installation works, and the line that mends what does not.

Exit status: 0 where nothing is broken of what was asked for, 1 where something is. Invariant: a
package that is missing or broken is one line of the report; it keeps the report from nobody.
"""

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.doctor import checks, examining
from connectors.doctor.asked import Asked, AskedModel, AskedStore
from connectors.doctor.finding import Finding, Status
from connectors.kafka import address
from connectors.kafka.options import KafkaOptions
from connectors.otlp import plan_of, posts
from flows.cli.options import SOURCES_HELP, ConfigOption, JsonOption, StoreOption, settings_of
from flows.sections import ModelSettings
from flows.settings import Settings

_STYLES: dict[Status, str] = {"ok": "green", "note": "yellow", "broken": "bold red"}
_SHOWN: dict[Status, str] = {"ok": "OK", "note": "note", "broken": "BROKEN"}
_VOICE = "silero"


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command(epilog="Example: grym doctor mic:default kafka://broker:9092/audio")(doctor)


def doctor(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE...", help=SOURCES_HELP)
    ] = None,
    store: StoreOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME[,NAME...]", help="As for listen (repeatable)."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check what a run would need, in seconds and touching nothing; say what mends it."""
    settings = settings_of(
        config,
        {"store": {"uri": store}, "listen": {"models": tuple(model) if model else None}},
    )
    unloadable: list[Finding] = []
    try:
        asked = asked_of(settings, sources or [])
    except (ImportError, OSError) as error:  # the latter where a C library is missing
        asked = asked_of(settings, [])
        unloadable.append(checks.unloadable("sources", error))
    findings = itertools.chain(unloadable, examining.examine(asked))
    counts = _tell(findings, as_json=as_json)
    raise typer.Exit(1 if counts["broken"] else 0)


def asked_of(settings: Settings, sources: list[str]) -> Asked:
    """What the settings and the command line ask for.

    Raises:
        ImportError, OSError: a package that gives a SOURCE its meaning is missing or broken.
        SourceError: a SOURCE means nothing.
        UsageError: settings that contradict one another.
        UnknownModelError: there is no such model.
    """
    targets = list(_targets(sources))
    topics = tuple(address.parse(target) for scheme, target in targets if scheme == address.SCHEME)
    plan = plan_of(**settings.telemetry.model_dump())
    return Asked(
        models=tuple(_models(settings)),
        paths=tuple(target for scheme, target in targets if scheme in ("file", "watch")),
        microphones=tuple(target for scheme, target in targets if scheme == "mic"),
        topics=topics,
        kafka=_kafka(settings) if topics else KafkaOptions(),
        store=AskedStore(
            settings.store.uri,
            settings.shown_uri,
            token=settings.store.secret,
            spool_mb=settings.store.spool_mb,
        ),
        posts=posts(plan),
        prometheus=plan.prometheus,
    )


def _kafka(settings: Settings) -> KafkaOptions:
    # Imported here: it knows every kind of source, and brings their packages.
    options: KafkaOptions = import_module("flows.inputs").kafka_options(settings)
    return options


def _targets(sources: list[str]) -> Iterator[tuple[str, str]]:
    """Scheme and target of each SOURCE."""
    if sources:
        # Imported here: it brings the dataflow, which a report without sources does not need.
        parse_all = import_module("connectors.sources").parse_all
        yield from ((spec.scheme, spec.target) for spec in parse_all(sources))


def _models(settings: Settings) -> Iterator[AskedModel]:
    """The models a run would load, each once."""
    names = [name for ladder in settings.listen.ladders for name in ladder]
    with contextlib.suppress(ImportError):  # a package that it needs is missing: checks say so
        import_module("flows.loading").check_known(*names)
    if settings.describe.model is not None:
        names.append(settings.describe.model)
    if settings.listen.speech != "off":
        names.append(_VOICE)
    for name in names:
        told = settings.models.get(name) or ModelSettings()
        yield AskedModel(name, told.path, told.device)


def _tell(findings: Iterable[Finding], *, as_json: bool) -> Counter[Status]:
    """Print each finding as it comes, then how many of each kind there were; returns those."""
    counts: Counter[Status] = Counter()
    console = Console(highlight=False)
    for finding in findings:
        counts[finding.status] += 1
        if as_json:
            typer.echo(json.dumps(finding.as_event(), ensure_ascii=False))
        else:
            console.print(_row(finding) if console.is_terminal else _line(finding), soft_wrap=True)
    ok, notes, broken = (counts[status] for status in ("ok", "note", "broken"))
    if as_json:
        typer.echo(json.dumps({"event": "doctor", "ok": ok, "notes": notes, "broken": broken}))
    else:
        console.print(f"{ok} ok, {notes} note{'s' * (notes != 1)}, {broken} broken")
    return counts


def _line(finding: Finding) -> Text:
    """A finding for a pipe or a file: one line, not folded."""
    remedy = "" if finding.remedy is None else f" -> {finding.remedy}"
    return Text(f"{_SHOWN[finding.status]:6} {finding.check:9} {finding.detail}{remedy}")


def _row(finding: Finding) -> Table:
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=6)
    row.add_column(width=9)
    row.add_column(overflow="fold")
    said = Text(finding.detail)
    if finding.remedy is not None:
        said.append(f"\n-> {finding.remedy}", style="bold" if finding.status == "broken" else "dim")
    shown = Text(_SHOWN[finding.status], style=_STYLES[finding.status])
    row.add_row(shown, Text(finding.check), said)
    return row
