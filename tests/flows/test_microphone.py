"""A microphone through the whole flow: played, captured by PortAudio, recognised, stored."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.flows.conftest import Ran
from tests.plugins.sound import SoundServer

RATE_HZ = 16_000
GRYM = (sys.executable, "-c", "import sys; from flows.cli import main; main()")


@pytest.fixture
def knocks(tmp_path: Path) -> Path:
    """Twelve seconds in which the same sound is heard four times over a bed of noise."""
    rng = np.random.default_rng(5)
    audio = rng.standard_normal(12 * RATE_HZ) * 0.002
    audio[: RATE_HZ // 2] = 0
    time_s = np.arange(int(0.5 * RATE_HZ)) / RATE_HZ
    sound = sum(
        np.sin(2 * np.pi * hz * time_s) * np.exp(-time_s * decay) * 0.2
        for hz, decay in ((700, 8), (1_330, 12), (2_900, 20))
    )
    for start_s in (2.5, 5.0, 7.5, 10.0):
        first = round(start_s * RATE_HZ)
        audio[first : first + len(time_s)] += sound
    path = tmp_path / "knocks.wav"
    soundfile.write(path, audio, RATE_HZ, subtype="PCM_16")
    return path


@pytest.fixture
def listening(sound: SoundServer, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """``grym listen porch=mic:default`` in a process of its own."""
    process = subprocess.Popen(
        [*GRYM, "listen", "porch=mic:default", "--store", tmp_path / "mic.db", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "GRYM_LISTEN__MODELS": '["logmel"]',
            "GRYM_MIC__RATE_HZ": str(RATE_HZ),
            "OMP_NUM_THREADS": "1",
        },
    )
    yield process
    process.kill()
    process.communicate(timeout=60)


def until(
    process: subprocess.Popen[str], wanted: Callable[[dict[str, Any]], bool], times: int = 1
) -> list[dict[str, Any]]:
    """The events up to the last one that is wanted."""
    assert process.stdout is not None
    events: list[dict[str, Any]] = []
    for line in process.stdout:
        events.append(json.loads(line))
        times -= wanted(events[-1])
        if not times:
            return events
    assert process.stderr is not None
    pytest.fail(f"the listener ended: {process.stderr.read()[-2_000:]}")


def state(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "source" and event["state"] == name


def occurrence(after_s: float = 0.0) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "occurrence" and event["start_s"] > after_s


def test_what_is_played_is_recognised_and_stored_and_a_lost_server_is_taken_back(
    sound: SoundServer,
    knocks: Path,
    listening: subprocess.Popen[str],
    grym: Callable[..., Ran],
    tmp_path: Path,
) -> None:
    events = until(listening, state("live"))
    sound.play(knocks)
    events += until(listening, occurrence(), times=4)
    sound.kill("porch")
    events += until(listening, state("degraded"))
    sound.start("porch")
    events += until(listening, state("live"))
    sound.play(knocks)
    back_s = next(event["start_s"] for event in events if event["event"] == "failure")
    events += until(listening, occurrence(after_s=back_s), times=2)
    listening.send_signal(signal.SIGINT)
    out, err = listening.communicate(timeout=60)
    events += [json.loads(line) for line in out.splitlines()]

    assert listening.returncode == 0
    assert "Traceback" not in err
    summary = events[-1]
    assert summary["reasons"]["source: gap"] >= 1
    assert summary["sources_failed"] == 0
    outcomes = ("stored", "silent", "gated", "shed", "dead")
    assert summary["windows"] == sum(summary[name] for name in outcomes)
    gap = next(event for event in events if event["event"] == "failure")
    assert (gap["reason"], gap["stream"]) == ("gap", "porch")
    assert "device_lost" in gap["detail"]

    store = tmp_path / "mic.db"
    found = grym("occurrences", "--store", store, "--json").events
    ((knock, _), *_) = Counter(row["pattern"] for row in found).most_common()
    starts = sorted(row["start_s"] for row in found if row["pattern"] == knock)
    assert len(starts) >= 5
    assert np.diff(starts[:4]) == pytest.approx([2.5] * 3, abs=0.05)
    assert starts[4] > gap["start_s"]
