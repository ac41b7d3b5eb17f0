"""The store: whether it could be written, by a listener that starts now.

Invariant: nothing is created: a store that is not there is looked for in the folder where it would
be made, no store process is started, and a lock is looked at only where there is one.
"""

import shutil
import socket
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from connectors.doctor.asked import Asked, AskedStore
from connectors.doctor.background import begin
from connectors.doctor.finding import Finding, of_sentence, words
from connectors.locks import FileLock
from connectors.milvus.errors import StoreError
from connectors.milvus.process import (
    ListenerLock,
    StoreProcess,
    embedded_path,
    make_writable,
    state_dir,
)

_GB = 1e9
_MB = 1e6
_REMEDY = "start it, or choose another one with --store or GRYM_STORE__URI"


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """Of an embedded store its folder, room and lock; of a server whether it answers."""
    store = asked.store
    if store is None:
        return
    path = embedded_path(store.uri)
    try:
        yield _server(store, patience_s) if path is None else _embedded(path, store.spool_mb)
    except StoreError as error:
        yield of_sentence("store", str(error).replace(store.uri, store.shown))


def _embedded(path: Path, spool_mb: int) -> Finding:
    try:
        folder = next(each for each in (path, *path.parents) if each.exists())
        _check_writable(path, folder)
        _check_unheld(path)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        detail = f"cannot look at the store {path}: {words(error)}"
        return Finding("store", "broken", detail, "choose another one with --store")
    state = "is there" if path.exists() else "is made when something is heard"
    if free < spool_mb * _MB:
        detail = f"{path}: {free / _MB:.0f} MB free, less than may wait there ({spool_mb} MB)"
        return Finding("store", "note", detail, "make room there, or lower store.spool_mb")
    return Finding("store", "ok", f"{path} {state}, {free / _GB:.1f} GB free")


def _check_writable(path: Path, folder: Path) -> None:
    """Raise what a listener would run into.

    Args:
        path: the store.
        folder: the store itself, or what is there of the way to it.
    """
    if folder == path:
        if not path.is_dir():
            StoreProcess(path)  # refuses it, before it makes anything
        make_writable(path, str(path))
        make_writable(state if (state := state_dir(path)).is_dir() else path.parent, str(path))
    else:
        # What stands in the way as a file lets nothing be made behind it: the listener's own words.
        make_writable(folder if folder.is_dir() else state_dir(path), str(path))


def _check_unheld(path: Path) -> None:
    lock = state_dir(path) / "listener.lock"
    if not lock.exists():
        return
    with FileLock(lock) as looking:
        free = looking.acquire(shared=True)
    if not free:
        ListenerLock(path).release()  # who holds it is in what it raises


def _server(store: AskedStore, patience_s: float) -> Finding:
    try:
        version = begin(lambda: _version(store, patience_s)).result(patience_s)
    except TimeoutError:
        detail = f"no store answers at {store.shown} within {patience_s:g} s"
        return Finding("store", "broken", detail, _REMEDY)
    except (OSError, ValueError) as error:
        detail = f"no store answers at {store.shown}: {words(error)}"
        return Finding("store", "broken", detail, _REMEDY)
    return Finding("store", "ok", f"Milvus {version} at {store.shown}")


def _version(store: AskedStore, patience_s: float) -> str:
    """What a server says it is.

    Raises:
        OSError: nobody listens there.
        StoreError: it does not answer, or refuses.
    """
    address = urlsplit(store.uri)
    if address.hostname and address.port:  # a client would knock for seconds
        socket.create_connection((address.hostname, address.port), patience_s).close()
    connection = import_module("connectors.milvus.connection").Connection(
        store.uri, token=store.token
    )
    try:
        return str(connection.first_answer(lambda client: client.get_server_version()))
    finally:
        connection.close()
