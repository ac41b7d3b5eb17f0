"""kill -9 anywhere: a run that is started again ends with what an uninterrupted one ends with."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from connectors.milvus.reader import Reader
from connectors.milvus.schema import layout_of
from operators.records import ANALYSIS_RATE_HZ
from operators.scene import scene
from tests.plugins.unmeasured import unmeasured

LISTEN = (sys.executable, "-c", "import sys; from flows.cli import main; main()", "listen")
KILLS = int(os.environ.get("KILLS", "4"))
ROWS = ("patterns", "occurrences", "relations")
VECTOR_COSINE = 0.9999


def command(source: Path, store: Path, recovery: Path) -> list[str]:
    flags = ["--store", store, "--recovery", recovery, "--json", "--windows"]
    return [*LISTEN, f"s={source}", *map(str, flags)]


def run_until(
    arguments: list[str], lines: int | str | None, env: dict[str, str]
) -> tuple[int, str, int]:
    """Start a listener, kill it after so many lines of output, or at the first of such an event.

    Returns:
        Its status, its last line, and how many revisions it told.
    """
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        last, revisions = "", 0
        for number, line in enumerate(process.stdout, start=1):
            last, event = line, json.loads(line)["event"]
            revisions += event == "revision"
            if lines in (event, number):
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
        said = process.stderr.read()
    assert "Traceback" not in said
    assert "panicked" not in said
    return process.returncode, last, revisions


def kill_store(store: Path) -> None:
    """Kill the store process if the last listener's death has not ended it yet."""
    server = json.loads((store.with_name(f"{store.name}.state") / "server.json").read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(server["pid"], signal.SIGKILL)


def contents(store: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Every row of a store by collection and key, vectors apart."""
    rows: dict[str, Any] = {}
    vectors: dict[str, np.ndarray] = {}
    reader = Reader(str(store))
    try:
        for name in reader.names():
            layout = layout_of(name)
            assert layout is not None
            vector = ["vector"] if name.startswith(("windows_", "centroids_")) else []
            for row in reader.rows(name, "", [*layout.names[1:], *vector]):
                key = f"{name}/{row['key']}"
                if vector:
                    vectors[key] = np.asarray(row.pop("vector"), np.float64)
                rows[key] = row
    finally:
        reader.close()
    return rows, vectors


@pytest.fixture(scope="module")
def long_enough(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene so long that the past is looked at before its end, and at its end."""
    path = tmp_path_factory.mktemp("scene") / "long.wav"
    soundfile.write(path, scene(3, 150.0).samples, ANALYSIS_RATE_HZ, subtype="PCM_16")
    return path


@pytest.mark.parametrize("model", ["logmel"])
def test_nothing_is_missing_and_nothing_twice(
    long_enough: Path, tmp_path: Path, model: str
) -> None:
    env = {
        **unmeasured(),
        "GRYM_LISTEN__MODELS": f'["{model}"]',
        "GRYM_LISTEN__EPOCH_S": "0.1",
        "OMP_NUM_THREADS": "1",
    }
    whole = tmp_path / "whole.db"
    status, last, revisions = run_until(command(long_enough, whole, tmp_path / "w"), None, env)
    assert status == 0
    assert revisions
    lines = json.loads(last)["windows"]

    choose = random.Random(7)
    killed = tmp_path / "killed.db"
    arguments = command(long_enough, killed, tmp_path / "k")
    for kill in range(KILLS):
        if kill % 3 == 1:
            kill_store(killed)
        status, *_ = run_until(arguments, choose.randrange(1, lines // KILLS), env)
        assert status == -signal.SIGKILL
    # What is taken back may have been kept, or not, when it is killed in the middle of it.
    status, _, revisions = run_until(arguments, "revision", env)
    assert (status, revisions) == (-signal.SIGKILL, 1)
    status, *_ = run_until(arguments, None, env)
    assert status == 0
    status, last, _ = run_until(arguments, None, env)
    assert (status, json.loads(last)["windows"]) == (0, 0)

    rows, vectors = contents(killed)
    expected, expected_vectors = contents(whole)
    assert expected_vectors
    assert rows.keys() == expected.keys()
    assert vectors.keys() == expected_vectors.keys()
    for key, row in rows.items():
        assert discrete(row) == discrete(expected[key]), key
    for key, vector in vectors.items():
        other = expected_vectors[key]
        norm = np.linalg.norm(vector) * np.linalg.norm(other)
        assert norm == 0 or vector @ other / norm > VECTOR_COSINE, key


def discrete(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what batches may change in the last bits."""
    if row.get("kind") == "similar":
        return {k: v for k, v in row.items() if k not in {"probability", "q", "lift"}}
    return row
