"""Audible examples of patterns: one FLAC file each in a folder beside the store.

A voice may be in them, so nobody but the owner may read the folder: it is made so, and closed to
others where it was there before and is ours to close. Invariant: a name stands for one whole file
(written aside, renamed), the newest example of its pattern; the files together stay within their
bound, the oldest going first. What a file says of whom is the store's business.
"""

import contextlib
import os
import re
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

from operators.records import ANALYSIS_RATE_HZ, Floats

FOLDER = "clips"
"""Beside the spool, in the folder of what belongs to a store on this machine."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SUFFIX = ".flac"
_FULL_SCALE = 32_768
_STALE_S = 3_600.0
"""A file that was begun so long ago will not be finished any more."""


class Clips:
    """A folder of clips, for writing, from any thread.

    Args:
        folder: made with its parents where it is missing, for the owner only.
        max_bytes: of all clips together.

    Raises:
        OSError: the folder cannot be made or read.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            with contextlib.suppress(PermissionError):  # somebody else's: it is theirs to close
                folder.chmod(0o700)
        self.folder = folder
        self._max_bytes = max_bytes
        self._placing = threading.Lock()
        for leftover in folder.glob(f".*{_SUFFIX}"):
            about = _about(leftover)
            if about is not None and time.time() - about.st_mtime > _STALE_S:
                leftover.unlink(missing_ok=True)

    def keep(self, name: str, clip: Floats, rate_hz: int = ANALYSIS_RATE_HZ) -> str:
        """Writes a clip in 16 bits; replaces one of the same name.

        Args:
            name: of what is heard, such as a pattern's id.
            clip: (samples,) float32 within [-1, 1].
            rate_hz: of the clip.

        Returns:
            The name of the file within the folder.

        Raises:
            ValueError: a name that would leave the folder, or a clip that is larger than all
                clips together may be.
            OSError: the disk refuses; what was there before is left alone.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"clip name {name!r}: expected letters, digits, - and _")
        file = self.folder / f"{name}{_SUFFIX}"
        aside = self._write_aside(name, clip, rate_hz)
        try:
            size = aside.stat().st_size
            if size > self._max_bytes:
                raise ValueError(
                    f"the clip {file.name} has {size} bytes, all clips together may have "
                    f"{self._max_bytes}: raise clips.max_mb"
                )
            with self._placing:  # else two that come at once take the same room
                self._make_room(self._max_bytes - size, apart_from=file)
                aside.rename(file)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        return file.name

    def _write_aside(self, name: str, clip: Floats, rate_hz: int) -> Path:
        scaled = np.rint(np.asarray(clip, dtype=np.float64) * _FULL_SCALE)
        samples = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
        descriptor, name_aside = tempfile.mkstemp(_SUFFIX, f".{name}-", self.folder)
        aside = Path(name_aside)
        try:
            soundfile.write(aside, samples, rate_hz, subtype="PCM_16", format="FLAC")
            os.fsync(descriptor)
        except BaseException as error:
            aside.unlink(missing_ok=True)
            if isinstance(error, soundfile.SoundFileError):
                raise OSError(f"{self.folder}: clip {name} cannot be written: {error}") from error
            raise
        finally:
            os.close(descriptor)
        return aside

    def _make_room(self, max_bytes: int, *, apart_from: Path) -> None:
        """Remove the oldest clips until the others are small enough together."""
        found = [
            (about.st_mtime_ns, file.name, about.st_size)
            for file in self.folder.glob(f"[!.]*{_SUFFIX}")
            if file != apart_from and (about := _about(file)) is not None
        ]
        total = sum(size for _, _, size in found)
        for _, name, size in sorted(found):
            if total <= max_bytes:
                break
            (self.folder / name).unlink(missing_ok=True)
            total -= size


def _about(file: Path) -> os.stat_result | None:
    """What the system says of a file; None where it has gone meanwhile."""
    try:
        return file.stat()
    except FileNotFoundError:
        return None
