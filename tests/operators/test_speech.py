"""Speech told from other sounds, by the network as it is published.

``fixtures/spoken.ogg`` is 2.5 s of John F. Kennedy's inaugural address (1961), a work of the
government of the United States and in the public domain.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from connectors import weights
from operators.models import artefact
from operators.models.protocol import BadWeightsError, WeightsMissingError, WindowsError
from operators.records import ANALYSIS_RATE_HZ, Floats
from operators.speech import NAME, RECIPE, Vad

RATE = ANALYSIS_RATE_HZ
SPOKEN = Path(__file__).parent / "fixtures" / "spoken.ogg"


@pytest.fixture(scope="module")
def folder() -> Path:
    folder = weights.find("silero") or weights.pull("silero")
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def vad(folder: Path) -> Vad:
    return Vad(folder)


@pytest.fixture(scope="module")
def spoken() -> Floats:
    samples, rate_hz = soundfile.read(SPOKEN, dtype="float32")
    resampled: Floats = soxr.resample(samples, rate_hz, RATE).astype(np.float32)
    return resampled


def windows_of(audio: Floats) -> Floats:
    return np.stack([audio[at : at + RATE] for at in range(0, len(audio) - RATE, RATE // 2)])


def times(seconds: float = 1.0) -> Floats:
    return (np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


NOISES: dict[str, Callable[[], Floats]] = {
    "silence": lambda: np.zeros(RATE, np.float32),
    "white noise": lambda: np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1,
    "a tone": lambda: np.sin(2 * np.pi * 440 * times()).astype(np.float32) * 0.3,
    "hum": lambda: np.sin(2 * np.pi * 50 * times()) * 0.2,
    "a sweep": lambda: np.sin(2 * np.pi * (200 + 2_000 * times()) * times()) * 0.3,
    "clicks": lambda: (np.arange(RATE) % 4_410 == 0).astype(np.float32),
    "a bell": lambda: np.sin(2 * np.pi * 1_200 * times()) * np.exp(-5 * times()) * 0.5,
}


@pytest.mark.parametrize("name", NOISES)
def test_what_is_no_speech_scores_low(vad: Vad, name: str) -> None:
    clip = np.asarray(NOISES[name](), dtype=np.float32)
    assert vad.score(clip) < 0.15
    assert not vad.is_speech(clip)


def test_every_second_of_a_speech_scores_high_loud_or_quiet(vad: Vad, spoken: Floats) -> None:
    for level in (1.0, 0.1):
        assert vad.scores(windows_of(spoken) * np.float32(level)).min() > 0.9
    assert vad.is_speech(spoken)


def test_a_word_in_ten_seconds_of_noise_is_found(vad: Vad, spoken: Floats) -> None:
    noise = np.random.default_rng(1).standard_normal(10 * RATE).astype(np.float32) * 0.002
    assert vad.score(noise) < 0.2
    noise[4 * RATE : 4 * RATE + RATE // 2] += spoken[: RATE // 2]
    assert vad.score(noise) > 0.8
    likely = vad.probabilities(noise)
    assert likely.shape == (313,)
    assert (likely > 0.5).mean() < 0.1


def test_a_window_scores_the_same_alone_and_in_a_batch_bit_for_bit(
    vad: Vad, folder: Path, spoken: Floats
) -> None:
    windows = windows_of(spoken)
    together = vad.scores(windows)
    assert together.dtype == np.float32
    assert together.tolist() == [vad.score(window) for window in windows]
    assert together.tolist() == vad.scores(windows).tolist() == Vad(folder).scores(windows).tolist()
    assert together.tolist() == vad.scores(windows[::-1])[::-1].tolist()


def test_the_rate_of_the_windows_hardly_matters(vad: Vad, spoken: Floats) -> None:
    own = soxr.resample(spoken, RATE, 16_000).astype(np.float32)
    np.testing.assert_allclose(vad.probabilities(own, 16_000), vad.probabilities(spoken), atol=0.02)
    double = soxr.resample(spoken, RATE, 48_000).astype(np.float32)
    assert vad.score(double, 48_000) == pytest.approx(vad.score(spoken), abs=0.02)


def test_what_cannot_be_judged_has_no_score_and_is_taken_for_speech(
    vad: Vad, spoken: Floats
) -> None:
    windows = windows_of(spoken)[:3].copy()
    whole = vad.scores(windows)
    windows[1, 5] = np.nan
    scores = vad.scores(windows)
    assert np.isnan(scores).tolist() == [False, True, False]
    assert scores[[0, 2]].tolist() == whole[[0, 2]].tolist()
    assert vad.is_speech(windows[1])


def test_very_short_clips_and_none_at_all_are_judged(vad: Vad, spoken: Floats) -> None:
    assert vad.score(np.zeros(0, np.float32)) == 0.0
    assert vad.scores(np.zeros((0, RATE), np.float32)).shape == (0,)
    assert 0.0 <= vad.score(spoken[:100]) <= 1.0


def test_windows_of_another_shape_are_refused(vad: Vad) -> None:
    with pytest.raises(WindowsError, match=r"shape \(44100,\)"):
        vad.scores(np.zeros(RATE, np.float32))


def test_several_threads_may_ask_at_once(vad: Vad, spoken: Floats) -> None:
    expected, found = vad.score(spoken), []
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait(30)
        found.append(vad.score(spoken))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [expected] * 4


def test_nothing_of_the_process_is_changed_and_nothing_loaded_before_it_is_asked_for(
    folder: Path,
) -> None:
    source = """
import sys, pathlib, torch
torch.set_num_threads(2)
from operators.speech import Vad
before = "onnxruntime" in sys.modules
vad = Vad(pathlib.Path(sys.argv[1]))
import numpy
vad.score(numpy.zeros(44_100, numpy.float32))
print(before, torch.get_num_threads(), "silero_vad" in sys.modules)
"""
    ran = subprocess.run(
        [sys.executable, "-c", source, str(folder)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["False", "2", "False"]
    assert ran.stderr == ""


def test_a_folder_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match="grym models pull silero"):
        Vad(tmp_path / "nowhere")


def made(folder: Path, content: bytes) -> Path:
    """A folder whose manifest vouches for this content."""
    folder.mkdir()
    (folder / "silero.onnx").write_bytes(content)
    digest = artefact.sha256(content)
    manifest = artefact.Manifest(
        NAME, RECIPE, "silero.onnx", len(content), digest, "test", digest, "MIT"
    )
    (folder / artefact.MANIFEST).write_text(manifest.to_json())
    return folder


def test_a_damaged_network_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    content = (folder / json.loads((folder / artefact.MANIFEST).read_text())["file"]).read_bytes()
    damaged = made(tmp_path / "damaged", content)
    (damaged / "silero.onnx").write_bytes(content[:-9] + b"otherwise")
    with pytest.raises(BadWeightsError, match="the checksum differs"):
        Vad(damaged)
    with pytest.raises(BadWeightsError, match="no network that can be run") as error:
        Vad(made(tmp_path / "none", b"no network"))
    assert "\n" not in str(error.value)
