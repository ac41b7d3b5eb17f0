"""Advisory locks on files: held by a process, given back by the kernel when it dies.

Invariant: whoever holds a lock holds it on the file that is at the path *now*; a lock on a file
that was deleted or replaced in the meantime is given back and taken again.
"""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

_POLL_S = 0.01


class FileLock:
    """``flock`` on one file, shared or exclusive. Not reentrant; one object a holder.

    The file may carry a few bytes that say who holds it (``write``, ``read``); what they say is
    worth something only while the lock is held.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    @property
    def held(self) -> bool:
        """This object holds its lock."""
        return self._descriptor >= 0

    @property
    def stale(self) -> bool:
        """The lock is held on a file that is no longer at the path."""
        try:
            return os.fstat(self._descriptor).st_ino != self._path.stat().st_ino
        except FileNotFoundError:
            return True

    def acquire(self, *, shared: bool = False, timeout_s: float = 0.0) -> bool:
        """Take the lock, waiting at most ``timeout_s``.

        Returns:
            Whether it is held now.

        Raises:
            OSError: the file cannot be created or opened.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._try(fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _try(self, mode: int) -> bool:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        if self.stale:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def write(self, content: bytes) -> None:
        """Say who holds it (call only while holding it)."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, content, 0)

    def read(self) -> bytes:
        """What the present or last holder said; b"" where nobody did."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
