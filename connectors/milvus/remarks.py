"""What was said of patterns and of windows, looked up when they are listed.

Invariant: a pattern that took others in shows its own description, or else the newest of theirs;
a window that was never tagged is told apart from one in which nothing was found.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.milvus.aliases import Aliases
from connectors.milvus.filters import any_of
from connectors.milvus.reader import Reader

SPEECH = "speech"
_FIELDS = ["pattern", "text", "clip", "start_ns"]

Row = Mapping[str, Any]


class Descriptions:
    """What patterns sound like, in words and as a clip.

    Args:
        rows: of the collection of descriptions.
        aliases: who took whom in.
        clips: the folder of clips, where it is on this machine.
    """

    def __init__(self, rows: Iterable[Row], aliases: Aliases, clips: Path | None) -> None:
        self._clips = clips
        self._own: dict[str, list[Row]] = {}
        self._taken_in: dict[str, list[Row]] = {}
        for row in sorted(rows, key=lambda row: (-row["start_ns"], row["pattern"])):
            pattern = row["pattern"]
            self._own.setdefault(pattern, []).append(row)
            if (survivor := aliases.survivor(pattern)) != pattern:
                self._taken_in.setdefault(survivor, []).append(row)

    @classmethod
    def read(
        cls, reader: Reader, aliases: Aliases, condition: str, clips: Path | None
    ) -> "Descriptions":
        """Those that meet a condition."""
        return cls(reader.rows("descriptions", condition, _FIELDS), aliases, clips)

    def of(self, pattern: str) -> dict[str, str | None]:
        """``description`` and ``clip`` of a pattern; None where there is none."""
        rows = [*self._own.get(pattern, ()), *self._taken_in.get(pattern, ())]
        texts = (row["text"] for row in rows)
        clips = (self._found(row["clip"]) for row in rows)
        return {"description": _first(texts), "clip": _first(clips)}

    def _found(self, clip: str) -> str:
        """A clip as it can be opened; "" where it has gone."""
        if not clip or self._clips is None:
            return clip
        path = self._clips / clip
        return str(path) if path.is_file() else ""


def speech_of(reader: Reader, moments: Sequence[Row]) -> list[float | None]:
    """How surely each window (``stream``, ``start_ns``) holds speech; None where nobody looked."""
    keys = [f"{moment['stream']}|{moment['start_ns']}|{SPEECH}" for moment in moments]
    if not keys:
        return []
    found = {
        row["key"]: row["score"] for row in reader.rows("tags", any_of("key", keys), ["score"])
    }
    return [round(found[key], 4) if key in found else None for key in keys]


def _first(texts: Iterable[str]) -> str | None:
    return next(filter(None, texts), None)
