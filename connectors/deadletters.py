"""A local log of everything that could not be processed: JSON Lines, bounded, append-only.

One object a line: a ``Failure`` as ``{"event":"failure",...}``, a dead window's ``Verdict`` as
``{"event":"window",...}``, each with ``at`` (UTC) and, for failures of rows, the row's key in the
detail. When the file reaches half of the bound it becomes ``NAME.1`` and replaces the older one.

Invariant: the two files never exceed ``max_bytes`` by more than one line; every line is whole
JSON even after a crash, because a torn last line is ended before the next is written. Once open it
never raises: whoever has bad news to write has trouble enough. A letter that the disk refuses is
counted and said in the log of the program, once until one is written again.
"""

import errno
import json
import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operators.records import Failure, Verdict

_FAILURE_KEYS = ("stream", "stage", "reason", "detail", "remedy", "start_s")
_VERDICT_KEYS = ("stream", "start_ns", "space", "verdict", "reason")

_log = logging.getLogger(__name__)


class DeadLetters:
    """The log at ``path``. Thread-safe.

    Args:
        path: its folder is created where it is missing.
        max_bytes: bound of both files together.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, *, max_bytes: int = 16 << 20) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._turn = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()
        self._closed = self._said = False
        self.lost = 0
        """Letters that could not be written: the disk refused, or they came after the close."""

    @property
    def path(self) -> Path:
        """Where the newest letters are."""
        return self._path

    def append(self, letter: Failure | Verdict) -> None:
        """Write one letter; it survives the death of the process, or counts as ``lost``."""
        names = _FAILURE_KEYS if isinstance(letter, Failure) else _VERDICT_KEYS
        content: dict[str, Any] = {
            "event": "failure" if isinstance(letter, Failure) else "window",
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        content |= {name: getattr(letter, name) for name in names}
        line = json.dumps(content, separators=(",", ":"), default=str).encode() + b"\n"
        with self._turn:
            try:
                self._write(line)
                self._said = False
            except OSError as error:
                self.lost += 1
                if not self._said:
                    _log.warning("cannot write %s: %s; letters are lost", self._path, error)
                self._said = True

    def close(self) -> None:
        """Give the file back."""
        with self._turn:
            self._closed = True
            self._release()

    def _write(self, line: bytes) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "it is closed")
        if self._descriptor < 0:
            self._descriptor = self._open()
        size = os.fstat(self._descriptor).st_size
        if size and size + len(line) > self._max_bytes // 2:
            self._release()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._descriptor = self._open()
            size = 0
        try:
            if os.write(self._descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        size = os.fstat(descriptor).st_size
        try:
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                os.write(descriptor, b"\n")
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
