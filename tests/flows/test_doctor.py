"""``grym doctor``: what is broken, what mends it, and nothing touched."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from connectors.doctor import examining
from connectors.kafka import consuming
from connectors.kafka.address import parse
from flows.cli import doctoring
from flows.settings import load
from tests.flows.conftest import Ran
from tests.plugins.brokers import free_port

Grym = Callable[..., Ran]
ROOT = Path(__file__).resolve().parents[2]
LONG_S = 300.0
ALONE = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from flows.cli import rescue
try:
    import flows.cli.app
except ImportError as error:
    sys.exit(rescue.run(sys.argv[2:], error))
"""


def left_in(folder: Path) -> list[Path]:
    """The files in a folder but the cookie that the sound system's own library leaves there."""
    return [path for path in folder.rglob("*") if path.is_file() and "pulse" not in path.parts]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes its time; models that every machine has; no collector."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRYM_LISTEN__MODELS", '["logmel"]')
    patient = partial(examining.examine, patience_s=LONG_S, apart_s=LONG_S, most_s=LONG_S)
    monkeypatch.setattr(examining, "examine", patient)


def broken(ran: Ran) -> dict[str, dict[str, object]]:
    return {event["check"]: event for event in ran.of("check") if event["status"] == "broken"}


def test_an_installation_that_is_well_is_told_as_objects_on_lines(
    grym: Grym, tmp_path: Path
) -> None:
    ran = grym("doctor", "--json")
    assert (ran.status, ran.err) == (0, "")
    *found, closing = ran.events
    assert {tuple(event) for event in found} == {("event", "check", "status", "detail", "remedy")}
    counts = {
        status: sum(event["status"] == status for event in found)
        for status in ("ok", "note", "broken")
    }
    assert closing == {
        "event": "doctor",
        "ok": counts["ok"],
        "notes": counts["note"],
        "broken": 0,
    }
    assert counts["broken"] == 0
    assert left_in(tmp_path) == []


def test_a_person_sees_lines_that_fit_the_terminal(
    grym: Grym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal,
    monkeypatch.setenv("TERM", "dumb")  # though without colours
    (tmp_path / "file").touch()
    ran = grym("doctor", "--store", tmp_path / "file" / "x.db", tmp_path / "none.wav")
    assert ran.status == 1
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:2] == ["OK", "python"]
    assert any(line.startswith("BROKEN store") for line in lines)
    assert any(line.startswith("BROKEN sources") for line in lines)
    assert "-> make that folder writable" in ran.out
    assert lines[-1].endswith("2 broken")


def test_in_a_pipe_a_finding_is_a_line(grym: Grym, tmp_path: Path) -> None:
    ran = grym("doctor", "--store", tmp_path / "a.db", tmp_path / "none.wav")
    lines = ran.out.splitlines()
    assert {line[:6].strip() for line in lines[:-1]} <= {"OK", "note", "BROKEN"}
    (sources,) = [line for line in lines if line.startswith("BROKEN sources")]
    assert sources.endswith("-> name another")


