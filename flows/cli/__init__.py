"""The ``grym`` command. What it takes a second to import is imported after Ctrl-C is in hand."""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

_GRACE_S = 0.2
_MODELS = "grym-"
"""What the names of threads that call models begin with."""


def main() -> None:
    """Entry point of the ``grym`` command.

    Until a run takes the signals over, and for verbs that only ask, Ctrl-C and SIGTERM end the
    process at once with status 0: nothing is under way that could be lost.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    _end(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    """Run one command line, with what is left where a package is missing or broken."""
    try:
        from flows.cli.app import run  # noqa: PLC0415 - the handlers come first
    except Exception as error:  # whatever a broken package raises
        from flows.cli import rescue  # noqa: PLC0415 - only where it is needed

        return rescue.run(arguments, error)
    return run(arguments)


def _end(status: int) -> NoReturn:
    """End the process, everything being written: at once where a model is still at work.

    Such a thread would be torn down in the midst of native code, and the process abort.
    """
    until_s = time.monotonic() + _GRACE_S
    for thread in threading.enumerate():
        if thread.name.startswith(_MODELS):
            thread.join(max(0.0, until_s - time.monotonic()))
    if any(thread.name.startswith(_MODELS) for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
