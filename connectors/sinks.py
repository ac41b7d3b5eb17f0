"""Where records leave the dataflow: to people as events, to the store through the spool.

Delivery: the store part appends to the spool and its ``snapshot`` waits for the disk, so a
recovered run repeats at most what was appended since the last epoch, on the same keys. Events are
announced at least once. Unit of parallelism: one part a process.
"""

from collections.abc import Callable
from typing import Any, NoReturn, get_args

from bytewax.outputs import (
    DynamicSink,
    FixedPartitionedSink,
    StatefulSinkPartition,
    StatelessSinkPartition,
)

from connectors.entries import Storable
from connectors.milvus.errors import StoreUnwritable
from connectors.store import Store
from operators.revision import Revision

_STORED = get_args(Storable)


class _EventPart(StatelessSinkPartition[tuple[str, object]]):
    def __init__(self, announce: Callable[[object], None]) -> None:
        self._announce = announce

    def write_batch(self, items: list[tuple[str, object]]) -> None:
        for _, item in items:
            self._announce(item)


class EventSink(DynamicSink[tuple[str, object]]):
    """Hands every record to ``announce``, in order; again what follows the last snapshot."""

    def __init__(self, announce: Callable[[object], None]) -> None:
        self._announce = announce

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _EventPart:
        """One part a worker; there is one worker."""
        del step_id, worker_index, worker_count
        return _EventPart(self._announce)


class _StorePart(StatefulSinkPartition[Any, int]):
    """Appends to the spool; what it refuses is held and offered again.

    Little is ever held: a spool that is nearly full makes the sources wait. If it still refuses
    when a snapshot is due (a full disk), the snapshot fails and ends the run, because a state
    made durable without its results would lose them.
    """

    def __init__(self, store: Store, fail: Callable[[Exception], NoReturn]) -> None:
        self._store = store
        self._fail = fail
        self._held: list[Any] = []

    def write_batch(self, values: list[Any]) -> None:
        self._held += filter(_is_kept, values)
        self._offer()

    def snapshot(self) -> int:
        if not self._offer():
            self._fail(
                StoreUnwritable(
                    f"{self._store.folder} takes nothing more: free space on that disk and listen "
                    "again (with --recovery the run goes on where it was)"
                )
            )
        try:
            self._store.sync()
        except StoreUnwritable as error:
            self._fail(error)
        return 0

    def _offer(self) -> bool:
        if self._held and self._store.append(self._held):
            self._held = []
        return not self._held


def _is_kept(value: Any) -> bool:
    """Whether the store has to do with it: a revision that only adds is told by its occurrence."""
    return isinstance(value, _STORED) and not (isinstance(value, Revision) and not value.gone)


class StoreSink(FixedPartitionedSink[Any, int]):
    """Appends to the spool; never waits for the store behind it.

    Args:
        store: what is kept goes there.
        fail: ends the run with an error, from within a callback.
    """

    def __init__(self, store: Store, fail: Callable[[Exception], NoReturn]) -> None:
        self._store = store
        self._fail = fail

    def list_parts(self) -> list[str]:
        """One part: one spool a process."""
        return ["spool"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> _StorePart:
        """The spool knows its own position; nothing is resumed from the flow."""
        del step_id, for_part, resume_state
        return _StorePart(self._store, self._fail)
