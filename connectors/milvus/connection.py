"""One client of a store, wherever it lives.

Invariant: a client handed out was connected to a store that answered; after ``mend`` the next one
is connected anew, and an embedded store's process is started again if it has died.
"""

import contextlib
import logging
import threading

import grpc
from pymilvus import MilvusClient, MilvusException
from pymilvus.exceptions import ConnectionConfigException

from connectors.milvus.errors import StoreMissing, StoreUnreachable
from connectors.milvus.faults import words_of
from connectors.milvus.process import StoreProcess, embedded_path

TIMEOUT_S = 10.0
"""Given with every call: a client's own time limit covers connecting only."""
_CONNECT_TIMEOUT_S = 5.0


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
        # Its errors come to us as exceptions; it would print each with a traceback as well.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

    @property
    def process_id(self) -> int:
        """Of the process that serves an embedded store; 0 where there is none."""
        return self._process.pid if self._process else 0

    def client(self) -> MilvusClient:
        """The present client; connects first where there is none.

        Raises:
            StoreUnreachable: nothing answers.
        """
        with self._turn:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> MilvusClient:
        uri = self._process.ensure() if self._process else self._uri
        # A proxy from the environment must not stand between us and our own loopback.
        options = {"grpc.enable_http_proxy": 0} if self.embedded else {}
        try:
            client = MilvusClient(
                uri,
                token=self._token,
                timeout=_CONNECT_TIMEOUT_S,
                dedicated=True,
                grpc_options=options,
            )
            if not self.embedded:
                version = str(client.get_server_version(timeout=TIMEOUT_S))
                self.lite = version.startswith("milvus_lite")
        except (MilvusException, ConnectionConfigException, grpc.RpcError) as error:
            raise StoreUnreachable(
                f"no store answers at {self.store}: {words_of(error)}; "
                "start it, or choose another one with --store or GRYM_STORE__URI"
            ) from error
        return client

    def mend(self) -> None:
        """Drop the client: the next one is connected anew."""
        with self._turn:
            client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # it may have lost its channel already
                client.close()

    def close(self) -> None:
        """Disconnect, and stop being a user of an embedded store."""
        self.mend()
        if self._process is not None:
            self._process.close()


def missing(store: str) -> StoreMissing:
    """The error for a store into which nothing was heard."""
    return StoreMissing(
        f"nothing has been heard into {store} yet; "
        "run `grym listen SOURCE --store` with it first, or name the right store with --store"
    )
