"""Carries what the spool holds into the store: one thread, in order, at its own pace.

Milvus Lite loses acknowledged rows when two threads write to one collection, so one thread writes
to all of them. It takes whatever waits and never waits for more (a batch is what came in during
the last one). Within a batch the newest change of a key wins, so upserts and deletes of a batch
never meet.

Invariant: a position is acknowledged to the spool only when every change before it is stored or
went to the dead letters, alone and with a reason. With the store away nothing is lost and nobody
waits but this thread.
"""

import threading
from collections.abc import Callable, Sequence

from connectors.entries import Storable, decode
from connectors.milvus.connection import TIMEOUT_S, Connection
from connectors.milvus.faults import Fault, fault_of, words_of
from connectors.milvus.filters import any_of
from connectors.milvus.rows import Write, flaw_of, write_of
from connectors.milvus.schema import prepare
from connectors.segments import Entry
from connectors.spool import Spool, SpoolError
from operators.records import Embedding, Failure

_BATCH_BYTES = 256 * 1024
_BATCH_ROWS = 64
_BACK_OFF_S = (0.05, 0.1, 0.3, 1.0, 3.0, 5.0)
_AWAY_AFTER = 4
_DOUBTS = 3


class _StoppedError(Exception):
    """The writer was told to end; what is not acknowledged stays in the spool."""


class Writer:
    """The only writer of a store; ``start`` it once.

    Args:
        connection: the store; not shared with another thread.
        spool: what to store; entries beyond its present end are measured, earlier ones are
            replays and are not.
        on_ack: given the ``delivered_ns`` of embeddings that are now stored.
        on_failure: given what could not be stored, and when the store stays away.
    """

    def __init__(
        self,
        connection: Connection,
        spool: Spool,
        *,
        on_ack: Callable[[list[int]], None],
        on_failure: Callable[[Failure], None],
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._on_ack = on_ack
        self._on_failure = on_failure
        self._measured_from = spool.end
        self._prepared: set[str] = set()
        self._buried: set[str] = set()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._away = False
        self._carried = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    @property
    def away(self) -> bool:
        """The store has not taken anything for a while; the spool holds it."""
        return self._away

    @property
    def carried(self) -> int:
        """Entries of the spool that are dealt with, replays included."""
        return self._carried

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def notify(self) -> None:
        """Something was appended to the spool."""
        with self._changed:
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is stored; whether that came true."""
        end = self._spool.end
        with self._changed:
            return self._changed.wait_for(
                lambda: self._spool.acknowledged >= end or not self._thread.is_alive(), timeout_s
            ) and (self._spool.acknowledged >= end)

    def close(self) -> None:
        """End after the call that is under way; the rest stays in the spool."""
        self._stop.set()
        self.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            position = self._spool.acknowledged
            while True:
                position = self._step(position)
        except _StoppedError:
            pass
        except SpoolError as error:
            self._say("spool", str(error), "free some space; what waits is carried at next start")
        except Exception as error:
            words = f"the writer of {self._connection.store} ended: {type(error).__name__}: {error}"
            self._say("stopped", words, "start again: the spool keeps what waits; report it")
        finally:
            self.notify()

    def _step(self, position: int) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._spool.end > position)
        if self._stop.is_set():
            raise _StoppedError
        end = self._spool.end
        entries = self._spool.read(position, max_bytes=_BATCH_BYTES)
        delivered = self._store(entries)
        position = entries[-1].position if entries else end
        # Told and counted first: who has seen the acknowledgement may rely on both.
        if delivered:
            self._on_ack(delivered)
        self._carried += len(entries)
        self._spool.acknowledge(position)
        self.notify()
        return position

    def _store(self, entries: Sequence[Entry]) -> list[int]:
        """Store a batch; the delivery times of the embeddings of this run in it."""
        newest: dict[str, dict[str, Write]] = {}
        delivered: dict[str, int] = {}
        self._buried.clear()
        for entry in entries:
            record = self._decoded(entry)
            if record is None:
                continue
            write = write_of(record)
            flaw = flaw_of(write)
            if flaw:
                self._bury(write, flaw)
                continue
            changes = newest.setdefault(write.collection, {})
            changes.pop(write.key, None)
            changes[write.key] = write
            fresh = entry.position > self._measured_from
            if fresh and isinstance(record, Embedding) and record.delivered_ns:
                delivered[write.key] = record.delivered_ns
        for changes in newest.values():
            self._store_collection(list(changes.values()))
        return [at_ns for key, at_ns in delivered.items() if key not in self._buried]

    def _store_collection(self, writes: list[Write]) -> None:
        for kind in (True, False):
            alike = [write for write in writes if (write.row is None) == kind]
            for start in range(0, len(alike), _BATCH_ROWS):
                self._attempt(alike[start : start + _BATCH_ROWS])

    def _attempt(self, group: list[Write]) -> None:
        """Store rows of one collection, however long it takes; what is refused is buried."""
        attempt = doubts = 0
        while True:
            if self._stop.is_set():
                raise _StoppedError
            try:
                self._send(group)
            except Exception as error:
                fault = fault_of(error)
                doubts += fault is Fault.DOUBT
                if fault is Fault.POISON or doubts >= _DOUBTS:
                    self._bisect(group, error)
                    return
                attempt += 1
                self._recover(group, attempt, fault, error)
            else:
                self._away = False
                return

    def _send(self, group: list[Write]) -> None:
        client = self._connection.client()
        first = group[0]
        if first.row is None:
            if client.has_collection(first.collection, timeout=TIMEOUT_S):
                self._prepare(first)
                condition = any_of("key", (write.key for write in group))
                client.delete(first.collection, filter=condition, timeout=TIMEOUT_S)
            return
        self._prepare(first)
        client.upsert(first.collection, [write.row for write in group], timeout=TIMEOUT_S)

    def _prepare(self, write: Write) -> None:
        """Create, or check and load, the collection of a row before its first use."""
        if write.collection in self._prepared:
            return
        prepare(
            self._connection.client(),
            write.layout,
            space=write.space,
            dimension=write.dimension,
            lite=self._connection.lite,
            store=self._connection.store,
            timeout_s=TIMEOUT_S,
        )
        self._prepared.add(write.collection)

    def _recover(self, group: list[Write], attempt: int, fault: Fault, error: Exception) -> None:
        self._prepared.discard(group[0].collection)
        if fault is not Fault.MEND:
            self._connection.mend()
        if not self._away and (attempt >= _AWAY_AFTER or fault is Fault.FATAL):
            self._away = True
            self._say(
                "away",
                f"{self._connection.store} takes nothing: {words_of(error)}",
                "listening goes on and the spool keeps it; bring the store back",
            )
        self._stop.wait(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S)) - 1])

    def _bisect(self, group: list[Write], error: Exception) -> None:
        if len(group) == 1:
            self._bury(group[0], words_of(error))
            return
        half = len(group) // 2
        self._attempt(group[:half])
        self._attempt(group[half:])

    def _decoded(self, entry: Entry) -> Storable | None:
        try:
            return decode(entry.payload)
        except ValueError as error:
            self._say("unreadable", f"the spool holds an {error}", "use the grym that wrote it")
            return None

    def _bury(self, write: Write, flaw: str) -> None:
        detail = f"the row {write.key} of {write.collection} cannot be stored: {flaw}"
        remedy = "the row was left out, the others were stored; please report it"
        self._buried.add(write.key)
        self._on_failure(Failure(write.stream, "store", "rejected", detail, remedy, write.start_s))

    def _say(self, reason: str, detail: str, remedy: str) -> None:
        self._on_failure(Failure("", "store", reason, detail, remedy, 0.0))
