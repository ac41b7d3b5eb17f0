"""Topics through a real broker: what is published is heard as the files are, whatever happens."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from kafka import KafkaConsumer

from operators.records import ANALYSIS_RATE_HZ
from operators.scene import scene
from tests.flows.conftest import Ran
from tests.flows.test_kill import contents, discrete
from tests.plugins.brokers import Broker
from tests.plugins.unmeasured import unmeasured

GRYM = (sys.executable, "-c", "import sys; from flows.cli import main; main()")
RATES_HZ = (16_000, 44_100, 48_000, 22_050)
Grym = Callable[..., Ran]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight recordings, 16 bit, at several rates, some of them stereo; one is long."""
    folder = tmp_path_factory.mktemp("recordings")
    made = scene(3, duration_s=300.0).samples
    paths = []
    for number in range(8):
        first, length = (0, 240) if not number else (number * 30, 30)
        rate_hz = RATES_HZ[number % len(RATES_HZ)]
        cut = made[first * ANALYSIS_RATE_HZ : (first + length) * ANALYSIS_RATE_HZ]
        samples = soxr.resample(cut, ANALYSIS_RATE_HZ, rate_hz)
        if number % 3 == 1:
            samples = np.stack([samples, samples[::-1] * 0.01], axis=1)
        paths.append(folder / f"r{number}.wav")
        soundfile.write(paths[-1], samples, rate_hz, subtype="PCM_16")
    return paths


@pytest.fixture(autouse=True)
def light_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRYM_LISTEN__MODELS", '["logmel"]')
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@dataclass
class Listening:
    """A ``listen`` in a process of its own, read line by line."""

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def until(self, wanted: Callable[[dict[str, Any]], bool], times: int = 1) -> None:
        """Read on until so many more events were as wanted."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            times -= wanted(self.events[-1])
            if not times:
                return
        assert self.process.stderr is not None
        pytest.fail(f"the listener ended: {self.process.stderr.read()[-2_000:]}")

    def stop(self) -> dict[str, Any]:
        """Ctrl-C; its summary."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=120)
        self.events += [json.loads(line) for line in out.splitlines()]
        assert "Traceback" not in err
        assert self.process.returncode == 0, err
        return self.events[-1]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] in kinds]


@pytest.fixture
def listen() -> Iterator[Callable[..., Listening]]:
    """Start a listener; none outlives its test."""
    started: list[Listening] = []

    def start(*arguments: object, **env: str) -> Listening:
        process = subprocess.Popen(
            [*GRYM, "listen", *map(str, arguments), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=unmeasured(**env),
        )
        started.append(Listening(process))
        return started[-1]

    yield start
    for each in started:
        with contextlib.suppress(ProcessLookupError):
            each.process.kill()
        each.process.communicate(timeout=60)


def ended(event: dict[str, Any]) -> bool:
    return event["event"] == "source" and event["state"] == "ended"


def messages(address: str) -> list[Any]:
    """Everything on a topic now, by the driver alone."""
    server, _, topic = address.removeprefix("kafka://").partition("/")
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=server,
        group_id=None,
        auto_offset_reset="earliest",
        consumer_timeout_ms=2_000,
    )
    try:
        return list(consumer)
    finally:
        consumer.close()


def named(paths: list[Path]) -> list[str]:
    return [f"{path.stem}={path}" for path in paths]


def assert_same_rows(one: Path, other: Path) -> None:
    """Every row of two stores, key by key."""
    rows, vectors = contents(one)
    expected, expected_vectors = contents(other)
    assert expected_vectors
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        assert discrete(row) == discrete(expected[key]), key
    for key, vector in vectors.items():
        norm = np.linalg.norm(vector) * np.linalg.norm(expected_vectors[key])
        assert norm == 0 or vector @ expected_vectors[key] / norm > 0.9999, key


