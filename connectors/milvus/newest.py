"""Where ``--since`` counts back from: the newest data of the streams asked for.

Relations carry seconds of their stream, so each stream's origin (epoch nanoseconds of its first
sample) is taken from its patterns, which carry both.

Invariant: newest data is the latest of windows and patterns of those streams, in event time; the
clock of the wall plays no part.
"""

from connectors.milvus.filters import any_of, both
from connectors.milvus.reader import Reader


class Newest:
    """Answers for one question; reads what it needs once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._origins: dict[str, int] | None = None

    def begin_ns(self, stream: str | None, since_s: float | None) -> int | None:
        """Event time from which on data was asked for; None where all of it was."""
        if since_s is None:
            return None
        asked = "" if stream is None else any_of("stream", [stream])
        newest_ns: int | None = None
        for collection, field in [("patterns", "last_ns"), *self._windows()]:
            later = "" if newest_ns is None else f"{field} > {newest_ns}"
            rows = self._reader.rows(collection, both(asked, later), [field])
            newest_ns = max((int(row[field]) for row in rows), default=newest_ns)
        return None if newest_ns is None else newest_ns - round(since_s * 1e9)

    def origin_ns(self, stream: str) -> int:
        """Event time of the first sample of a stream; 0 where no pattern tells."""
        if self._origins is None:
            rows = self._reader.rows("patterns", "", ["stream", "first_ns", "first_s"])
            self._origins = {
                row["stream"]: int(row["first_ns"]) - round(row["first_s"] * 1e9) for row in rows
            }
        return self._origins.get(stream, 0)

    def _windows(self) -> list[tuple[str, str]]:
        return [(name, "start_ns") for name in self._reader.names() if name.startswith("windows_")]
