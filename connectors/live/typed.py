"""Enter, pressed on the terminal while a frame is on it: the terminal moves the frame up.

Invariant: asking never waits, and a process in the background, which the terminal would stop for
it, does not ask.
"""

import os
import select
import sys
from contextlib import suppress

_MOST_BYTES = 4_096


def newlines() -> int:
    """How many lines were typed since the last time; they are taken, so that no shell runs them."""
    with suppress(OSError, ValueError, AttributeError):  # no stdin, or none that is a terminal
        stdin = sys.stdin.fileno()
        ours = os.isatty(stdin) and os.tcgetpgrp(stdin) == os.getpgrp()
        if ours and select.select([stdin], [], [], 0.0)[0]:
            return os.read(stdin, _MOST_BYTES).count(b"\n")
    return 0
