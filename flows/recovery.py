"""The recovery folder of a run: made whole or not at all, and never used for another run.

Invariant: state is only ever resumed by a run that cuts and models audio the same way; anything
else is refused in one line, because it would silently lose or mix state.
"""

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bytewax.recovery import RecoveryConfig, init_db_dir

from connectors.chunks import Share
from connectors.locks import FileLock
from flows.errors import GrymError, UsageError
from flows.settings import Settings

_VERSION = 5
_MANIFEST = "grym.json"
_LOCK = "grym.lock"


def check(
    folder: Path, settings: Settings, streams: Mapping[str, str], share: Share | None = None
) -> None:
    """Refuse the folder of another kind of run before anything is loaded; see ``opened``."""
    if folder.is_dir() and any(folder.iterdir()):
        _check(folder, _manifest(settings, streams, share or Share()))


@contextmanager
def opened(
    folder: Path, settings: Settings, streams: Mapping[str, str], share: Share | None = None
) -> Iterator[RecoveryConfig]:
    """Hold the folder of an earlier run, or a new one, while the run lasts.

    Args:
        folder: made with its parents where it is missing.
        settings: of this run.
        streams: name of a source -> what it is. An earlier run's must all be among them, as they
            were; new ones may join.
        share: of the partitions of topics, which must be the earlier run's.

    Raises:
        UsageError: the folder belongs to another kind of run, or holds something else.
        GrymError: it cannot be written or cleaned of audio, or another run has it.
    """
    wanted = _manifest(settings, streams, share or Share())
    lock = FileLock(folder / _LOCK)
    try:
        if not folder.exists() or not any(folder.iterdir()):
            _make(folder, wanted)
        else:
            _check(folder, wanted)
        held = lock.acquire()
        if held:
            _write(folder, wanted)
    except OSError as error:
        raise GrymError(
            f"recovery folder {folder} cannot be used: {error.strerror}; "
            "name a folder that can be written"
        ) from None
    if not held:
        raise GrymError(
            f"recovery folder {folder} is in use by another run: wait for it to end, or name "
            "another folder"
        )
    private = settings.listen.speech == "drop-audio"
    try:
        if private:
            _forget(folder)  # what a run that was killed left
        yield RecoveryConfig(str(folder))
        if private:
            _forget(folder)
    finally:
        lock.release()


def _manifest(settings: Settings, streams: Mapping[str, str], share: Share) -> dict[str, Any]:
    cut = settings.listen
    return {
        "version": _VERSION,
        "streams": dict(streams),
        "share": f"{share.index + 1} of {share.count}",
        "store": _place(settings.store.uri),
        "models": list(cut.models),
        "window_s": cut.window_s,
        "hop_s": cut.hop_s,
    }


def _forget(folder: Path) -> None:
    """Leave nothing in the files of a folder but what the last snapshot holds.

    Snapshots hold audio that is in flight; what a later one replaced stays in free pages.
    """
    for file in sorted(folder.glob("*.sqlite3")):
        try:
            with contextlib.closing(sqlite3.connect(file)) as database:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise GrymError(
                f"audio of earlier moments may remain in {file} ({error}): make room on that disk, "
                "or delete the folder"
            ) from None


def _place(target: str) -> str:
    return target if "://" in target else str(Path(target).absolute())


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    """Replace the manifest whole; new streams may have joined."""
    aside = folder / f"{_MANIFEST}.new"
    aside.write_text(json.dumps(manifest) + "\n", encoding="utf-8")
    aside.replace(folder / _MANIFEST)


def _make(folder: Path, manifest: dict[str, Any]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        init_db_dir(aside, 1)
        _write(aside, manifest)
        if folder.exists():
            folder.rmdir()
        aside.replace(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _check(folder: Path, wanted: dict[str, Any]) -> None:
    path = folder / _MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(
            f"{folder} is not a recovery folder of grym: name an empty or a new folder"
        ) from None
    for key, value in wanted.items():
        if key != "streams" and found.get(key) != value:
            raise UsageError(
                f"recovery folder {folder} belongs to a run with {key} = {found.get(key)}, this "
                f"one has {key} = {value}: use the same settings or another folder"
            )
    for name, target in found["streams"].items():
        if wanted["streams"].get(name) != target:
            raise UsageError(
                f"recovery folder {folder} belongs to a run that hears {name}={target}: name that "
                "source again, or use another folder"
            )
