"""Standard error while a frame is on the screen: its lines go above the frame.

Invariant: writing never waits for the terminal; what finds no room is left out and counted.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class Aside(io.TextIOBase):
    """A text stream that hands on whole lines; no terminal, so that nobody colours them.

    Args:
        put: takes a line; returns at once.
        instead_of: the stream in whose place it stands.
    """

    def __init__(self, put: Callable[[str], None], instead_of: TextIO) -> None:
        super().__init__()
        self._put = put
        self._instead_of = instead_of
        self._begun = ""
        self._turn = threading.Lock()

    def write(self, text: str) -> int:
        """Take text; lines that are whole go on."""
        with self._turn:
            *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._put(line)
        return len(text)

    def flush(self) -> None:
        """Nothing is kept but the beginning of a line."""

    def fileno(self) -> int:
        """Of the stream in whose place it stands."""
        return self._instead_of.fileno()

    def writable(self) -> bool:
        """It is."""
        return True


@contextmanager
def aside(put: Callable[[str], None]) -> Iterator[None]:
    """While open, what this process says on a terminal's stderr is put.

    Logs are among it, because they look for stderr when they write. Where stderr goes elsewhere
    it is left alone.
    """
    before = sys.stderr
    if not before.isatty():
        yield
        return
    sys.stderr = Aside(put, before)
    try:
        yield
    finally:
        sys.stderr = before
