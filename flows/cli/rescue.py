"""What the command still does where a package is missing or broken: it says so, and examines.

Invariant: whichever package it is, ``grym doctor`` tells what mends it; without those that read
settings and print tables it tells of Python and packages alone, as plain lines.
"""

import sys
from importlib import import_module

from connectors.doctor.asked import Asked
from connectors.doctor.checks import CHECKS, make, unloadable
from connectors.doctor.examining import PATIENCE_S
from connectors.doctor.finding import Finding, words

_PLAIN = ("python", "packages")
_VERB = "doctor"


def run(arguments: list[str], error: Exception) -> int:
    """Run one command line without the verbs; returns its exit status.

    Args:
        arguments: of the command.
        error: what kept the verbs from being imported.
    """
    if arguments[:1] != [_VERB]:
        return _told(f"{words(error)}; `grym {_VERB}` says what mends it", 1)
    try:
        typer = import_module("typer")
        doctoring = import_module("flows.cli.doctoring")
    except Exception as hopeless:  # whatever a broken package raises
        return _plainly(hopeless)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_alone)
    doctoring.add_to(app)
    try:
        command = import_module("typer.main").get_command(app)
        outcome = command.main(arguments, prog_name="grym", standalone_mode=False)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except Exception as refused:
        usage = getattr(refused, "format_message", None)  # click's own errors
        status = getattr(refused, "exit_status", getattr(refused, "exit_code", 1))
        return _told(usage() if usage else words(refused), status)
    return outcome if isinstance(outcome, int) else 0


def _alone() -> None:
    """Check what a run would need."""


def _plainly(error: Exception) -> int:
    findings = [each for name in _PLAIN for each in make(name, CHECKS[name], Asked(), PATIENCE_S)]
    for finding in (*findings, unloadable("imports", error)):
        sys.stdout.write(f"{_line(finding)}\n")
    return 1


def _line(finding: Finding) -> str:
    remedy = "" if finding.remedy is None else f"; {finding.remedy}"
    return f"{finding.status} {finding.check}: {finding.detail}{remedy}"


def _told(line: str, status: int) -> int:
    sys.stderr.write(f"grym: {line}\n")
    return status
