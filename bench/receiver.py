"""A collector as a process of its own: takes what is sent and keeps nothing, until it is ended.

It answers every POST at once, and says the path of each on stdout, after its port.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """One running."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.receiver"], stdout=subprocess.PIPE, text=True
        )
        self.url = f"http://127.0.0.1:{int(self._line())}"

    def wait_for_spans(self) -> None:
        """Wait until spans were received."""
        while not self._line().endswith("traces"):
            pass

    def kill(self) -> None:
        """From now on, connections are refused."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """From now on, connections are made and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the receiver has ended")
        return line.strip()


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that lives as long as it is used."""
    running = Receiver()
    try:
        yield running
    finally:
        running.kill()


class _Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read it, say so, answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        sys.stdout.write(f"{self.path}\n")
        sys.stdout.flush()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_said: object) -> None:
        """Nothing is said on stderr."""


def main() -> None:
    """Serve until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Taking)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