def test_whatever_does_not_answer_is_broken_and_the_rest_is_told(
    grym: Grym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{gone}/")
    ran = grym("doctor", f"kafka://{gone}/audio", "--store", f"http://{gone}", "--json")
    assert ran.status == 1
    found = broken(ran)
    assert set(found) == {"kafka", "store", "collector"}
    assert f"http://{gone}/v1/metrics: Connection refused" in str(found["collector"]["detail"])
    assert all(event["remedy"] for event in found.values())
    assert ran.summary["broken"] == 4  # the collector for spans and for metrics
    assert left_in(tmp_path) == []


def test_a_topic_is_looked_for_on_its_broker(
    grym: Grym, tansu: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "BOOTSTRAP_MS", 60_000)
    admin = KafkaAdminClient(bootstrap_servers=tansu)
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    admin.close()
    ran = grym("doctor", f"roof=kafka://{tansu}/{topic}", "--json")
    assert ran.status == 0
    (event,) = [event for event in ran.of("check") if event["check"] == "kafka"]
    assert event["detail"] == f"{tansu}: topic '{topic}' has 1 partition"


def test_weights_that_are_missing_name_the_command(
    grym: Grym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ran = grym("doctor", "--model", "aisfx,logmel", "--model", "clap", "--json")
    assert ran.status == 1
    remedies = [event["remedy"] for event in ran.of("check") if event["status"] == "broken"]
    assert remedies[0] == "grym models pull aisfx"
    assert "[models.clap]" in remedies[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gopher://x/y"], "there is no 'gopher' source"),
        (["--model", "clpa"], "unknown model 'clpa'"),
        (["--store", "nowhere"], "expected a path ending in .db"),
        (["kafka://hub:9092"], "no topic is named"),
        (["--config", "none.toml"], "settings file none.toml cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_one_line(grym: Grym, arguments: list[str], said: str) -> None:
    ran = grym("doctor", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_it_has_help_with_an_example(grym: Grym) -> None:
    ran = grym("doctor", "--help")
    assert ran.status == 0
    assert "Example: " in ran.out


def test_what_settings_and_sources_say_is_what_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRYM_DESCRIBE__MODEL", "gama")
    monkeypatch.setenv("GRYM_LISTEN__SPEECH", "tag")
    monkeypatch.setenv("GRYM_KAFKA__DEAD_LETTERS", "false")
    monkeypatch.setenv("GRYM_STORE__URI", "http://root:hunter2@hub:19530")
    config = tmp_path / "grym.toml"
    config.write_text("[models.logmel]\ndevice = 'cuda:1'\n[models.gama]\npath = 'a/b'\n")
    topic = "kafka://hub:9092/audio"
    sources = ["yard=a.wav", "mic:barn,2", topic, f"watch:{tmp_path}"]
    asked = doctoring.asked_of(load(config), sources)
    assert [(model.name, model.path, model.device) for model in asked.models] == [
        ("logmel", None, "cuda:1"),
        ("gama", "a/b", None),
        ("silero", None, None),
    ]
    assert asked.paths == ("a.wav", f"watch:{tmp_path}")
    assert asked.microphones == ("mic:barn,2",)
    assert asked.topics == (parse(topic),)
    assert not asked.kafka.dead_letters
    assert asked.store is not None
    assert asked.store.shown == "http://***@hub:19530"
    assert asked.posts == ()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://hub:4318/own")
    (post,) = doctoring.asked_of(load(config), []).posts
    assert post.url == "http://hub:4318/own"


def without(packages: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command line where some packages cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", ALONE, packages, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_it_runs_where_the_other_verbs_cannot_be_imported(tmp_path: Path) -> None:
    ran = without("bytewax", "doctor", str(tmp_path), "--json")
    assert ran.returncode == 1
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    (sources,) = [event for event in events if event.get("check") == "sources"]
    assert sources["status"] == "broken"
    assert "bytewax==" in sources["remedy"]
    assert {"python", "packages", "store", "collector"} <= {event.get("check") for event in events}
    assert events[-1]["event"] == "doctor"


def test_it_says_what_it_can_where_not_even_settings_can_be_read() -> None:
    ran = without("pydantic", "doctor")
    assert ran.returncode == 1
    python, packages, culprit = ran.stdout.splitlines()
    assert python.startswith("ok python: ")
    assert packages.startswith("ok packages: ")
    assert culprit.startswith("broken imports: pydantic cannot be imported")
    assert "pip install --force-reinstall 'pydantic" in culprit


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["patterns"], 1, "`grym doctor` says what mends it"),
        (["doctor", "--store", "nowhere"], 2, "expected a path ending in .db"),
        (["doctor", "--nonsense"], 2, "No such option: --nonsense"),
    ],
)
def test_where_a_package_is_missing_other_verbs_are_one_line(
    arguments: list[str], status: int, said: str
) -> None:
    ran = without("pymilvus", *arguments)
    assert (ran.returncode, ran.stdout) == (status, "")
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
