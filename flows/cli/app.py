"""The verbs of ``grym``: each parses what was asked, calls one function, prints what it returned.

Exit status: 0 done (Ctrl-C and SIGTERM included), 1 it could not go on, 2 usage or settings,
3 finished but a source failed. Invariant: what goes wrong is one line on stderr, no traceback
(``GRYM_LOG=debug`` shows where it came from).
"""

import errno
import io
import logging
import sys

import typer
from typer.main import get_command

from connectors import logs
from connectors.milvus.errors import StoreError
from connectors.otlp import TelemetryError
from connectors.sources import SourceError
from connectors.stderr import silence
from flows.cli import asking, configuring, devices, doctoring, listening, models, publishing
from flows.errors import GrymError, UsageError
from operators.models.protocol import ModelConfigError, ModelError, UnknownModelError
from operators.projection import ProjectionError

_log = logging.getLogger("grym")

_EXPECTED: tuple[tuple[type[Exception], int], ...] = (
    (UsageError, 2),
    (SourceError, 2),
    (UnknownModelError, 2),
    (ModelConfigError, 2),
    (TelemetryError, 2),
    (GrymError, 1),
    (ModelError, 1),
    (StoreError, 1),
    (ProjectionError, 1),
)
"""Errors that carry a finished sentence, the particular before the general."""

app = typer.Typer(
    name="grym",
    help="Listen, and learn which sounds recur and how they relate: live, without labels.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
listening.add_to(app)
publishing.add_to(app)
devices.add_to(app)
doctoring.add_to(app)
asking.add_to(app)
models.add_to(app)
configuring.add_to(app)


def run(arguments: list[str]) -> int:
    """Run one command line; return its exit status."""
    try:
        return _run(arguments)
    finally:
        logs.tear_down()


def _run(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name must not end a run
    try:
        outcome = get_command(app).main(arguments, prog_name="grym", standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 0
    except OSError as error:
        return _unwritable(error)
    except Exception as error:
        return _failed(error)
    return outcome if isinstance(outcome, int) else 0


def _unwritable(error: OSError) -> int:
    """A reader that went away is no error; a full disk behind stdout is."""
    if error.errno not in (errno.EPIPE, errno.ENOSPC):
        return _failed(error)
    silence(sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return 0
    return _told("stdout takes nothing more: no space left; make room there", 1)


def _failed(error: Exception) -> int:
    for expected, status in _EXPECTED:
        if isinstance(error, expected):
            return _told(str(error), status)
    usage = getattr(error, "format_message", None)  # click's own errors
    if usage is not None:
        return _told(f"{usage()} (see `grym --help`)", getattr(error, "exit_code", 2))
    _log.debug("unexpected", exc_info=error)
    line = " ".join(str(error).split()) or "no further word"
    return _told(f"unexpected {type(error).__name__}: {line} (GRYM_LOG=debug shows where)", 1)


def _told(line: str, status: int) -> int:
    sys.stderr.write(f"grym: {line}\n")
    return status
