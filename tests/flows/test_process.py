"""The command as a process of its own: signals, pipes, locks, traces on stderr."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.conftest import OnDisk
from tests.plugins.gama import save_tiny_gama

GRYM = (sys.executable, "-c", "from flows.cli import main; main()")


def start(*arguments: object, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*GRYM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GRYM_LISTEN__MODELS": '["logmel"]', **env},
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_in_order_and_recovery_goes_on_there(
    on_disk: OnDisk, tmp_path: Path, number: signal.Signals
) -> None:
    flags = ["--store", tmp_path / "a.db", "--recovery", tmp_path / "kept", "--json", "--windows"]
    first = start("listen", on_disk.wav, *flags)
    assert json.loads(first_line(first))
    first.send_signal(number)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, "Traceback" in err) == (0, False)
    before = json.loads(out.splitlines()[-1])
    assert before["event"] == "summary"
    assert 0 < before["audio_s"] < 120.0

    second = start("listen", on_disk.wav, *flags)
    out, _ = second.communicate(timeout=120)
    after = json.loads(out.splitlines()[-1])
    assert second.returncode == 0
    assert before["audio_s"] + after["audio_s"] == pytest.approx(120.0, abs=0.001)


def test_a_breaker_that_is_open_at_kill_9_resumes_open(on_disk: OnDisk, tmp_path: Path) -> None:
    flags = ["--store", tmp_path / "a.db", "--recovery", tmp_path / "kept", "--json", "--windows"]
    env = {
        **os.environ,
        "GRYM_LISTEN__MODELS": '["logmel"]',
        "GRYM_LISTEN__EPOCH_S": "0",
        "GRYM_BREAKER__WAIT_DURATION_IN_OPEN_S": "100000",
        "GRYM_BREAKER__WAIT_CAP_S": "100000",
    }
    broken = "from operators.models.logmel import Logmel as L; L._embed = L.embed; calls = []; "
    broken += "L.embed = lambda s, w, rate_hz: "  # well when it is tried before it listens
    broken += "calls.append(1) or (s._embed(w, rate_hz) if len(calls) == 1 else 1 / 0); "
    process = subprocess.Popen(
        [sys.executable, "-c", broken + GRYM[2], *map(str, ["listen", on_disk.wav, *flags])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    refused = 0
    while refused < 20:  # several epochs after it opened
        refused += json.loads(first_line(process)).get("reason") == "breaker_open"
    process.kill()
    process.communicate(timeout=60)

    again = start("listen", on_disk.wav, *flags, **{k: env[k] for k in env if "GRYM_" in k})
    out, _ = again.communicate(timeout=120)
    summary = json.loads(out.splitlines()[-1])
    assert again.returncode == 0
    assert summary["stored"] == summary["breaker_opens"] == 0
    assert summary["dead"] == summary["reasons"]["dead: breaker_open"] > 0


def test_a_second_signal_ends_the_process_at_once(on_disk: OnDisk, tmp_path: Path) -> None:
    flags = ["--store", tmp_path / "a.db", "--json", "--windows", "--speed", "realtime"]
    hold = "import flows.run as r; r._outcome = lambda *a, **k: __import__('time').sleep(60); "
    process = subprocess.Popen(
        [sys.executable, "-c", hold + GRYM[2], *map(str, ["listen", on_disk.wav, *flags])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GRYM_LISTEN__MODELS": '["logmel"]'},
    )
    assert first_line(process)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "grym: ended at once" in err
    assert "Traceback" not in err


def test_ctrl_c_before_anything_is_under_way_is_quiet(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); " + GRYM[2], "models", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first_line(process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) in {(0, ""), (-signal.SIGTERM, "")}


@pytest.mark.parametrize("form", ["--json", "--frame-ms=100"])
def test_a_reader_that_goes_away_ends_the_run_quietly(
    on_disk: OnDisk, tmp_path: Path, form: str
) -> None:
    process = start("listen", on_disk.wav, "--store", tmp_path / "a.db", form, "--windows")
    assert first_line(process)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 0
    assert err.splitlines() == [f"store  {tmp_path / 'a.db'}"]


def test_a_full_disk_behind_stdout_is_one_line(on_disk: OnDisk, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [*GRYM, "listen", on_disk.wav, "--store", tmp_path / "a.db", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GRYM_LISTEN__MODELS": '["logmel"]'},
            timeout=120,
            check=False,
        )
    assert process.returncode == 1
    assert process.stderr.splitlines()[1:] == [
        "grym: stdout takes nothing more: No space left on device; make room there"
    ]


def test_a_state_that_cannot_be_used_is_one_line_and_stays_as_it_was(
    on_disk: OnDisk, tmp_path: Path
) -> None:
    flags = ["--store", tmp_path / "a.db", "--recovery", tmp_path / "kept", "--json", "--windows"]
    first = start("listen", on_disk.wav, *flags)
    assert json.loads(first_line(first))
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)

    refuse = "from operators.segment import Segmenter as S; S.restore = None; "
    command = [sys.executable, "-c", refuse + GRYM[2], "listen", on_disk.wav, *flags]
    env = {**os.environ, "GRYM_LISTEN__MODELS": '["logmel"]'}
    refused = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert refused.returncode == 1
    assert "grym: the recovery state of segment cannot be used" in refused.stderr
    assert "panicked" not in refused.stderr
    assert "Traceback" not in refused.stderr

    last = start("listen", on_disk.wav, *flags)
    last.communicate(timeout=120)
    assert last.returncode == 0


def test_a_second_listener_on_one_store_is_refused_with_the_reason(
    on_disk: OnDisk, tmp_path: Path
) -> None:
    store = tmp_path / "a.db"
    flags = ["--store", store, "--json", "--windows"]
    first = start("listen", on_disk.wav, *flags, "--speed", "realtime")
    assert first_line(first)
    second = start("listen", on_disk.wav, *flags)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (1, "")
    assert f"process {first.pid}" in err
    assert err.count("\n") == 1

    asked = start("occurrences", "--store", store, "--json")
    asked.communicate(timeout=60)
    assert asked.returncode == 0
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_traces_go_to_stderr_when_asked_for(on_disk: OnDisk, tmp_path: Path) -> None:
    process = start(
        "listen",
        on_disk.wav,
        "--store",
        tmp_path / "a.db",
        "--json",
        GRYM_TELEMETRY__EXPORTER="console",
        GRYM_TELEMETRY__SAMPLE_RATIO="1.0",
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["event"] == "summary"
    said = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert any("resource_metrics" in line for line in said)
    spans = [line for line in said if "span_id" in line.get("context", {})]
    names = {span["name"] for span in spans}
    assert names >= {"window", "batch logmel", "logmel", "pattern", "store", "upsert occurrences"}
    windows = {span["context"]["span_id"] for span in spans if span["name"] == "window"}
    parents = {span["parent_id"] for span in spans if span["name"] == "logmel"}
    assert parents
    assert {parent.removeprefix("0x") for parent in parents} <= {
        window.removeprefix("0x") for window in windows
    }


def test_ctrl_c_while_a_pattern_is_being_described_ends_quietly(
    on_disk: OnDisk, tmp_path: Path
) -> None:
    folder = save_tiny_gama(tmp_path / "gama", seed=1)
    env = {
        **os.environ,
        "GRYM_LISTEN__MODELS": '["logmel"]',
        "GRYM_DESCRIBE__MODEL": "gama",
        "GRYM_MODELS__GAMA__PATH": str(folder),
        "GRYM_MODELS__GAMA__MAX_NEW_TOKENS": "100000",
    }
    flags = ["--store", tmp_path / "a.db", "--json"]
    asked = "import operators.models.gama.adapter as a; real = a.Gama.ask; "
    asked += "a.Gama.ask = lambda *given: (print('asked', flush=True), real(*given))[1]; "
    process = subprocess.Popen(
        [sys.executable, "-c", asked + GRYM[2], *map(str, ["listen", on_disk.wav, *flags])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert process.stdout is not None
    # Two threads print: what was asked may stand in the middle of a line.
    assert any("asked" in line for line in process.stdout), "nothing was described"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, "terminate" in err) == (0, False)
    assert json.loads(out.splitlines()[-1])["event"] == "summary"
