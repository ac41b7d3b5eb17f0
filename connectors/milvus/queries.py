"""What was heard, read back: the list verbs, while a ``listen`` goes on and after it.

Aliases are resolved on reading: what was merged away shows under the survivor's id, so a merge
rewrites no row. Invariant: rows come back whole, sorted by time, as the objects that ``listen``
prints, in their final state, and without a limit unless one is given.
"""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from connectors.clips import FOLDER
from connectors.events import Event, as_event
from connectors.milvus.aliases import Aliases
from connectors.milvus.filters import any_of, both
from connectors.milvus.newest import Newest
from connectors.milvus.process import embedded_path, state_dir
from connectors.milvus.reader import Reader
from connectors.milvus.remarks import Descriptions
from connectors.milvus.rows import record_of
from connectors.milvus.search import Recognise, find
from operators.records import Occurrence, Pattern, Relation


class Queries:
    """The read side of a store; a context manager.

    Args:
        uri: a path ending in ``.db`` or a server's address.
        token: for a server that asks for one.

    Raises:
        StoreMissing: nothing has been heard into it yet.
        StoreUnreachable: nothing answers.
        StoreUnwritable: the folder of an embedded store cannot be written (it is served by a
            process that needs it).
    """

    def __init__(self, uri: str, token: str | None = None) -> None:
        path = embedded_path(uri)
        self._clips = state_dir(path) / FOLDER if path else None
        self._reader = Reader(uri, token)

    @property
    def spaces(self) -> list[str]:
        """Vector spaces into which something was heard, sorted."""
        return sorted(self._reader.dimensions())

    def patterns(
        self,
        *,
        stream: str | None = None,
        since_s: float | None = None,
        limit: int | None = None,
        merged: bool = False,
    ) -> list[Event]:
        """Sounds that recur, by their first occurrence, with what they were said to sound like.

        Args:
            stream: only this stream.
            since_s: only what was heard in so many seconds before the newest data asked for.
            limit: only the first so many.
            merged: also those that were merged into another one.

        Returns:
            Events of patterns, each with its ``description`` and its ``clip``, or None for either.
            A clip is a path where the store is embedded and the file is still there; of a server's
            store only the file's name is known.
        """
        rows = self._since("patterns", "last_ns", stream, since_s)
        kept = [row for row in rows if merged or row["status"] != "merged"]
        kept.sort(key=lambda row: (row["first_ns"], row["key"]))
        said = Descriptions.read(self._reader, self._aliases(), _of(stream), self._clips)
        events = _events(record_of(Pattern, row) for row in kept[:limit])
        return [event | said.of(event["pattern"]) for event in events]

    def occurrences(
        self, *, stream: str | None = None, since_s: float | None = None, limit: int | None = None
    ) -> list[Event]:
        """When each pattern was heard; arguments as for ``patterns``."""
        aliases = self._aliases()
        best: dict[tuple[str, int, str], dict[str, Any]] = {}
        for row in self._since("occurrences", "start_ns", stream, since_s):
            row["pattern"] = aliases.survivor(row["pattern"])
            key = (row["stream"], row["start_ns"], row["pattern"])
            # Both sides of a merge may have claimed the same event.
            if key not in best or row["score"] > best[key]["score"]:
                best[key] = row
        kept = sorted(best.values(), key=lambda row: (row["start_ns"], row["stream"], row["key"]))
        return _events(record_of(Occurrence, row) for row in kept[:limit])

    def relations(
        self, *, stream: str | None = None, since_s: float | None = None, limit: int | None = None
    ) -> list[Event]:
        """How patterns relate, with the evidence; arguments as for ``patterns``."""
        aliases = self._aliases()
        newest = Newest(self._reader)
        begin_ns = newest.begin_ns(stream, since_s)
        best: dict[tuple[str, str, str], dict[str, Any]] = {}
        for row in self._reader.rows("relations", _of(stream)):
            origin_ns = newest.origin_ns(row["stream"])
            if begin_ns is not None and origin_ns + row["last_s"] * 1e9 < begin_ns:
                continue
            row["at_ns"] = origin_ns + round(row["first_s"] * 1e9)
            row["source"] = aliases.survivor(row["source"])
            row["target"] = aliases.survivor(row["target"])
            key = (row["source"], row["kind"], row["target"])
            if row["source"] == row["target"]:
                continue
            if key not in best or row["support"] > best[key]["support"]:
                best[key] = row
        kept = sorted(best.values(), key=lambda row: (row["at_ns"], row["key"]))
        return _events(record_of(Relation, row) for row in kept[:limit])

    def search(
        self,
        vector: ArrayLike,
        space: str,
        *,
        stream: str | None = None,
        since_s: float | None = None,
        limit: int = 10,
        recognise: Recognise | None = None,
    ) -> list[dict[str, Any]]:
        """Windows most like any of the vectors, best first; of windows that overlap only the best.

        Args:
            vector: one, (dimension,), or several, (n, dimension), in ``space``, such as those of
                the windows of one clip; their lengths do not matter.
            space: vector space, as models name theirs.
            stream: only this stream.
            since_s: as for ``patterns``.
            limit: at most so many.
            recognise: given stored templates by pattern, says how surely each is what is asked
                for; called once, with the patterns of a few times ``limit`` windows.

        Returns:
            ``{"stream","start_s","end_s","start_ns","score","space","pattern","match","speech"}``:
            ``score`` is the cosine with the vector it is most like, raised by the match;
            ``pattern`` the one whose occurrence overlaps the window most, or None; ``match`` how
            surely that is what is asked for, 0-1, or None where there is nothing to compare (no
            ``recognise``, no pattern or only its edge, no template); ``speech`` how surely the
            window holds speech, or None where it was not tagged.

        Raises:
            StoreMissing: nothing was heard into this space; the text names those there are.
            ValueError: a vector has not the length of the space, or there is none.
        """
        begin_ns = Newest(self._reader).begin_ns(stream, since_s)
        query = np.atleast_2d(np.asarray(vector, dtype=np.float32))
        condition = both(_of(stream), "" if begin_ns is None else f"start_ns >= {begin_ns}")
        return find(self._reader, self._aliases(), query, space, condition, limit, recognise)

    def close(self) -> None:
        """Disconnect; an embedded store's process ends when nobody else uses it."""
        self._reader.close()

    def __enter__(self) -> "Queries":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _since(
        self, collection: str, field: str, stream: str | None, since_s: float | None
    ) -> Iterator[dict[str, Any]]:
        begin_ns = Newest(self._reader).begin_ns(stream, since_s)
        late = "" if begin_ns is None else f"{field} >= {begin_ns}"
        return self._reader.rows(collection, both(_of(stream), late))

    def _aliases(self) -> Aliases:
        merged = self._reader.rows("patterns", any_of("status", ["merged"]), ["pattern", "into"])
        return Aliases({row["pattern"]: row["into"] for row in merged})


def _of(stream: str | None) -> str:
    return "" if stream is None else any_of("stream", [stream])


def _events(records: Sequence[Any] | Iterator[Any]) -> list[Event]:
    return [event for record in records if (event := as_event(record)) is not None]
