"""The recovery folder of a run: made whole or not at all, and never used for another run.

Invariant: state is only ever resumed by a run that cuts and models audio the same way; anything
else is refused in one line, because it would silently lose or mix state.
"""

import json
import shutil
import tempfile
from pathlib import Path

from bytewax.recovery import RecoveryConfig, init_db_dir

from flows.errors import GrymError, UsageError
from flows.settings import Settings

_VERSION = 1
_MANIFEST = "grym.json"


def prepare(folder: Path, settings: Settings) -> RecoveryConfig:
    """Open the folder of an earlier run, or make a new one.

    Raises:
        UsageError: the folder belongs to another kind of run, or holds something else.
        GrymError: it cannot be written.
    """
    wanted = _manifest(settings)
    try:
        if not folder.exists() or not any(folder.iterdir()):
            _make(folder, wanted)
        else:
            _check(folder, wanted)
    except OSError as error:
        raise GrymError(
            f"recovery folder {folder} cannot be used: {error.strerror}; "
            "name a folder that can be written"
        ) from None
    return RecoveryConfig(str(folder))


def _manifest(settings: Settings) -> dict[str, object]:
    cut = settings.listen
    return {
        "version": _VERSION,
        "models": list(cut.models),
        "window_s": cut.window_s,
        "hop_s": cut.hop_s,
    }


def _make(folder: Path, manifest: dict[str, object]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        init_db_dir(aside, 1)
        (aside / _MANIFEST).write_text(json.dumps(manifest) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        aside.replace(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _check(folder: Path, wanted: dict[str, object]) -> None:
    path = folder / _MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(
            f"{folder} is not a recovery folder of grym: name an empty or a new folder"
        ) from None
    differing = [key for key in wanted if found.get(key) != wanted[key]]
    if differing:
        key = differing[0]
        raise UsageError(
            f"recovery folder {folder} belongs to a run with {key} = {found.get(key)}, this one "
            f"has {key} = {wanted[key]}: use the same settings or another folder"
        )
