"""One client of a store, wherever it lives.

Invariant: a client handed out was connected to a store that answered; after ``mend`` the next one
is connected anew, and an embedded store's process is started again if it has died. A store that
is only slow (a machine under load, a service that is starting) is asked again while it is opened;
after ``interrupt`` nothing is waited for any more.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import grpc
from pymilvus import MilvusClient, MilvusException
from pymilvus.exceptions import ConnectionConfigException

from connectors.milvus.errors import StoreError, StoreMissing, StoreUnreachable
from connectors.milvus.faults import Fault, fault_of, words_of
from connectors.milvus.process import StoreProcess, embedded_path

TIMEOUT_S = 10.0
"""Given with every call: a client's own time limit covers connecting only."""
_CONNECT_TIMEOUT_S = 5.0
_PATIENCE_S = 60.0
_PAUSE_S = 0.1
_CLOSE_S = 1.0
_NEVER_MS = 2**31 - 1
# A proxy from the environment must not stand between us and our own loopback. Nor is it pinged,
# as pymilvus would every 10 s: the kernel tells when the process is gone, and one that only has
# no time to answer the ping would be given up.
_OWN_PROCESS = {"grpc.enable_http_proxy": 0, "grpc.keepalive_time_ms": _NEVER_MS}

Answer = TypeVar("Answer")


class Connection:
    """A client of the store at ``uri``, made when it is first needed. Thread-safe.

    Args:
        uri: a path ending in ``.db`` (embedded: grym runs the process) or a server's address.
        token: for a server that asks for one.
        must_exist: refuse an embedded store that is not there instead of creating it.

    Raises:
        StoreUnwritable: an embedded store cannot be written.
        StoreMissing: there is none, with ``must_exist``.
    """

    def __init__(self, uri: str, *, token: str | None = None, must_exist: bool = False) -> None:
        path = embedded_path(uri)
        if path is not None and must_exist and not path.exists():
            raise missing(str(path))
        self.store = str(path) if path else uri
        self.embedded = path is not None
        self.lite = self.embedded
        self._uri = uri
        self._token = token or ""
        self._process = StoreProcess(path) if path else None
        self._client: MilvusClient | None = None
        self._turn = threading.Lock()
        self._interrupted = threading.Event()
        # Its errors come to us as exceptions; it would print each with a traceback as well.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

    def client(self) -> MilvusClient:
        """The present client; connects first where there is none.

        Raises:
            StoreUnreachable: nothing answers.
        """
        with self._turn:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def first_answer(self, question: Callable[[MilvusClient], Answer]) -> Answer:
        """The answer to a question put while opening; a slow or busy store is asked again.

        Raises:
            StoreUnreachable: it refuses, or is still not able to answer after a minute.
        """
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return question(self.client())
            except StoreError:
                raise
            except Exception as error:
                fault = fault_of(error, lite=self.lite)
                if fault is Fault.POISON:
                    raise
                if fault is Fault.FATAL or self._late(deadline_s):
                    words = f"the store {self.store} refuses: {words_of(error)}"
                    raise StoreUnreachable(words) from error
                self.mend()

    def _connect(self) -> MilvusClient:
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            uri = self._process.ensure() if self._process else self._uri
            try:
                return self._connect_once(uri)
            except (MilvusException, ConnectionConfigException, grpc.RpcError) as error:
                if self._process is None or self._late(deadline_s):
                    raise StoreUnreachable(
                        f"no store answers at {self.store}: {words_of(error)}; "
                        "start it, or choose another one with --store or GRYM_STORE__URI"
                    ) from error

    def _connect_once(self, uri: str) -> MilvusClient:
        # Read when the first channel is made. What the core of gRPC has to say comes to us as
        # exceptions too; on a person's terminal its lines mean nothing.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        client = MilvusClient(
            uri,
            token=self._token,
            timeout=_CONNECT_TIMEOUT_S,
            dedicated=True,
            grpc_options=_OWN_PROCESS if self.embedded else {},
        )
        if not self.embedded:
            version = str(client.get_server_version(timeout=TIMEOUT_S))
            self.lite = version.startswith("milvus_lite")
        return client

    def _late(self, deadline_s: float) -> bool:
        return time.monotonic() > deadline_s or self._interrupted.wait(_PAUSE_S)

    def interrupt(self) -> None:
        """Wait no more for a store process or an answer, here or in another thread."""
        self._interrupted.set()
        if self._process is not None:
            self._process.interrupt()

    def mend(self) -> None:
        """Drop the client: the next one is connected anew."""
        with self._turn:
            client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # it may have lost its channel already
                client.close()

    def close(self) -> None:
        """Disconnect, and stop being a user of an embedded store."""
        self.interrupt()
        # Somebody who is just connecting cannot be called back: the system cleans up behind him.
        if self._turn.acquire(timeout=_CLOSE_S):
            self._turn.release()
            self.mend()
        if self._process is not None:
            self._process.close()


def missing(store: str) -> StoreMissing:
    """The error for a store into which nothing was heard."""
    return StoreMissing(
        f"nothing has been heard into {store} yet; "
        "run `grym listen SOURCE --store` with it first, or name the right store with --store"
    )
