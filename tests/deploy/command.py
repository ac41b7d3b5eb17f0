"""Holds a command line that stands in a file against the real one, and its variables too."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from typer.main import get_command

from connectors.chunks import Share
from connectors.sources import check_divisible, parse_all
from flows.cli.app import app
from flows.settings import Settings, load


def parsed(arguments: Sequence[str]) -> dict[str, Any]:
    """What the options of a ``grym`` command line are; raises where grym would refuse it."""
    command: Any = get_command(app)
    rest = list(arguments)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    with command.make_context(command.name, rest) as context:
        return dict(context.params)


def heard(arguments: Sequence[str]) -> list[str]:
    """Schemes of the sources that a ``listen`` line names; raises where one means nothing."""
    options = parsed(arguments)
    assert arguments[0] == "listen"
    specs = parse_all(options["sources"])
    check_divisible(specs, Share(0, options["of"] or 1))
    return [spec.scheme for spec in specs]


def settings_from(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What grym makes of its environment; raises where a variable is no setting."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load()
