import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bench import retrieval, sounds
from bench.degrade import LEAD, RATE_HZ
from bench.retrieval import (
    COLUMNS,
    MATCHED,
    PROTOTYPE,
    accepted,
    kind_of,
    main,
    mean_precision,
    measure,
    read,
    read_library,
    shortfalls,
    top_1,
)
from operators.models import Model, load
from operators.records import Floats


class Blind:
    """A model that hears nothing: vectors of chance."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        rows = self._rng.standard_normal((len(windows), 32))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def tone(index: int) -> NDArray[np.float32]:
    """Tones, buzzes and hisses that nobody would mistake for one another."""
    time, rng = np.arange(RATE_HZ) / RATE_HZ, np.random.default_rng(index)
    base = 110 * 2 ** (index * 0.37)
    wave = np.sin(2 * np.pi * base * time) + 0.3 * np.sin(2 * np.pi * base * 2.7 * time)
    wave += 0.5 * (index % 3) * rng.standard_normal(RATE_HZ)
    return (0.2 * wave * np.exp(-(1 + index % 5) * 2 * time)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of twenty sounds of five kinds, one broken file and a silent one."""
    package = sounds.Package("tiny", "t.deb", "0" * 64, "free", "sounds", kinds=True)
    folder = sounds.folder_of(package, tmp_path / "grym" / "sounds") / "sounds"
    folder.mkdir(parents=True)
    for index in range(20):
        path = folder / f"kind{'abcde'[index % 5]}_{index:02}.wav"
        soundfile.write(path, tone(index), RATE_HZ, subtype="FLOAT")
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    soundfile.write(folder / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sounds, "PACKAGES", (package,))
    monkeypatch.setattr(retrieval, "GALLERY", 10)
    return tmp_path / "grym" / "sounds"


@pytest.fixture(scope="module")
def logmel() -> Model:
    return load("logmel")


def test_a_sound_begins_at_its_onset_whatever_comes_before(tmp_path: Path) -> None:
    path = tmp_path / "late.wav"
    late = np.concatenate([np.zeros(3 * 22_050), tone(0)[::2]])
    soundfile.write(path, np.stack([late, late], axis=1), 22_050, subtype="FLOAT")
    found = read(path)
    assert found is not None
    assert np.abs(found[: LEAD - 441]).max() < 0.01
    assert np.abs(found[LEAD : LEAD + 2_205]).max() > 0.1


def test_a_file_that_is_none_and_a_silent_one_are_left_out(cache: Path) -> None:
    folder = next(cache.iterdir()) / "sounds"
    assert read(folder / "broken.wav") is None
    assert read(folder / "silent.wav") is None
    assert len(read_library(cache)) == 20


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("drums/snare_muffled02.ogg", "drums/snare"),
        ("bd_ada.flac", "bd"),
        ("Metalbang3.ogg", "metalbang"),
    ],
)
def test_a_kind_is_the_folder_and_the_first_word(path: str, kind: str) -> None:
    assert kind_of(Path(path)) == kind


def test_kinds_of_too_few_sounds_are_not_judged(cache: Path) -> None:
    folder = next(cache.iterdir()) / "sounds"
    soundfile.write(folder / "rare_1.wav", tone(33), RATE_HZ)
    kinds = {sound.kind for sound in read_library(cache)}
    assert kinds == {f"tiny/kind{letter}" for letter in "abcde"} | {""}


def test_top_1_counts_queries_that_are_nearest_to_themselves() -> None:
    gallery = np.eye(4, dtype=np.float32)
    assert top_1(gallery, gallery) == 100
    assert top_1(gallery[[0, 1, 3, 2]], gallery) == 50


def test_sounds_of_a_kind_side_by_side_have_full_precision() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert mean_precision(vectors, np.array(list("aaaabbbbcccc"))) == 100
    assert mean_precision(vectors, np.array(list("abcdabcdabcd"))) < 40
    unknown = np.array([*"aaaabbbb", "", "", "", ""])
    assert mean_precision(vectors, unknown) == 100


def test_a_threshold_that_strangers_hardly_pass_lets_friends_pass() -> None:
    gallery = np.eye(4, dtype=np.float32)
    strangers = np.full((40, 4), 0.5, np.float32)
    friends = gallery * np.array([[0.9], [0.8], [0.4], [0.3]], np.float32)
    assert accepted(friends, gallery, strangers) == 50


def test_a_model_that_hears_finds_and_one_that_does_not_guesses(cache: Path, logmel: Model) -> None:
    library = read_library(cache)
    models = {"logmel": logmel, "blind": Blind()}
    found = measure(models, library, draws=2)
    hears, guesses = found["logmel"], found["blind"]
    assert set(hears) == set(guesses) == {*COLUMNS, *MATCHED}
    assert min(hears[column] for column in COLUMNS[:5]) >= 80
    assert max(guesses[column] for column in COLUMNS[:5]) <= 40
    assert all(hears[f"{column} +"] >= hears[column] for column in ("combo", "combo*"))
    assert (
        min(guesses[column] for column in MATCHED) >= 60
    )  # templates hear, even where it does not
    assert measure({"logmel": logmel}, library, draws=2)["logmel"] == hears


def test_what_lies_below_its_floor_is_named() -> None:
    row = dict(zip(COLUMNS, PROTOTYPE["aisfx"], strict=True))
    just_held = {column: value - 4.0 for column, value in row.items()}
    assert shortfalls({"aisfx": just_held}) == []
    assert shortfalls({"aisfx": row | {"TPR": 71.0}}) == ["aisfx, TPR: 71.0 of 72.0"]


def test_the_bench_prints_a_table_then_one_line_and_holds_or_not(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retrieval, "PROTOTYPE", {"logmel": (50.0,) * 6 + (10.0,)})
    status = main(["--draws", "1"])
    told = capsys.readouterr()
    figures = json.loads(told.out)
    assert (status, figures["held"], figures["sounds"]) == (0, True, 20)
    assert set(figures["top1_percent"]["logmel"]) == {*COLUMNS, *MATCHED}
    assert "20 sounds" in told.err
    monkeypatch.setattr(retrieval, "PROTOTYPE", {"logmel": (150.0,) * 7})
    assert main(["--draws", "1"]) == 1
    told = capsys.readouterr()
    assert "below the floor: logmel, combo*" in told.err
    assert main(["--draws", "1", "--against", "loudest"]) == 0
    assert json.loads(capsys.readouterr().out)["held"] is None


def test_without_sounds_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main([]) == 2
    assert "run `make sounds` first" in capsys.readouterr().err
