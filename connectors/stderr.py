"""File descriptors of this process, silenced: stderr for a moment, a lost stdout for good.

An error that has to leave a callback of the dataflow engine is reported by us in one line; the
engine, on its way out, also writes a panic message of its own straight to file descriptor 2.

Invariant: silence ends with the ``with`` block, whatever happens in it.
"""

import os
from types import TracebackType


def silence(descriptor: int) -> None:
    """From now on what is written to a file descriptor goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


class Hush:
    """Silences file descriptor 2 from a call of ``hush`` to the end of the ``with`` block."""

    def __init__(self) -> None:
        self._kept = -1

    def hush(self) -> None:
        """From now on nothing reaches standard error."""
        if self._kept >= 0:
            return
        self._kept = os.dup(2)
        silence(2)

    def __enter__(self) -> "Hush":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._kept >= 0:
            os.dup2(self._kept, 2)
            os.close(self._kept)
            self._kept = -1
