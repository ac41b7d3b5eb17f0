"""The write side of a store as the flow sees it: append, sync at snapshots, drain at the end.

What is appended lies in the spool at once, survives a power cut after ``sync``, and is carried
into the store by a thread of its own. So the flow waits for the local disk and never for Milvus.

Invariant: one process writes into an embedded store at a time; what an earlier process left in
the spool is stored before anything new; nothing refused goes unsaid.
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs
from pymilvus import MilvusClient

from connectors.entries import Storable, encode
from connectors.milvus.connection import TIMEOUT_S, Connection
from connectors.milvus.errors import StoreHeld, StoreUnwritable
from connectors.milvus.gate import FailureGate
from connectors.milvus.process import ListenerLock, embedded_path, make_writable, state_dir
from connectors.milvus.schema import check, layout_of
from connectors.milvus.writer import Acknowledged, Writer
from connectors.spool import Spool, SpoolError, SpoolFullError, SpoolHeldError
from operators.records import Failure

_SPOOLS = 64
"""Processes of one machine that may write to one server, each with a spool of its own."""


class Store:
    """An open store, for writing. ``open`` makes one; ``append`` and ``sync`` from one thread."""

    def __init__(
        self,
        connection: Connection,
        spool: Spool,
        writer: Writer,
        lock: ListenerLock | None,
        failures: FailureGate,
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._writer = writer
        self._lock = lock
        self._failures = failures
        self._refusing = False

    @classmethod
    def open(
        cls,
        uri: str,
        *,
        token: str | None = None,
        folder: Path | None = None,
        max_spool_bytes: int = 1 << 30,
        on_ack: Callable[[list[Acknowledged]], None] = lambda _: None,
        on_failure: Callable[[Failure], None] = lambda _: None,
    ) -> "Store":
        """Open a store for writing and begin to carry what a crash left in its spool.

        Args:
            uri: a path ending in ``.db``, created with its parents where it is missing and
                served by a process of our own; or the address of a Milvus server.
            token: for a server that asks for one.
            folder: where the spool of a *server* lives; by default in the user's state folder.
                An embedded store's lies beside it.
            max_spool_bytes: bound of what may wait for the store.
            on_ack: told of the embeddings that have become stored, those appended by this
                process only. Called from the writer's thread.
            on_failure: given what could not be stored. Called from either thread; what is found
                while opening, by the first ``append``, ``sync``, ``drain`` or ``close``. If it
                raises, that is logged and costs nothing else.

        Raises:
            StoreHeld: another process listens into it.
            StoreUnwritable: the store or the spool cannot be written.
            StoreUnreachable: nothing answers.
            StoreVersion: another version of grym made it.
        """
        path = embedded_path(uri)
        failures = FailureGate(on_failure)
        with contextlib.ExitStack() as undo:
            connection = Connection(uri, token=token)
            undo.callback(connection.close)
            lock = ListenerLock(path) if path else None
            if lock is not None:
                undo.callback(lock.release)
            home = state_dir(path) / "spool" if path else folder or _state_folder()
            spool = _open_spool(home, uri, path is not None, max_spool_bytes, failures)
            undo.callback(spool.close)
            _check_all(connection)
            writer = Writer(connection, spool, on_ack=on_ack, on_failure=failures)
            undo.pop_all()
        writer.start()
        return cls(connection, spool, writer, lock, failures)

    @property
    def full(self) -> bool:
        """The spool is nearly full: sources should wait, live audio is shed."""
        return self._spool.full or self._refusing

    @property
    def pending(self) -> int:
        """Records that wait in the spool: appended, not stored yet."""
        return self._spool.entries - self._writer.carried

    @property
    def folder(self) -> Path:
        """Where what belongs to this store lives on this machine: the spool, locks, logs."""
        return self._spool.folder.parent

    @property
    def failed(self) -> str | None:
        """Why nothing will be stored any more, in one line; None while all is well.

        A store that is away has not failed: the spool keeps what waits for it. With this, what
        was appended stays in the spool for the next ``open``, and the run should end.
        """
        return self._writer.failed

    def append(self, records: Sequence[Storable]) -> bool:
        """Put records into the spool, all of them or none.

        Returns:
            Whether they were taken. If not, ``on_failure`` was told why and ``full`` is true
            until an append succeeds again.

        Raises:
            TypeError: a record is of a kind that no store keeps.
        """
        self._failures.open()
        payloads = [encode(record) for record in records]
        self._writer.waits(records)
        try:
            self._spool.append(payloads)
        except SpoolError as error:
            self._writer.forget(records)
            reason = "spool_full" if isinstance(error, SpoolFullError) else "spool_unwritable"
            if not self._refusing:
                self._say(reason, f"{len(records)} records refused: {error}")
            self._refusing = True
            return False
        self._refusing = False
        self._writer.notify()
        return True

    def sync(self) -> None:
        """Return when everything appended would survive a power cut.

        Raises:
            StoreUnwritable: the disk of the spool refuses.
        """
        self._failures.open()
        try:
            self._spool.sync()
        except SpoolError as error:
            raise StoreUnwritable(str(error)) from error

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is stored; whether that came true in time."""
        self._failures.open()
        return self._writer.drain(timeout_s)

    def close(self) -> None:
        """Stop; what is not stored yet stays in the spool for the next ``open``.

        Takes no longer than the call to the store that is under way, and a few seconds.
        """
        self._failures.open()
        self._writer.close()
        with contextlib.suppress(SpoolError):  # the last sync; said by the one before
            self._spool.close()
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _say(self, reason: str, detail: str) -> None:
        remedy = "free space on that disk, or bring the store back so that the spool empties"
        self._failures(Failure("", "store", reason, detail, remedy, 0.0))


def _state_folder() -> Path:
    return Path(platformdirs.user_state_dir("grym", appauthor=False)) / "spools"


def _open_spool(
    home: Path, uri: str, own: bool, max_bytes: int, on_failure: Callable[[Failure], None]
) -> Spool:
    """The spool beside an embedded store, or the first free one of a server."""
    name = hashlib.blake2b(uri.encode(), digest_size=8).hexdigest()
    folders = [home] if own else [home / f"{name}-{number}" for number in range(_SPOOLS)]
    for folder in folders:
        make_writable(folder, f"spool {folder}")
        try:
            return Spool(folder, max_bytes=max_bytes, on_failure=on_failure)
        except SpoolHeldError:
            continue
        except SpoolError as error:
            raise StoreUnwritable(str(error)) from error
    raise StoreHeld(f"the spool {home} is in use by other processes; stop one of them")


def _check_all(connection: Connection) -> None:
    """Refuse a store that another version made, before anything is written into it."""
    for name in connection.first_answer(lambda it: it.list_collections(timeout=TIMEOUT_S)):
        layout = layout_of(name)
        if layout is not None:
            description = connection.first_answer(partial(_description, name))
            check(description, layout, connection.store)


def _description(name: str, client: MilvusClient) -> dict[str, Any]:
    description: dict[str, Any] = client.describe_collection(name, timeout=TIMEOUT_S)
    return description
