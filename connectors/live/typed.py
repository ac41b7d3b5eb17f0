"""The terminal as its user has it: whether it is ours now, and Enter that was pressed on it.

Invariant: asking never waits, and a process in the background, which the terminal would stop for
reading, does not read.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_MOST_BYTES = 4_096


def foreground() -> bool:
    """Whether the terminal is ours, and not a shell's again, as after Ctrl-Z and ``bg``."""
    try:
        return os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # a terminal that nobody controls
        return True


def newlines() -> int:
    """How many lines were typed since the last time; they are taken, so that no shell runs them."""
    with suppress(OSError, ValueError, AttributeError):  # no stdin, or none that is a terminal
        stdin = sys.stdin.fileno()
        ours = os.isatty(stdin) and os.tcgetpgrp(stdin) == os.getpgrp()
        if ours and select.select([stdin], [], [], 0.0)[0]:
            return os.read(stdin, _MOST_BYTES).count(b"\n")
    return 0


@contextmanager
def noticing(number: int, noticed: threading.Event) -> Iterator[None]:
    """Set an event at a signal, for a while; nothing where signals are not ours to take."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, lambda *_: noticed.set())
    try:
        yield
    finally:
        signal.signal(number, before)
