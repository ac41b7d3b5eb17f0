"""A command in a terminal: a pseudo-terminal, and pyte as the screen behind it."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import pyte

PATIENCE_S = 120.0
_TAKE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "


class PseudoTerminal:
    """Runs Python code as the foreground process of a terminal of its own.

    Attributes:
        screen: what is seen.
        raw: everything that was written.
    """

    def __init__(
        self, code: str, *arguments: object, columns: int, rows: int, env: Mapping[str, str]
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=5_000)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = os.openpty()
        self._measure(columns, rows)
        modes = termios.tcgetattr(slave)
        modes[3] |= termios.NOFLSH  # else Ctrl-C drops what this reader has not got round to
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        kept = {name: value for name, value in os.environ.items() if name not in _SIZES}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL + code, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **env},
        )
        os.close(slave)

    def until(self, seen: Callable[[], bool]) -> None:
        """Take what is written until the screen shows it."""
        ends_s = time.monotonic() + PATIENCE_S
        while not seen():
            assert time.monotonic() < ends_s, "\n".join(self.screen.display)
            assert self._read(1.0), "\n".join(self.screen.display)

    def press(self, keys: bytes) -> None:
        """Type something."""
        os.write(self._master, keys)

    def resize(self, columns: int, rows: int) -> None:
        """As a person draws the window larger or smaller."""
        self.screen.resize(rows, columns)
        self._measure(columns, rows)

    def end(self) -> int:
        """Take what is written until the process has ended; its status."""
        ends_s = time.monotonic() + PATIENCE_S
        while self._read(1.0):
            assert time.monotonic() < ends_s, "\n".join(self.screen.display)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Whatever is still under way ends."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        os.close(self._master)

    def _measure(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, wait_s: float) -> bool:
        """False once nothing will follow."""
        data = b""
        if select.select([self._master], [], [], wait_s)[0]:
            with suppress(OSError):  # the other end was closed
                data = os.read(self._master, 65_536)
            if not data:
                return False
        self.raw += data
        self._stream.feed(data)
        return True


_SIZES = frozenset({"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"})
