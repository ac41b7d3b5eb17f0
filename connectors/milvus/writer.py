"""Carries what the spool holds into the store: one thread, in order, at its own pace.

Milvus Lite loses acknowledged rows when two threads write to one collection, so one thread writes
to all of them. It takes whatever waits and never waits for more (a batch is what came in during
the last one). Within a batch the newest change of a key wins, so upserts and deletes of a batch
never meet.

Invariant: a position is acknowledged to the spool only when every change before it is stored or
went to the dead letters, alone and with a reason. With the store away nothing is lost and nobody
waits but this thread. The thread ends when it is closed; if it ends otherwise, ``failed`` says why.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.entries import Storable, decode
from connectors.milvus.connection import TIMEOUT_S, Connection
from connectors.milvus.rows import Write, flaw_of, write_of
from connectors.milvus.sender import Sender, StoppedError
from connectors.segments import Entry
from connectors.spool import Spool, SpoolError
from operators import tracing
from operators.records import Embedding, Failure

_BATCH_BYTES = 256 * 1024
_DISK_BACK_OFF_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Between attempts at a spool that cannot be read; after the last one the writer gives up."""
_CLOSE_S = TIMEOUT_S + 5.0
_MOST_TRACED = 8_192
"""Headers of records in the spool whose waiting is timed; with more, it seems shorter."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An embedding is stored, so long after its window was complete; header of its span if kept."""

    latency_s: float
    traceparent: str = ""


class Writer:
    """The only writer of a store; ``start`` it once.

    Args:
        connection: the store; not shared with another thread.
        spool: what to store; entries beyond its present end are measured, earlier ones are
            replays and are not.
        on_ack: told of embeddings that are now stored.
        on_failure: given what could not be stored, and when the store stays away; it does not
            raise.
    """

    def __init__(
        self,
        connection: Connection,
        spool: Spool,
        *,
        on_ack: Callable[[list[Acknowledged]], None],
        on_failure: Callable[[Failure], None],
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._on_ack = on_ack
        self._on_failure = on_failure
        self._measured_from = spool.end
        self._behind = spool.acknowledged
        self._stop = threading.Event()
        self._sender = Sender(
            connection,
            stop=self._stop,
            tell=on_failure,
            stored=self._taken,
            another=self._another,
        )
        self._delivered: dict[tuple[str, str], int] = {}
        self._acknowledged: list[Acknowledged] = []
        self._since_ns: dict[str, int] = {}
        self._changed = threading.Condition()
        self._carried = 0
        self._failed: str | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    @property
    def failed(self) -> str | None:
        """Why nothing is stored any more, in one line; None while all is well."""
        return self._failed

    @property
    def carried(self) -> int:
        """Entries of the spool that are dealt with, replays included."""
        return self._carried

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def waits(self, records: Sequence[Storable]) -> None:
        """Records are about to be appended: from now on those that are traced wait."""
        now_ns = time.time_ns()
        for record in records:
            header = tracing.kept(getattr(record, "traceparent", ""))
            if header and len(self._since_ns) < _MOST_TRACED:
                self._since_ns.setdefault(header, now_ns)

    def forget(self, records: Sequence[Storable]) -> None:
        """Records were not appended after all."""
        for record in records:
            self._since_ns.pop(getattr(record, "traceparent", ""), None)

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
        """End after the call that is under way; the rest stays in the spool.

        A store that keeps even that call waiting is left to itself: the spool must be closed
        next, which keeps the thread from touching it when the call returns.
        """
        self._stop.set()
        self._connection.interrupt()
        self.notify()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
            if self._thread.is_alive():
                _log.warning("%s does not answer: left", self._connection.store)

    def _run(self) -> None:
        position, attempts = self._spool.acknowledged, 0
        try:
            while True:
                try:
                    position = self._step(position)
                    attempts = 0
                except SpoolError as error:
                    self._wait_for_disk(attempts, error)
                    attempts += 1
        except StoppedError:
            pass
        except Exception as error:
            words = " ".join(f"{type(error).__name__}: {error}".split())
            if isinstance(error, SpoolError):
                words = str(error)
            self._failed = f"the writer of {self._connection.store} ended: {words}"
            _log.debug("the writer ended", exc_info=True)
            self._say("stopped", self._failed, "start again: the spool keeps what waits; report it")
        finally:
            self.notify()

    def _wait_for_disk(self, attempts: int, error: SpoolError) -> None:
        if attempts == len(_DISK_BACK_OFF_S):
            raise error
        if attempts == 0 and not self._stop.is_set():
            self._say("spool", str(error), "nothing is lost: it is tried again for a while")
        if self._stop.wait(_DISK_BACK_OFF_S[attempts]):
            raise StoppedError

    def _step(self, position: int) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._spool.end > position)
        if self._stop.is_set():
            raise StoppedError
        end = self._spool.end
        entries = self._spool.read(position, max_bytes=_BATCH_BYTES)
        position = self._behind = entries[-1].position if entries else end
        self._store(entries)
        # Told and counted first: who has seen the acknowledgement may rely on both.
        if self._acknowledged:
            self._on_ack(self._acknowledged)
            self._acknowledged = []
        self._carried += len(entries)
        self._spool.acknowledge(position)
        self.notify()
        return position

    def _store(self, entries: Sequence[Entry]) -> None:
        """Store a batch, and note which embeddings of this run were taken."""
        newest: dict[str, dict[str, Write]] = {}
        self._delivered.clear()
        began_ns, waiting = time.time_ns(), set()
        for entry in entries:
            record = self._decoded(entry)
            if record is None:
                continue
            header = getattr(record, "traceparent", "")
            waiting.add(header)
            write = write_of(record, self._since_ns.get(header, began_ns))
            flaw = flaw_of(write)
            if flaw:
                self._sender.bury(write, flaw)
                continue
            changes = newest.setdefault(write.collection, {})
            changes.pop(write.key, None)
            changes[write.key] = write
            fresh = entry.position > self._measured_from
            if fresh and isinstance(record, Embedding) and record.delivered_ns:
                self._delivered[write.collection, write.key] = record.delivered_ns
        for changes in newest.values():
            self._sender.send(list(changes.values()))
        for header in waiting:
            self._since_ns.pop(header, None)

    def _taken(self, rows: Sequence[Write], at_ns: int) -> None:
        """Rows were taken: embeddings among them have come to the end of their way."""
        for row in rows:
            delivered_ns = self._delivered.pop((row.collection, row.key), None)
            if delivered_ns is not None:  # else no embedding of this run, or told before
                latency_s = max(0, at_ns - delivered_ns) / 1e9
                self._acknowledged.append(Acknowledged(latency_s, row.traceparent))

    def _another(self, collection: str) -> Write | None:
        """A sound row of a collection that waits behind the batch being stored."""
        for entry in self._spool.read(self._behind, max_bytes=_BATCH_BYTES):
            try:
                write = write_of(decode(entry.payload))
            except ValueError:
                continue  # told when its turn comes
            if write.collection == collection and write.row is not None and not flaw_of(write):
                return write
        return None

    def _decoded(self, entry: Entry) -> Storable | None:
        try:
            return decode(entry.payload)
        except ValueError as error:
            self._say("unreadable", f"the spool holds an {error}", "use the grym that wrote it")
            return None

    def _say(self, reason: str, detail: str, remedy: str) -> None:
        self._on_failure(Failure("", "store", reason, detail, remedy, 0.0))
