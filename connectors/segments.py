"""The files of the spool: frames in segments, each named after the position of its first byte.

A position counts the bytes of all frames ever written, so it only grows and means the same after
a restart. Not thread-safe: the spool takes turns.

Invariant: what ``write`` returned from is in the file, whole; a torn tail is cut when opened, a
damaged stretch is stepped over when read, each told once through ``say`` with a reason.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connectors.framing import scan

_SUFFIX = ".segment"


@dataclass(frozen=True, slots=True)
class Entry:
    """One appended payload; ``position`` is where the log goes on behind it."""

    position: int
    payload: bytes


class Segments:
    """Segment files in a folder that exists.

    Args:
        folder: holds nothing else ending in ``.segment``.
        segment_bytes: a segment is closed once it is that large.
        floor: positions begin there at least, whatever a power cut took.
        say: told a reason ("torn_tail", "damaged") and the place.

    Raises:
        OSError: from here and from every method that touches the disk.
    """

    def __init__(
        self, folder: Path, *, segment_bytes: int, floor: int, say: Callable[[str, str], None]
    ) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._say = say
        self._descriptor = -1
        paths = sorted(folder.glob(f"*{_SUFFIX}"))
        self._sizes = {int(path.stem): path.stat().st_size for path in paths if path.stem.isdigit()}
        self.end = max(floor, self._mend_tail())

    @property
    def begin(self) -> int:
        """Position of the first byte that is still there."""
        return min(self._sizes, default=0)

    def write(self, data: bytes) -> None:
        """Append whole frames: all of them, or none if it raises."""
        if self._descriptor < 0 or self.end - max(self._sizes) >= self._segment_bytes:
            self._new_segment()
        base = max(self._sizes)
        try:
            written = 0
            while written < len(data):
                at = self.end - base + written
                written += os.pwrite(self._descriptor, data[written:], at)
        except OSError:
            os.ftruncate(self._descriptor, self.end - base)
            raise
        self._sizes[base] += len(data)
        self.end += len(data)

    def read(self, position: int, max_bytes: int) -> list[Entry]:
        """Entries from ``position`` on: about ``max_bytes``, at least one if any is left."""
        entries: list[Entry] = []
        while not entries and position < self.end:
            base = max((base for base in self._sizes if base <= position), default=-1)
            if base < 0 or position >= self._end_of(base):
                later = (base for base in self._sizes if base > position)
                position = min(later, default=self.end)
            else:
                entries = self._read_segment(base, position, max_bytes)
                position = self._end_of(base)
        return entries

    def count(self, position: int) -> int:
        """Whole entries behind ``position``."""
        total = 0
        for base in self._sizes:
            stretches = scan(self._path(base).read_bytes())
            ends = (base + stretch.end for stretch in stretches if stretch.payload is not None)
            total += sum(end > position for end in ends)
        return total

    def forget(self, position: int) -> None:
        """Delete segments that end at or before ``position``, but not the one being written."""
        newest = max(self._sizes, default=-1)
        for base in sorted(self._sizes):
            open_now = base == newest and self._descriptor >= 0
            if open_now or self._end_of(base) > position:
                return
            self._path(base).unlink(missing_ok=True)
            del self._sizes[base]

    def duplicate(self) -> int:
        """A descriptor of the file being written, to sync and close; -1 where there is none."""
        return os.dup(self._descriptor) if self._descriptor >= 0 else -1

    def close(self) -> None:
        """Give the file back; what was written stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read_segment(self, base: int, start: int, max_bytes: int) -> list[Entry]:
        limit, size = self._end_of(base), max_bytes
        while True:
            with self._path(base).open("rb") as segment:
                segment.seek(start - base)
                buffer = segment.read(min(size, limit - start))
            stretches = list(scan(buffer))
            if stretches or size >= limit - start:
                break
            size *= 4  # an entry larger than the buffer, or a long damaged stretch
        for stretch in stretches:
            if stretch.payload is None:
                self._damaged(base, start + stretch.start, start + stretch.end)
        entries = [Entry(start + s.end, s.payload) for s in stretches if s.payload is not None]
        if not entries:
            self._damaged(base, start, limit)
        return entries

    def _new_segment(self) -> None:
        if self._descriptor >= 0:
            os.fdatasync(self._descriptor)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(self._path(self.end), flags, 0o600)
        self.close()
        self._descriptor = descriptor
        self._sizes[self.end] = 0
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _mend_tail(self) -> int:
        """Cut what was being written when the process died; the position behind the rest."""
        if not self._sizes:
            return 0
        base = max(self._sizes)
        path = self._path(base)
        whole = max((stretch.end for stretch in scan(path.read_bytes())), default=0)
        torn = self._sizes[base] - whole
        if torn:
            os.truncate(path, whole)
            self._sizes[base] = whole
            self._say("torn_tail", f"{path}: the last {torn} bytes were not whole, cut")
        return base + whole

    def _end_of(self, base: int) -> int:
        return base + self._sizes[base]

    def _path(self, base: int) -> Path:
        return self._folder / f"{base:020d}{_SUFFIX}"

    def _damaged(self, base: int, start: int, end: int) -> None:
        self._say("damaged", f"{self._path(base)}: bytes {start - base} to {end - base} skipped")
