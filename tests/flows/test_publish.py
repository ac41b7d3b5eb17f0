"""``grym publish``: files through a real broker, read by a bare consumer."""

import io
import json
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from connectors.kafka import producing
from connectors.kafka.wire import AudioMessage, decode
from flows import pump
from flows.cli import publishing
from flows.publish import PublishRequest, publish
from flows.pump import Publishing
from flows.settings import load
from operators.records import SourceState
from tests.flows.conftest import Ran
from tests.plugins.brokers import Broker, free_port
from tests.plugins.reading import read_topic

Grym = Callable[..., Ran]
GRYM = (sys.executable, "-c", "import sys; from flows.cli import main; main()")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is not there is given up after half a second."""
    monkeypatch.setattr(producing, "BOOTSTRAP_MS", 500)


@pytest.fixture
def recordings(tmp_path: Path) -> dict[str, np.ndarray]:
    """Name -> 16-bit samples of what lies in the folder: two files and a folder of two."""
    random = np.random.default_rng(5)
    folder = tmp_path / "in"
    (folder / "days").mkdir(parents=True)
    made = {}
    for name, rate, shape in (
        ("mono.wav", 16_000, (24_810, 1)),
        ("stereo.flac", 44_100, (30_000, 2)),
        ("days/a.wav", 8_000, (4_444, 1)),
        ("days/b.wav", 8_000, (800, 1)),
    ):
        made[name] = random.integers(-32_768, 32_767, shape, np.int16, endpoint=True)
        soundfile.write(folder / name, made[name], rate, subtype="PCM_16")
    return made


def streams(address: str, topic: str, count: int) -> dict[str, list[AudioMessage]]:
    found: dict[str, list[AudioMessage]] = defaultdict(list)
    for record in read_topic(address, topic, count):
        message = decode(record.key, record.value, record.headers)
        found[message.stream].append(message)
    return found


def whole(messages: list[AudioMessage]) -> np.ndarray:
    samples = np.concatenate([each.samples for each in messages]) * 32_768
    assert np.array_equal(samples, samples.astype(np.int16))
    return samples.astype(np.int16)


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
def test_files_and_folders_arrive_bit_for_bit_on_their_partitions(
    codec: str, recordings: dict[str, Any], tmp_path: Path, tansu: str, topic: str, grym: Grym
) -> None:
    folder = tmp_path / "in"
    sources = (folder / "mono.wav", f"two={folder / 'stereo.flac'}", folder / "days")
    to = f"kafka://{tansu}/{topic}"
    start = ("--start", "2026-05-01T00:00:00Z")
    ran = grym(
        "publish", *sources, "--to", to, "--partitions", 2, "--codec", codec, "--json", *start
    )
    assert ran.status == 0, ran.err
    begin_ns = 1_777_593_600 * 10**9
    found = streams(tansu, topic, ran.summary["messages"])
    assert set(found) == {"mono.wav", "two", "days"}
    assert np.array_equal(whole(found["mono.wav"]), recordings["mono.wav"])
    assert np.array_equal(whole(found["two"]), recordings["stereo.flac"])
    for messages in (found["mono.wav"], found["two"]):
        assert [each.seq for each in messages] == list(range(len(messages)))
        assert [each.end for each in messages] == [False] * (len(messages) - 1) + [True]
        assert messages[0].ts_ns == begin_ns
    days = found["days"]
    epochs = list(dict.fromkeys(each.epoch for each in days))
    first, second = ([each for each in days if each.epoch == epoch] for epoch in epochs)
    assert np.array_equal(whole(first), recordings["days/a.wav"])
    assert np.array_equal(whole(second), recordings["days/b.wav"])
    assert second[0].seq == 0
    assert 10.5 < (second[0].ts_ns - begin_ns) / 1e9 < 10.6
    published = {event["stream"]: event for event in ran.of("published")}
    assert published["mono.wav"]["audio_s"] == 1.5506
    assert all(each["acknowledged"] == each["messages"] for each in published.values())
    assert ran.summary["unacknowledged"] == 0


def test_floats_beyond_full_scale_are_cut_off_and_told(
    tmp_path: Path, tansu: str, topic: str, grym: Grym
) -> None:
    soundfile.write(tmp_path / "hot.wav", np.full(800, 1.5, np.float32), 8_000, subtype="FLOAT")
    ran = grym("publish", tmp_path / "hot.wav", "--to", f"kafka://{tansu}/{topic}")
    assert ran.status == 0
    assert "800 samples beyond full scale were cut off" in ran.err
    assert "published 0.1 s of audio of 1 streams" in ran.out
    (message, _) = streams(tansu, topic, 2)["hot.wav"]
    assert (message.samples == 32_767 / 32_768).all()


def test_a_source_that_fails_is_shown_and_the_others_arrive(
    recordings: dict[str, Any], tmp_path: Path, tansu: str, topic: str, grym: Grym
) -> None:
    missing = tmp_path / "missing.wav"
    to = f"kafka://{tansu}/{topic}"
    ran = grym("publish", missing, tmp_path / "in" / "mono.wav", "--to", to, "--json")
    assert ran.status == 3
    assert [each["stream"] for each in ran.of("failure")] == ["missing.wav"]
    assert ran.summary["sources_failed"] == 1
    assert len(streams(tansu, topic, ran.summary["messages"])["mono.wav"]) == 17


def test_what_cannot_be_meant_is_refused_before_anything_is_opened(
    recordings: dict[str, Any], tmp_path: Path, grym: Grym
) -> None:
    wav = tmp_path / "in" / "mono.wav"
    to = ("--to", "kafka://127.0.0.1:1/t")
    for arguments, said in (
        ((wav, "--to", "http://127.0.0.1/t"), "--to: "),
        ((wav, *to, "--codec", "mp3"), "--codec 'mp3': expected pcm_s16le or flac"),
        ((wav, *to, "--speed", "fast"), "--speed 'fast': expected max or realtime"),
        (("kafka://127.0.0.1:1/t?from=earliest", *to), "it would never end"),
    ):
        ran = grym("publish", *arguments)
        assert ran.status == 2, said
        assert said in ran.err
        assert "Traceback" not in ran.err


class Watching:
    """Collects what is shown, and does something when a broker is said to be away."""

    def __init__(self, when_away: Callable[[], None]) -> None:
        self.states: list[str] = []
        self.events: list[dict[str, Any]] = []
        self._when_away = when_away

    def __call__(self, item: object) -> None:
        assert isinstance(item, SourceState)
        self.states.append(item.state)
        if item.state == "degraded":
            self._when_away()

    def event(self, event: dict[str, Any]) -> None:
        self.events.append(event)


def test_a_broker_that_starts_late_gets_everything_and_its_state_is_shown(
    recordings: dict[str, Any], tmp_path: Path, noida: Broker, topic: str
) -> None:
    noida.stop()
    view = Watching(noida.start)
    request = PublishRequest(
        [str(tmp_path / "in" / "mono.wav")], f"kafka://{noida.address}/{topic}"
    )
    outcome = publish(load(), request, view, threading.Event())
    assert view.states == ["degraded", "live"]
    assert (outcome.exit_status, outcome.summary["unacknowledged"]) == (0, 0)
    messages = streams(noida.address, topic, 17)["mono.wav"]
    assert np.array_equal(whole(messages), recordings["mono.wav"])


def test_stopping_while_no_broker_answers_ends_in_time_and_says_what_is_missing(
    recordings: dict[str, Any], tmp_path: Path, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "STOP_S", 0.3)
    stop = threading.Event()
    view = Watching(stop.set)
    wav = str(tmp_path / "in" / "mono.wav")
    request = PublishRequest([wav], f"kafka://127.0.0.1:{free_port()}/{topic}")
    outcome = publish(load(), request, view, stop)
    assert outcome.exit_status == 1
    assert "17 messages were not acknowledged" in outcome.notes[0]
    assert outcome.summary["unacknowledged"] == 17


def test_files_whose_messages_nobody_took_are_no_success(
    recordings: dict[str, Any], tmp_path: Path, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "DRAIN_S", 0.3)
    wav = str(tmp_path / "in" / "mono.wav")
    request = PublishRequest([wav], f"kafka://127.0.0.1:{free_port()}/{topic}")
    outcome = publish(load(), request, Watching(lambda: None), threading.Event())
    assert outcome.exit_status == 1


def test_brokers_that_cannot_be_used_end_it_with_the_reason(
    recordings: dict[str, Any],
    tmp_path: Path,
    tansu: str,
    topic: str,
    grym: Grym,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRYM_KAFKA__SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("GRYM_KAFKA__CA_FILE", "/nowhere/ca.pem")
    ran = grym("publish", tmp_path / "in" / "mono.wav", "--to", f"kafka://{tansu}/{topic}")
    assert ran.status == 1
    assert "/nowhere/ca.pem" in ran.err


def test_a_message_that_the_broker_refuses_is_shown_and_counts(
    tmp_path: Path, noida: Broker, topic: str, grym: Grym
) -> None:
    wide = np.random.default_rng(1).integers(-9_000, 9_000, (38_400, 32), np.int16)
    soundfile.write(tmp_path / "wide.wav", wide, 384_000, subtype="PCM_16")
    ran = grym(
        "publish", tmp_path / "wide.wav", "--to", f"kafka://{noida.address}/{topic}", "--json"
    )
    assert ran.status == 3
    (failure,) = ran.of("failure")
    assert (failure["stage"], failure["reason"]) == ("publish", "refused")
    assert ran.summary["refused"] == 1


def test_ctrl_c_ends_a_live_stream_with_its_end_and_status_zero(tansu: str, topic: str) -> None:
    to = f"kafka://{tansu}/{topic}"
    command = (*GRYM, "publish", "pi=-", "--rate", "8000", "--channels", "1", "--to", to, "--json")
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(np.arange(2_000, dtype=np.int16).tobytes())
    process.stdin.flush()
    assert len(streams(tansu, topic, 2)["pi"]) == 2
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["audio_s"] == 0.25
    messages = streams(tansu, topic, 4)["pi"]
    assert np.array_equal(whole(messages)[:, 0], np.arange(2_000))
    assert messages[-1].end


def test_the_line_of_progress_says_how_far_it_is(
    recordings: dict[str, Any], tmp_path: Path, tansu: str, topic: str
) -> None:
    lines: list[str] = []
    console = Console(file=io.StringIO(), force_terminal=True)
    with publishing._progress(console, drawn=True) as follow:

        def note(found: Publishing) -> None:
            follow(found)
            lines.append(publishing.line(found))

        wav = str(tmp_path / "in" / "mono.wav")
        request = PublishRequest([wav], f"kafka://{tansu}/{topic}")
        publish(load(), request, Watching(lambda: None), threading.Event(), note)
    assert lines == ["publishing 0 streams: 0 s sent, 0 messages/s, 0 unacknowledged"]
    assert "publishing" in console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
