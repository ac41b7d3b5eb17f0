"""The ``grym`` command. What it takes a second to import is imported after Ctrl-C is in hand."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Entry point of the ``grym`` command.

    Until a run takes the signals over, and for verbs that only ask, Ctrl-C and SIGTERM end the
    process at once with status 0: nothing is under way that could be lost.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from flows.cli.app import run  # noqa: PLC0415 - the handlers come first

    sys.exit(run(sys.argv[1:]))


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
