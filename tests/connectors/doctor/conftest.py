"""Who answers wrongly, or not at all."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Address of a port that accepts connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    """Address of a port at which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def babble() -> Iterator[str]:
    """Address of a port that answers every connection with the first bytes of HTTP/2."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with closing(client):
                client.sendall(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n")
                client.shutdown(socket.SHUT_WR)
                while client.recv(4_096):
                    pass

    threading.Thread(target=answer, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()


class Collector(ThreadingHTTPServer):
    """Answers every request with the same status and keeps what it was asked."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.status = status
        self.asked: list[tuple[str, str, bytes]] = []
        self.address = f"127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Content-Type"], content))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def collector() -> Iterator[Callable[[int], Collector]]:
    """Makes servers that answer with a status."""
    servers: list[Collector] = []

    def make(status: int) -> Collector:
        servers.append(Collector(status))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()
