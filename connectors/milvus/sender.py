"""Sends changes of rows until the store has taken each or has refused it for good.

A refusal that names the rows is bisected, so that the guilty one is left out alone. An unexpected
answer is not taken for a verdict: a row under doubt is set behind the others of its collection
and tried again; it is left out only when the store has refused it for ``_DOUBT_S`` and takes
another row of the same collection in the very moment it refuses this one.

Invariant: when ``send`` returns, every change is stored or was buried, alone and with a reason;
no row is buried because a store is starting, busy or away.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.milvus.connection import TIMEOUT_S, Connection
from connectors.milvus.faults import Fault, fault_of, words_of
from connectors.milvus.filters import any_of
from connectors.milvus.rows import Write
from connectors.milvus.schema import prepare
from connectors.milvus.timing import timed
from operators.records import Failure

_BATCH_ROWS = 64
_BACK_OFF_S = (0.05, 0.1, 0.3, 1.0, 3.0, 5.0)
_AWAY_AFTER = 4
_DOUBTS = 3
_DOUBT_S = 60.0


class StoppedError(Exception):
    """It was told to end; what is not stored stays in the spool."""


@dataclass(frozen=True, slots=True)
class _Suspect:
    write: Write
    since_s: float


class Sender:
    """Sends from one thread.

    Args:
        connection: the store.
        stop: set to end after the call that is under way.
        tell: given what was buried, and when the store stays away.
        stored: given rows that were taken and the moment of that, epoch nanoseconds.
        another: given a collection, a row that waits behind those being sent, or None: a
            witness against a row under doubt where no other one is known.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        stop: threading.Event,
        tell: Callable[[Failure], None],
        stored: Callable[[Sequence[Write], int], None] = lambda _rows, _at_ns: None,
        another: Callable[[str], Write | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._stop = stop
        self._tell = tell
        self._stored = stored
        self._another = another
        self._clock = clock
        self._prepared: set[str] = set()
        self._taken: dict[str, Write] = {}
        self._suspects: list[_Suspect] = []
        self._buried: set[str] = set()
        self._away = False

    def send(self, writes: list[Write]) -> set[str]:
        """Store changes of one collection, each key once, however long it takes.

        Returns:
            Keys of those that were buried.

        Raises:
            StoppedError: ``stop`` was set.
        """
        self._suspects.clear()
        self._buried = set()
        for kind in (True, False):
            alike = [write for write in writes if (write.row is None) == kind]
            for start in range(0, len(alike), _BATCH_ROWS):
                self._attempt(alike[start : start + _BATCH_ROWS])
        for suspect in self._suspects:
            self._settle(suspect)
        return self._buried

    def bury(self, write: Write, flaw: str) -> None:
        """Leave a row out and say so."""
        detail = f"the row {write.key} of {write.collection} cannot be stored: {flaw}"
        remedy = "the row was left out, the others were stored; please report it"
        reason = "window_rejected" if write.layout.kind == "windows" else "rejected"
        self._buried.add(write.key)
        self._tell(Failure(write.stream, "store", reason, detail, remedy, write.start_s))

    def _attempt(self, group: list[Write], since_s: float | None = None) -> None:
        """Store rows; those that are refused end buried, or as suspects."""
        attempt = doubts = 0
        while (error := self._refusal(group)) is not None:
            fault = fault_of(error, lite=self._connection.lite)
            if fault is Fault.DOUBT:
                since_s = self._clock() if since_s is None else since_s
                doubts += 1
            if fault is Fault.POISON or doubts >= _DOUBTS:
                if len(group) > 1:
                    half = len(group) // 2
                    self._attempt(group[:half], since_s)
                    self._attempt(group[half:], since_s)
                elif fault is Fault.POISON or since_s is None:
                    self.bury(group[0], words_of(error))
                else:
                    self._suspects.append(_Suspect(group[0], since_s))
                return
            attempt += 1
            self._recover(group, attempt, fault, error)

    def _settle(self, suspect: _Suspect) -> None:
        """Store a row under doubt, or bury it on evidence."""
        write, attempt = suspect.write, 0
        while (error := self._refusal([write])) is not None:
            fault = fault_of(error, lite=self._connection.lite)
            old = self._clock() - suspect.since_s >= _DOUBT_S
            if fault is Fault.POISON or (fault is Fault.DOUBT and old and self._takes(write)):
                self.bury(write, words_of(error))
                return
            attempt += 1
            self._recover([write], attempt, fault, error)

    def _takes(self, write: Write) -> bool:
        """Whether the store takes another row of the collection now."""
        witness = self._taken.get(write.collection)
        if witness is None or witness.key == write.key:
            witness = self._another(write.collection)
        if witness is None or witness.key == write.key:
            return False
        return self._refusal([witness]) is None

    def _refusal(self, group: list[Write]) -> Exception | None:
        """Send rows of one collection once; what the store has against it.

        Raises:
            StoppedError: ``stop`` was set before.
        """
        if self._stop.is_set():
            raise StoppedError
        try:
            self._send(group)
        except Exception as error:
            return error
        self._away = False
        newest = group[-1]
        if newest.row is not None:
            self._taken[newest.collection] = newest
        else:
            # Sent again as a witness, a deleted row would come back to life.
            witness = self._taken.get(newest.collection)
            if witness is not None and any(write.key == witness.key for write in group):
                del self._taken[newest.collection]
        return None

    def _send(self, group: list[Write]) -> None:
        client = self._connection.client()
        first = group[0]
        if first.row is None:
            if client.has_collection(first.collection, timeout=TIMEOUT_S):
                self._prepare(first)
                condition = any_of("key", (write.key for write in group))
                with timed("delete", group):
                    client.delete(first.collection, filter=condition, timeout=TIMEOUT_S)
            return
        self._prepare(first)
        rows = [write.row for write in group]
        with timed("upsert", group) as call:
            client.upsert(first.collection, rows, timeout=TIMEOUT_S)
        self._stored(group, call.ended_ns)

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
            detail = f"{self._connection.store} takes nothing: {words_of(error)}"
            remedy = "listening goes on and the spool keeps it; bring the store back"
            self._tell(Failure("", "store", "away", detail, remedy, 0.0))
        self._stop.wait(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S)) - 1])
