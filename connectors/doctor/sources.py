"""The files and folders that are to be listened to."""

import os
from collections.abc import Iterator
from pathlib import Path

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding

_WATCH = "watch:"
_EMPTY = f"put recordings there, or wait for them: {_WATCH}FOLDER"


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """Whether each is there and can be read; what it holds is not looked at."""
    del patience_s
    for target in asked.paths:
        path = Path(target.removeprefix(_WATCH)).expanduser()
        if not path.exists():
            yield Finding("sources", "broken", f"'{target}': there is no such file", "name another")
        elif target.startswith(_WATCH) and not path.is_dir():
            detail = f"'{target}': is a file, not a folder"
            yield Finding("sources", "broken", detail, f"listen to it without {_WATCH}")
        elif not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
            detail = f"'{target}': may not be read by this user"
            yield Finding("sources", "broken", detail, f"chmod -R u+rX '{path}'")
        elif path.is_dir() and not any(path.iterdir()):
            waits = target.startswith(_WATCH)
            detail = f"'{target}': an empty folder"
            yield Finding("sources", "ok" if waits else "note", detail, None if waits else _EMPTY)
        else:
            kind = "a folder" if path.is_dir() else f"a file of {path.stat().st_size} bytes"
            yield Finding("sources", "ok", f"'{target}': {kind}")
