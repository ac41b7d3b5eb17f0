"""Finds or starts the process that serves an embedded store, and counts as one of its users.

Beside the store ``x.db`` lies ``x.db.state/``: ``users.lock`` (shared by every user, exclusive by
a server that is leaving), ``start.lock`` (one starter at a time), ``server.lock`` (held by the
server as long as it lives), ``server.json`` (its pid and port), ``listener.lock`` (the one
process that writes) and ``server.log``.

Invariant: between ``ensure`` and ``close`` a store process is alive or is started again by the
next ``ensure``; however many users start at once, there is one process.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connectors.locks import FileLock
from connectors.milvus.errors import StoreHeld, StoreUnreachable, StoreUnwritable

EXIT_ALREADY_RUNNING = 75
"""Status of a store process that found another one serving the store."""

_MEMTABLE_BYTES = 4 * 1024 * 1024
_START_TIMEOUT_S = 180.0
_POLL_S = 0.01
_PROBE_S = 2.0
_PACKAGES = Path(__file__).resolve().parents[2]


def embedded_path(uri: str) -> Path | None:
    """The directory of an embedded store, or None where ``uri`` is the address of a server."""
    return Path(uri).expanduser().absolute() if uri.endswith(".db") else None


def state_dir(store: Path) -> Path:
    """Where locks, the spool and the log of an embedded store live: beside it."""
    return store.with_name(f"{store.name}.state")


def make_writable(folder: Path, store: str) -> None:
    """Create ``folder`` with its parents and make sure that files can be made in it.

    Raises:
        StoreUnwritable: it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}-{threading.get_ident()}"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnwritable(
            f"cannot write the store {store}: {error.strerror} ({folder}); make that folder "
            "writable, or choose another store with --store or GRYM_STORE__URI"
        ) from error


@dataclass(frozen=True, slots=True)
class _Server:
    pid: int
    port: int
    error: str


class StoreProcess:
    """One user's hold on the process that serves an embedded store. Thread-safe.

    Args:
        store: the ``.db`` directory; it and its parents are created where they are missing.

    Raises:
        StoreUnwritable: the store, or the folder beside it, cannot be written.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._state = state_dir(store)
        if store.exists() and not store.is_dir():
            raise StoreUnwritable(
                f"cannot use {store} as a store: it is a file, not a folder that grym made; "
                "move it away, or choose another store with --store or GRYM_STORE__URI"
            )
        make_writable(self._state, str(store))
        make_writable(store, str(store))
        self._users = FileLock(self._state / "users.lock")
        self._turn = threading.Lock()
        self._interrupted = threading.Event()

    def ensure(self, timeout_s: float = _START_TIMEOUT_S) -> str:
        """The address of the living store process; starts one where there is none.

        Raises:
            StoreUnreachable: it could not be started within ``timeout_s``, or the engine
                refuses the store; or ``interrupt`` was called.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._turn:
            self._use(deadline_s)
            server = self._living()
            if server is None:
                server = self._start(deadline_s)
        return f"http://127.0.0.1:{server.port}"

    @property
    def pid(self) -> int:
        """Process id of the living store process, 0 where none lives."""
        server = self._living()
        return server.pid if server else 0

    def interrupt(self) -> None:
        """Wait no more, here or in another thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Stop being a user; the process ends when nobody is left."""
        with self._turn:
            self._users.release()

    def _use(self, deadline_s: float) -> None:
        if self._users.held and not self._users.stale:
            return
        self._users.release()
        while not self._users.acquire(shared=True, timeout_s=_POLL_S):
            self._check(deadline_s, "an earlier store process does not end")

    def _start(self, deadline_s: float) -> _Server:
        with FileLock(self._state / "start.lock") as turn:
            while not turn.acquire(timeout_s=_POLL_S):
                self._check(deadline_s)
            child: subprocess.Popen[bytes] | None = None
            while True:
                server = self._living()
                if server is not None:
                    return server
                if child is None and not self._locked():
                    (self._state / "server.json").unlink(missing_ok=True)
                    child = self._spawn()
                elif child is not None and child.poll() is not None and not self._locked():
                    if child.returncode != EXIT_ALREADY_RUNNING:
                        raise self._unreachable(self._last_words(child.returncode))
                    child = None  # somebody who only looked had the lock just then
                self._check(deadline_s)
                time.sleep(_POLL_S)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        environment = dict(os.environ)
        paths = [str(_PACKAGES), environment.get("PYTHONPATH", "")]
        environment |= {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES": str(_MEMTABLE_BYTES),
            "OMP_NUM_THREADS": "1",
            "GRPC_VERBOSITY": "NONE",
        }
        with (self._state / "server.err").open("wb") as errors:
            child = subprocess.Popen(  # noqa: S603  # our own module, fixed arguments
                [
                    *(sys.executable, "-P", "-m", "connectors.milvus.server"),
                    *(str(self._store), str(self._state)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        # Somebody has to collect the exit status, or the dead process stays in the table.
        threading.Thread(target=child.wait, name="store-process-reaper", daemon=True).start()
        return child

    def _locked(self) -> bool:
        with FileLock(self._state / "server.lock") as lock:
            return not lock.acquire(shared=True)

    def _living(self) -> _Server | None:
        try:
            content = json.loads((self._state / "server.json").read_bytes())
            server = _Server(int(content["pid"]), int(content["port"]), str(content["error"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return server if server.port and self._locked() and _accepts(server.port) else None

    def _last_words(self, status: int) -> str:
        try:
            error = str(json.loads((self._state / "server.json").read_bytes())["error"])
        except (OSError, ValueError, KeyError, TypeError):
            error = ""
        if not error:
            written = (self._state / "server.err").read_text(errors="replace").strip()
            error = written.splitlines()[-1] if written else ""
        return error or f"it ended with status {status}"

    def _check(self, deadline_s: float, why: str = "it was not ready in time") -> None:
        if self._interrupted.is_set():
            raise self._unreachable("it is not waited for any more")
        if time.monotonic() > deadline_s:
            raise self._unreachable(why)

    def _unreachable(self, why: str) -> StoreUnreachable:
        return StoreUnreachable(
            f"cannot start the store process for {self._store}: {why}; "
            f"see {self._state / 'server.log'}"
        )


def _accepts(port: int) -> bool:
    """Whether somebody listens; a process that is leaving keeps its lock a little longer."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_PROBE_S).close()
    except OSError:
        return False
    return True


class ListenerLock:
    """The right to write into an embedded store: one process at a time.

    Raises:
        StoreHeld: another process has it; the text names its pid and since when.
        StoreUnwritable: the folder beside the store cannot be written.
    """

    def __init__(self, store: Path) -> None:
        make_writable(state_dir(store), str(store))
        self._lock = FileLock(state_dir(store) / "listener.lock")
        if not self._lock.acquire():
            raise self._held(store)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._lock.write(json.dumps({"pid": os.getpid(), "since": since}).encode())

    def _held(self, store: Path) -> StoreHeld:
        try:
            holder = json.loads(self._lock.read())
            pid, since = int(holder["pid"]), str(holder["since"])
        except (ValueError, KeyError, TypeError):
            pid, since = 0, ""
        who = f"process {pid} since {since}" if pid else "another process"
        return StoreHeld(
            f"the store {store} is being listened into by {who}; "
            "stop it, or give this one another store with --store",
            pid=pid,
            since=since,
        )

    def release(self) -> None:
        """Let another process listen."""
        self._lock.release()
