"""A durable, bounded, checksummed log between the flow and the store.

Entries are opaque bytes. What was appended survives the death of the process at once, and a power
cut after ``sync``.

Invariant: after a crash ``read`` from ``acknowledged`` on gives every synced entry above the last
acknowledged position, in order, and possibly some acknowledged or unsynced ones; a torn tail is
cut and a damaged stretch is stepped over, each reported once as a ``Failure``. It does not know
what entries mean or where they go.
"""

import logging
import os
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from connectors.framing import frame
from connectors.locks import FileLock
from connectors.segments import Entry, Segments
from operators.records import Failure

_ACKNOWLEDGED = "acknowledged"
_REMEDY = "nothing to do: the log goes on behind it; check the disk if this repeats"

_log = logging.getLogger(__name__)


class SpoolError(Exception):
    """The spool cannot be used; the text names the folder and the remedy."""


class SpoolFullError(SpoolError):
    """The bound is reached: nothing of what was to be appended was written."""


class SpoolHeldError(SpoolError):
    """Another process uses the folder."""


class Spool:
    """The log in one folder, held by one process. Thread-safe.

    Args:
        folder: created where it is missing.
        max_bytes: bound of what may lie on disk unacknowledged; ``full`` turns true at 7/8.
        segment_bytes: a segment is closed once it is that large; acknowledged ones are deleted.
        on_failure: told of torn tails and damaged stretches.

    Raises:
        SpoolHeldError: another process uses the folder.
        SpoolError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = 1 << 30,
        segment_bytes: int = 8 << 20,
        on_failure: Callable[[Failure], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._on_failure = on_failure
        self._turn = threading.RLock()
        self._closed = False
        self._lock = FileLock(folder / "lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self._lock.acquire():
                raise SpoolHeldError(
                    f"the spool {folder} is in use by another process; stop that one"
                )
            acknowledged = self._read_acknowledged()
            # Acknowledged entries can be missing after a power cut: positions must still grow.
            self._segments = Segments(
                folder, segment_bytes=segment_bytes, floor=acknowledged, say=self._say
            )
            self._acknowledged = max(acknowledged, self._segments.begin)
            self._noted, self._unnoted_said = self._acknowledged, False
            self._segments.forget(self._acknowledged)
            self._entries = self._segments.count(self._acknowledged)
        except OSError as error:
            self._lock.release()
            raise self._unusable("open", error) from error

    @property
    def folder(self) -> Path:
        """Where its segments lie."""
        return self._folder

    @property
    def end(self) -> int:
        """Position behind the last appended entry."""
        return self._segments.end

    @property
    def acknowledged(self) -> int:
        """Everything before this position is stored elsewhere."""
        return self._acknowledged

    @property
    def entries(self) -> int:
        """Whole entries that waited when it was opened, plus those appended since."""
        return self._entries

    @property
    def full(self) -> bool:
        """Close to the bound: sources should wait, live ones shed."""
        return self._waiting_bytes() >= self._max_bytes * 7 // 8

    def append(self, payloads: Sequence[bytes]) -> int:
        """Write entries in order; all of them or none.

        Returns:
            The position behind the last one.

        Raises:
            SpoolFullError: they do not fit within ``max_bytes``.
            SpoolError: the disk refuses them.
        """
        data = b"".join(map(frame, payloads))
        with self._turn:
            self._check_open()
            if self._waiting_bytes() + len(data) > self._max_bytes:
                raise SpoolFullError(
                    f"the spool {self._folder} is full ({self._max_bytes} bytes wait for the "
                    "store); bring the store back, or give the spool more room"
                )
            if data:
                try:
                    self._segments.write(data)
                except OSError as error:
                    raise self._unusable("write", error) from error
                self._entries += len(payloads)
            return self._segments.end

    def sync(self) -> None:
        """Return when everything appended so far would survive a power cut.

        Raises:
            SpoolError: the disk refuses; what was appended since the last call may be lost.
        """
        try:
            with self._turn:
                # A copy, so that nobody has to wait for the disk with us.
                descriptor = self._segments.duplicate()
            if descriptor >= 0:
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise self._unusable("sync", error) from error

    def acknowledge(self, position: int) -> None:
        """Everything before ``position`` is stored: it will not be replayed and may be deleted.

        A disk that refuses to note it costs a longer replay after a crash and nothing else: it
        is said in the log of the program and tried again with the next one.

        Raises:
            ValueError: the position lies beyond the end of the log.
            SpoolError: it is closed, and perhaps another's by now.
        """
        with self._turn:
            self._check_open()
            if position > self.end:
                raise ValueError(f"position {position} lies beyond the end {self.end}")
            if position > self._acknowledged:
                self._acknowledged = position
                self._note()

    def read(self, position: int, *, max_bytes: int = 1 << 20) -> list[Entry]:
        """Entries from ``position`` on: about ``max_bytes`` of them, at least one if any is left.

        Stretches that are damaged are reported and stepped over.

        Raises:
            SpoolError: the disk refuses.
        """
        with self._turn:
            try:
                return self._segments.read(position, max_bytes)
            except OSError as error:
                raise self._unusable("read", error) from error

    def close(self) -> None:
        """Sync, and give the folder free. Harmless when repeated."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            if self._noted < self._acknowledged:
                self._note()
            try:
                self.sync()
            finally:
                self._segments.close()
                self._lock.release()

    def _note(self) -> None:
        content = self._acknowledged.to_bytes(8, "little")
        content += zlib.crc32(content).to_bytes(4, "little")
        try:
            # Over the old one, which needs no room; losing it costs a replay, so it is not synced.
            _overwrite(self._folder / _ACKNOWLEDGED, content)
            self._noted = self._acknowledged
            self._segments.forget(self._acknowledged)
            self._unnoted_said = False
        except OSError as error:
            if not self._unnoted_said:
                _log.warning("%s", self._unusable("note in", error))
            self._unnoted_said = True

    def _check_open(self) -> None:
        if self._closed:
            raise SpoolError(f"the spool {self._folder} is closed; open the store again")

    def _read_acknowledged(self) -> int:
        try:
            content = (self._folder / _ACKNOWLEDGED).read_bytes()
        except FileNotFoundError:
            return 0
        whole = len(content) == 12 and zlib.crc32(content[:8]).to_bytes(4, "little") == content[8:]
        return int.from_bytes(content[:8], "little") if whole else 0

    def _waiting_bytes(self) -> int:
        return self._segments.end - self._acknowledged

    def _say(self, reason: str, detail: str) -> None:
        self._on_failure(Failure("", "spool", reason, detail, _REMEDY, 0.0))

    def _unusable(self, what: str, error: OSError) -> SpoolError:
        return SpoolError(
            f"cannot {what} the spool {self._folder}: {error.strerror}; "
            "make that folder writable and free some space"
        )


def _overwrite(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)
