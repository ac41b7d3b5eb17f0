"""What ends a command, as one line for a person.

    GrymError            exit status 1: it cannot go on
    └── UsageError       exit status 2: what was asked for cannot be meant

Invariant: these carry a finished sentence; whoever catches one prints it without a traceback.
"""


class GrymError(Exception):
    """A command cannot go on; its text names the thing, the value and the remedy."""

    exit_status = 1


class UsageError(GrymError):
    """Arguments or settings that cannot be meant."""

    exit_status = 2
