"""The store process: Milvus Lite behind gRPC on loopback, alive as long as somebody uses it.

Run as ``python -m connectors.milvus.server DATA_DIR STATE_DIR`` by ``connectors.milvus.process``,
never by hand. Milvus Lite 3.2.2 loses acknowledged rows when two first calls open one collection
at once, when two clients write to one collection, and shows a reader nothing of a memtable that
is being flushed. So every collection is opened and loaded before the port is published, and calls
to one collection take turns. A write that fails on disk leaves the engine's memory and its log
apart: the process then ends at once, and the next start recovers from the log.

Invariant: at most one process a store (``server.lock``); the port in ``server.json`` belongs to
the holder of that lock; when the last shared lock on ``users.lock`` is gone for ``_IDLE_S``, the
process takes it exclusively, closes the store and ends, and no user can begin until it has.
"""

import functools
import json
import logging
import logging.handlers
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.db import MilvusLite
from pymilvus.grpc_gen import milvus_pb2_grpc

from connectors.locks import FileLock
from connectors.milvus import durable
from connectors.milvus.process import EXIT_ALREADY_RUNNING

SERVER_FILE = "server.json"
SERVER_LOCK = "server.lock"
USERS_LOCK = "users.lock"
LOG_FILE = "server.log"
EXIT_DISK_FAILED = 74
FILE_VERSION = 1

_IDLE_S = 1.0
_LOOK_S = 0.2
_LOCK_S = 1.0
_MESSAGE_BYTES = 256 * 1024 * 1024
_IN_TURN = (
    *("Insert", "Upsert", "Delete", "Query", "Search"),
    *("LoadCollection", "ReleaseCollection", "CreateIndex", "DropCollection"),
)
_WRITES = ("insert", "upsert", "delete")


class _Engine(MilvusLite):  # type: ignore[misc]  # milvus_lite carries no annotations
    """Milvus Lite, its collections opened and created by one thread at a time, and fail-stop."""

    def __init__(self, data_dir: str) -> None:
        self._opening = threading.RLock()
        self._guarded: set[str] = set()
        super().__init__(data_dir)

    def get_collection(self, *args: Any, **kwargs: Any) -> Any:
        with self._opening:
            return self._guard(super().get_collection(*args, **kwargs))

    def create_collection(self, *args: Any, **kwargs: Any) -> Any:
        with self._opening:
            return self._guard(super().create_collection(*args, **kwargs))

    def drop_collection(self, name: str, *args: Any, **kwargs: Any) -> Any:
        with self._opening:
            self._guarded.discard(name)
            return super().drop_collection(name, *args, **kwargs)

    def _guard(self, collection: Any) -> Any:
        if collection.name not in self._guarded:
            self._guarded.add(collection.name)
            for write in _WRITES:
                setattr(collection, write, _fail_stop(getattr(collection, write)))
        return collection


def _fail_stop(write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def write_or_end(*args: Any, **kwargs: Any) -> Any:
        try:
            return write(*args, **kwargs)
        except OSError as error:
            logging.critical("the disk failed under a write, ending: %s", error)
            os._exit(EXIT_DISK_FAILED)

    return write_or_end


class _Service(MilvusServicer):  # type: ignore[misc]  # milvus_lite carries no annotations
    """Milvus Lite's service with the calls to one collection taken in turn."""

    def __init__(self, engine: MilvusLite) -> None:
        super().__init__(engine)
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        for name in _IN_TURN:
            setattr(self, name, self._in_turn(getattr(self, name)))

    def _in_turn(self, call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def take_turn(request: Any, context: Any) -> Any:
            with self._turns[request.collection_name]:
                return call(request, context)

        return take_turn


def main(arguments: list[str]) -> int:
    """Serve the store until its last user has gone or SIGTERM comes.

    Args:
        arguments: the directory of the Milvus Lite store and that of locks and ``server.json``.

    Returns:
        The exit status: 0 done, 1 the store could not be opened, 75 somebody else serves it.
    """
    data_dir, state_dir = (Path(argument) for argument in arguments)
    lock = FileLock(state_dir / SERVER_LOCK)
    if not lock.acquire(timeout_s=_LOCK_S):
        return EXIT_ALREADY_RUNNING
    _log_to(state_dir / LOG_FILE)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    durable.install()
    try:
        engine = _open(data_dir)
    except Exception as error:
        logging.exception("cannot open %s", data_dir)
        _publish(state_dir, error=f"{type(error).__name__}: {error}")
        return 1
    server, port = _serve(engine)
    _publish(state_dir, port=port)
    users = _wait_until_unused(state_dir, stop)
    server.stop(grace=2).wait()
    engine.close()
    if not lock.stale:
        (state_dir / SERVER_FILE).unlink(missing_ok=True)
    users.release()
    lock.release()
    return 0


def _open(data_dir: Path) -> _Engine:
    engine = _Engine(str(data_dir))
    for name in engine.list_collections():
        collection = engine.get_collection(name)
        try:
            collection.load()
        except Exception:
            # Index files are written in place: a process killed meanwhile leaves a torn one,
            # and the collection would never load again. They are derived; make them anew.
            logging.warning("making the indexes of %s anew", name, exc_info=True)
            for index in Path(collection.data_dir).glob("partitions/*/indexes/*"):
                index.unlink()
            collection.load()
    return engine


def _serve(engine: _Engine) -> tuple[grpc.Server, int]:
    server = grpc.server(
        ThreadPoolExecutor(max_workers=10),
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            # pymilvus pings every 10 s, also between calls; by default that is "too many pings".
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 0),
            ("grpc.http2.max_ping_strikes", 0),
        ],
    )
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(_Service(engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def _publish(state_dir: Path, *, port: int = 0, error: str = "") -> None:
    content = {"version": FILE_VERSION, "pid": os.getpid(), "port": port, "error": error}
    fresh = state_dir / f"{SERVER_FILE}.new"
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.replace(state_dir / SERVER_FILE)


def _wait_until_unused(state_dir: Path, stop: threading.Event) -> FileLock:
    """Return when nobody has used the store for a while, holding the users' lock if possible."""
    users = FileLock(state_dir / USERS_LOCK)
    used_s = time.monotonic()
    while not stop.wait(_LOOK_S):
        try:
            unused = users.acquire()
        except OSError:
            logging.warning("the folder %s is gone, ending", state_dir)
            break
        if not unused:
            used_s = time.monotonic()
        elif time.monotonic() - used_s >= _IDLE_S:
            break
        else:
            users.release()
    return users


def _log_to(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=1_000_000, backupCount=1)
    logging.basicConfig(
        level=logging.WARNING, handlers=[handler], format="%(asctime)s %(levelname)s %(message)s"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