@pytest.fixture(scope="module")
def heard_as_files(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the same recordings heard as files."""
    store = tmp_path_factory.mktemp("files") / "files.db"
    subprocess.run(
        [*GRYM, "listen", *named(recordings), "--store", str(store), "--json"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=unmeasured(GRYM_LISTEN__MODELS='["logmel"]', OMP_NUM_THREADS="1"),
    )
    return store


@pytest.fixture
def published(recordings: list[Path], tansu: str, topic: str, grym: Grym) -> str:
    """The recordings on a topic of four partitions; its address."""
    to = f"kafka://{tansu}/{topic}"
    ran = grym("publish", *named(recordings), "--to", to, "--partitions", 4, "--json")
    assert ran.status == 0, ran.err
    return to


def test_what_is_published_is_heard_as_the_files_are(
    published: str, listen: Callable[..., Listening], heard_as_files: Path, tmp_path: Path
) -> None:
    listening = listen(f"{published}?from=earliest", "--store", tmp_path / "t.db")
    listening.until(ended, times=8)
    summary = listening.stop()
    assert not listening.of("failure")
    assert summary["audio_s"] == pytest.approx(450, abs=0.1)
    assert listening.of("relation")
    assert_same_rows(tmp_path / "t.db", heard_as_files)


def test_killed_and_started_again_nothing_is_missing_and_nothing_twice(
    published: str, listen: Callable[..., Listening], heard_as_files: Path, tmp_path: Path
) -> None:
    arguments = [
        *(f"{published}?from=earliest", "--store", tmp_path / "k.db"),
        *("--recovery", tmp_path / "recovery", "--windows"),
    ]
    over: set[str] = set()
    for kill in range(6):
        listening = listen(*arguments, GRYM_LISTEN__EPOCH_S="0.1")
        listening.until(lambda event: event["event"] == "window", times=20 + 25 * kill)
        listening.kill()
        over |= {event["stream"] for event in listening.events if ended(event)}
    last = listen(*arguments, GRYM_LISTEN__EPOCH_S="0.1")
    while len(over) < 8:
        last.until(ended)
        over.add(last.events[-1]["stream"])
    last.stop()
    assert_same_rows(tmp_path / "k.db", heard_as_files)


def test_two_processes_that_share_a_topic_hear_together_what_one_hears(
    published: str, listen: Callable[..., Listening], heard_as_files: Path, tmp_path: Path
) -> None:
    expected, _ = contents(heard_as_files)
    places = {message.key.decode(): message.partition for message in messages(published)}
    assert len(places) == 8
    assert {partition % 2 for partition in places.values()} == {0, 1}
    halves = []
    for number in (1, 2):
        share = ("--process", number, "--of", 2, "--recovery", tmp_path / f"recovery{number}")
        halves.append(
            listen(f"{published}?from=earliest", *share, "--store", tmp_path / f"{number}.db")
        )
    for number, half in enumerate(halves):
        half.until(ended, times=sum(place % 2 == number for place in places.values()))
        half.stop()
    rows: dict[str, Any] = {}
    for number in (1, 2):
        own, _ = contents(tmp_path / f"{number}.db")
        assert not rows.keys() & own.keys()
        rows |= own
    assert rows.keys() == expected.keys()
    assert all(discrete(row) == discrete(expected[key]) for key, row in rows.items())


def test_a_broker_that_freezes_and_one_that_stops_lose_nothing(
    recordings: list[Path],
    noida: Broker,
    topic: str,
    grym: Grym,
    listen: Callable[..., Listening],
    tmp_path: Path,
) -> None:
    to = f"kafka://{noida.address}/{topic}"
    first, second, third = recordings[1:4]
    assert grym("publish", f"first={first}", "--to", to).status == 0
    listening = listen(f"{to}?from=earliest", "--store", tmp_path / "b.db")
    listening.until(ended)
    for away, back, name, path in (
        (noida.freeze, noida.thaw, "second", second),
        (noida.stop, noida.start, "third", third),
    ):
        away()
        listening.until(lambda event: event.get("state") == "degraded")
        back()
        listening.until(lambda event: event.get("state") == "live")
        assert grym("publish", f"{name}={path}", "--to", to).status == 0
        listening.until(ended)
    summary = listening.stop()
    assert not listening.of("failure")
    assert summary["audio_s"] == pytest.approx(90, abs=0.1)

    files = tmp_path / "files.db"
    sources = [f"first={first}", f"second={second}", f"third={third}"]
    assert grym("listen", *sources, "--store", files, "--quiet").status == 0
    assert_same_rows(tmp_path / "b.db", files)


def test_events_go_to_a_topic_too(
    published: str, topic: str, tansu: str, listen: Callable[..., Listening], tmp_path: Path
) -> None:
    to = f"kafka://{tansu}/{topic}.events"
    listening = listen(
        f"{published}?from=earliest", "--store", tmp_path / "e.db", "--events-to", to
    )
    listening.until(ended, times=8)
    listening.stop()
    told = [json.loads(message.value) for message in messages(to)]
    # How the topic of events itself is doing is shown only.
    shown = [
        event
        for event in listening.events
        if event["event"] != "summary" and event.get("stream") != f"{topic}.events"
    ]
    assert sorted(map(json.dumps, shown)) == sorted(
        json.dumps(event) for event in told if event["event"] != "summary"
    )
