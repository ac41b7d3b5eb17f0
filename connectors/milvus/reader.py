"""Reading collections page by page, through restarts of the store.

Milvus gives at most 16,384 rows a call, so rows are read in the order of their keys, each page
from behind the last key of the one before. (pymilvus's own iterator does not quote that key.)

Invariant: every row that was stored before the first page is read exactly once, whatever is
written meanwhile; a collection that does not exist yet reads as empty.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from pymilvus import MilvusClient

from connectors.milvus.connection import Connection, missing
from connectors.milvus.errors import StoreUnreachable
from connectors.milvus.faults import Fault, fault_of, no_collection, words_of
from connectors.milvus.filters import both, quoted
from connectors.milvus.schema import check, dimension_of, layout_of, space_of

_PAGE_ROWS = 16_384
_TIMEOUT_S = 120.0
_BACK_OFF_S = (0.0, 0.1, 0.5, 2.0)
"""Before another attempt."""
_NOT_LOADED = 101

Answer = TypeVar("Answer")


class Reader:
    """One reader of a store.

    Args:
        uri: as for ``Connection``.
        token: for a server that asks for one.

    Raises:
        StoreMissing: an embedded store that is not there, a server that holds nothing of ours.
        StoreVersion: another version of grym made it.
        StoreUnreachable: nothing answers.
    """

    def __init__(self, uri: str, token: str | None = None) -> None:
        self._connection = Connection(uri, token=token, must_exist=True)
        self._dimensions: dict[str, int] = {}
        try:
            self._look()
        except BaseException:
            self._connection.close()
            raise

    @property
    def store(self) -> str:
        """The store as it should be named to a person."""
        return self._connection.store

    @property
    def lite(self) -> bool:
        """Milvus Lite answers, whoever runs it."""
        return self._connection.lite

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def names(self) -> list[str]:
        """Our collections, sorted."""
        names = self.ask(lambda client: client.list_collections(timeout=_TIMEOUT_S))
        return sorted(name for name in names if layout_of(name) is not None)

    def dimensions(self) -> dict[str, int]:
        """Vector spaces into which something was heard, with the length of their vectors."""
        self._look()
        return dict(self._dimensions)

    def rows(
        self, collection: str, condition: str, fields: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """Every row that meets the condition ("" for all), in the order of keys.

        Args:
            collection: its name.
            condition: a filter expression.
            fields: what to read besides the key; by default all columns but the vector and the
                template (the bulk of a pattern, which lists do not show).
        """
        layout = layout_of(collection)
        every = () if layout is None else (name for name in layout.names if name != "template")
        wanted = ["key", *fields] if fields else list(every) or ["key"]
        last = ""
        while page := self._page(collection, both(f"key > {quoted(last)}", condition), wanted):
            yield from (dict(row) for row in page)
            if self.lite and len(page) < _PAGE_ROWS:
                return  # exact there, and another look costs as much as this one
            last = page[-1]["key"]

    def _page(self, collection: str, condition: str, wanted: list[str]) -> list[dict[str, Any]]:
        def question(client: MilvusClient) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = client.query(
                collection,
                filter=condition,
                output_fields=wanted,
                limit=_PAGE_ROWS,
                iterator="True",
                reduce_stop_for_best="True",
                timeout=_TIMEOUT_S,
            )
            return rows

        return self.ask(question, collection)

    def ask(self, question: Callable[[MilvusClient], Answer], collection: str = "") -> Answer:
        """Put a question to the store, again if it was restarted meanwhile.

        Args:
            question: called with a client, several times if need be.
            collection: loaded if it is not; where it does not exist, the answer is that of
                an empty one: ``[]``.

        Raises:
            StoreUnreachable: the store does not answer, or refuses.
        """
        for pause_s in (*_BACK_OFF_S, None):
            try:
                return question(self._connection.client())
            except StoreUnreachable:
                # A process that was killed just now may hold its lock for a moment more.
                if pause_s is None or not self._connection.embedded:
                    raise
            except Exception as error:
                if collection and no_collection(error, lite=self.lite):
                    return cast("Answer", [])
                poison = fault_of(error, lite=self.lite) is Fault.POISON
                if poison or pause_s is None:
                    raise StoreUnreachable(
                        f"the store {self.store} refuses: {words_of(error)}"
                    ) from error
                if getattr(error, "code", 0) == _NOT_LOADED and collection:
                    self._connection.client().load_collection(collection, timeout=_TIMEOUT_S)
                else:
                    self._connection.mend()
            time.sleep(pause_s)
        raise AssertionError("unreachable")

    def _look(self) -> None:
        """Check the layout of every collection of ours and learn the vector spaces."""
        names = self.names()
        if not names and not self._connection.embedded:
            raise missing(self.store)
        for name in names:
            layout = layout_of(name)
            if layout is not None:
                description = self._describe(name)
                check(description, layout, self.store)
                if layout.kind == "windows":
                    self._dimensions[space_of(description)] = dimension_of(description)

    def _describe(self, name: str) -> dict[str, Any]:
        def question(client: MilvusClient) -> dict[str, Any]:
            description: dict[str, Any] = client.describe_collection(name, timeout=_TIMEOUT_S)
            return description

        return self.ask(question)
