"""Models of every kind on one stream: each in its own space, none in another's way."""

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from connectors.milvus.queries import Queries
from connectors.milvus.reader import Reader
from flows import loading
from flows import run as running
from flows.settings import Settings, load
from operators.models import configure
from operators.models import load as load_model
from operators.models.logmel import Logmel
from operators.models.protocol import ModelError
from operators.records import ANALYSIS_RATE_HZ, Floats
from tests.flows.conftest import Event, OnDisk, Ran
from tests.flows.test_listen import listen_with
from tests.plugins.folders import edit_tensors

Grym = Callable[..., Ran]
ADAPTERS = ("ast", "clap", "data2vec", "hubert", "wav2vec2", "wavlm")
FAULTS = ("raises", "hangs", "runs out of memory", "answers NaN", "answers another shape")


@pytest.fixture(scope="module")
def short(on_disk: OnDisk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first twenty seconds of the scene."""
    samples, rate_hz = soundfile.read(on_disk.wav, frames=20 * ANALYSIS_RATE_HZ)
    path = tmp_path_factory.mktemp("short") / "short.wav"
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path


def settings_for(folder: Path, *models: str, **sections: Any) -> Settings:
    return load(
        flags={
            "store": {"uri": str(folder / "a.db")},
            "listen": {"models": models},
            **sections,
        }
    )


def adds_up(summary: Event) -> bool:
    outcomes = ("stored", "silent", "gated", "shed", "dead")
    return bool(summary["windows"] == sum(summary[name] for name in outcomes))


def rows(uri: str) -> dict[str, int]:
    """Windows in the store by the name of the model whose space they lie in."""
    reader = Reader(uri)
    try:
        return {
            space.partition("-")[0]: len(
                list(reader.rows(f"windows_{space.replace('-', '_')}", "", ["start_ns"]))
            )
            for space in reader.dimensions()
        }
    finally:
        reader.close()


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_adapter_embeds_what_is_heard_into_a_collection_of_its_own(
    kind: str, short: Path, tmp_path: Path, tiny_models: Callable[[str], Path]
) -> None:
    told = {"models": {kind: {"path": str(tiny_models(kind))}}}
    settings = settings_for(tmp_path, kind, "logmel", **told)
    events: list[Event] = []
    summary = listen_with(settings, [f"s={short}"], events).summary
    stored = rows(settings.store.uri)
    assert stored.keys() == {kind, "logmel"}
    assert stored[kind] == stored["logmel"] > 10
    assert adds_up(summary)
    assert summary["stored"] == 2 * stored[kind]
    assert summary["dead"] == 0


@dataclass
class Faulty:
    """A real model under another name, in a space of its own, that fails in one way."""

    fault: str
    inner: Any = field(default_factory=lambda: load_model("logmel"))
    name: str = "faulty"
    space: str = "faulty-00000000-176"
    calls: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        self.calls += 1
        vectors: Floats = self.inner.embed(windows, rate_hz)
        match self.fault:
            case "raises":
                raise RuntimeError("the accelerator fell off the bus")
            case "hangs":
                self.released.wait(60)
            case "runs out of memory":
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 EB")
            case "answers NaN":
                vectors = np.full_like(vectors, np.nan)
            case "answers another shape":
                vectors = vectors[:, :7]
        return vectors


@pytest.fixture
def faulty() -> Iterator[Callable[[str], Faulty]]:
    made: list[Faulty] = []

    def make(fault: str) -> Faulty:
        made.append(Faulty(fault))
        return made[-1]

    yield make
    for model in made:
        model.released.set()


def with_ladders(monkeypatch: pytest.MonkeyPatch, **ladders: Sequence[Any]) -> None:
    made = {name: tuple(rungs) for name, rungs in ladders.items()}
    monkeypatch.setattr(running, "load_ladders", lambda _settings, _say: made)


def tiny(kind: str, tiny_models: Callable[[str], Path]) -> Any:
    return load_model(kind, configure(kind, weights=tiny_models(kind)))


FOR_GOOD: dict[str, Any] = {
    "infer": {"max_batch": 4},
    "breaker": {"wait_duration_in_open_s": 300.0},
}
"""Once open, a breaker stays open. Calls have the deadline that everyone has."""


def patience(fault: str) -> dict[str, Any]:
    """A call that hangs is given up after 3 s.

    The deadline is everyone's: the healthy model beside it has to answer within it, on a busy
    machine, too.
    """
    if fault != "hangs":
        return FOR_GOOD
    return {**FOR_GOOD, "infer": {"max_batch": 4, "deadline_s": 3.0}}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_fails_leaves_the_others_alone_and_goes_down_its_ladder(
    fault: str,
    short: Path,
    tmp_path: Path,
    tiny_models: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    faulty: Callable[[str], Faulty],
) -> None:
    other, last = tiny("hubert", tiny_models), load_model("logmel")
    with_ladders(monkeypatch, faulty=(faulty(fault), last), hubert=(other,))
    settings = settings_for(tmp_path, "faulty,logmel", "hubert", **patience(fault))
    events: list[Event] = []
    summary = listen_with(settings, [f"s={short}"], events).summary
    stored = rows(settings.store.uri)
    assert adds_up(summary)
    assert stored["hubert"] > 10
    assert summary["dead"] == 0
    assert stored.get("logmel") == stored["hubert"]
    steps = [(e["from"], e["to"], e["reason"]) for e in events if e["event"] == "rung"]
    assert steps == [("faulty", "logmel", "breaker_open")]
    assert "faulty" not in stored


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_fails_without_a_ladder_buries_its_own_windows_only(
    fault: str,
    short: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faulty: Callable[[str], Faulty],
) -> None:
    with_ladders(monkeypatch, faulty=(faulty(fault),), logmel=(load_model("logmel"),))
    settings = settings_for(tmp_path, "faulty", "logmel", **patience(fault))
    events: list[Event] = []
    summary = listen_with(settings, [f"s={short}"], events).summary
    stored = rows(settings.store.uri)
    assert adds_up(summary)
    assert summary["dead"] == stored["logmel"] == summary["stored"]
    reasons = Counter(summary["reasons"])
    assert reasons["dead: breaker_open"] > 0
    assert any(e["event"] == "failure" and e["stage"] == "infer" for e in events)


def test_a_restart_in_the_middle_goes_on_with_the_breaker_open(
    on_disk: OnDisk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faulty: Callable[[str], Faulty],
) -> None:
    model, last = faulty("raises"), load_model("logmel")
    with_ladders(monkeypatch, faulty=(model, last))
    settings = settings_for(tmp_path, "faulty,logmel", **FOR_GOOD)
    stop, first, second = threading.Event(), list[Event](), list[Event]()

    class StopOnceOpen(list[Event]):
        def append(self, event: Event) -> None:
            super().append(event)
            if event["event"] == "rung":
                stop.set()

    first = StopOnceOpen()
    listen_with(settings, [f"s={on_disk.wav}"], first, tmp_path / "kept", stop)
    calls = model.calls
    assert calls > 0
    listen_with(settings, [f"s={on_disk.wav}"], second, tmp_path / "kept")
    assert model.calls == calls
    assert not [e for e in second if e["event"] in ("rung", "breaker")]
    assert first[-1]["audio_s"] < 100.0
    assert first[-1]["stored"] + second[-1]["stored"] >= rows(settings.store.uri)["logmel"] > 50
    assert first[-1]["dead"] == second[-1]["dead"] == 0


def test_words_find_sounds_where_a_model_reads_them(
    grym: Grym, short: Path, tmp_path: Path, tiny_models: Callable[[str], Path]
) -> None:
    config = tmp_path / "grym.toml"
    config.write_text(f"[models.clap]\npath = '{tiny_models('clap')}'\n")
    store = tmp_path / "a.db"
    told = ("--store", store, "--config", config)
    assert grym("listen", f"s={short}", "--model", "clap", *told, "--quiet").status == 0
    ran = grym("search", "--text", "a dog barks", *told, "--json", "--limit", 3)
    assert ran.status == 0, ran.err
    assert len(ran.events) == 3
    scores = [row["score"] for row in ran.events]
    assert scores == sorted(scores, reverse=True)
    assert {row["space"].partition("-")[0] for row in ran.events} == {"clap"}
    with Queries(str(store)) as queries:
        assert queries.patterns() is not None


def test_a_map_between_two_spaces_serves_search(
    grym: Grym, on_disk: OnDisk, short: Path, tmp_path: Path, tiny_models: Callable[[str], Path]
) -> None:
    config = tmp_path / "grym.toml"
    config.write_text(f"[models.clap]\npath = '{tiny_models('clap')}'\n")
    told = ("--store", tmp_path / "a.db", "--config", config)
    both = ("--model", "clap", "--model", "logmel")
    assert grym("listen", f"s={on_disk.wav}", *both, *told, "--quiet").status == 0
    question = ("search", "--text", "a dog barks", "--into", "logmel", *told, "--json")
    early = grym(*question)
    assert early.status == 1
    assert "grym models project" in early.err
    fitted = grym("models", "project", "clap", "logmel", *told, "--json")
    assert fitted.status == 0, fitted.err
    (row,) = fitted.events
    assert row["pairs"] > 100
    assert -1.0 <= row["baseline_cosine"] <= row["cosine"] <= 1.0
    assert Path(row["file"]).is_file()
    assert "held out: cosine" in grym("models", "project", "clap", "logmel", *told).out
    found = grym(*question)
    assert found.status == 0, found.err
    assert {row["space"].partition("-")[0] for row in found.events} == {"logmel"}
    same = grym("search", "--text", "rain", "--into", "clap", *told)
    assert (same.status, "leave it out" in same.err) == (2, True)
    clip = grym("search", "--like", short, *told, "--json")  # no model named: one that listened
    assert clip.status == 0, clip.err
    assert clip.events[0]["space"].partition("-")[0] in ("clap", "logmel")
    absent = grym("models", "project", "clap", "aisfx", *told)
    assert (absent.status, absent.err.count("\n")) == (1, 1)


def test_words_without_a_model_that_reads_say_what_is_missing(
    grym: Grym, short: Path, tmp_path: Path
) -> None:
    store = tmp_path / "a.db"
    assert (
        grym("listen", f"s={short}", "--model", "logmel", "--store", store, "--quiet").status == 0
    )
    ran = grym("search", "--text", "a dog barks", "--store", store)
    assert ran.status == 1
    assert ran.err.count("\n") == 1
    assert "clap" in ran.err
    assert "path" in ran.err
    ran = grym("search", "--text", "a dog barks", "--model", "logmel", "--store", store)
    assert ran.status == 2
    assert "does not read text" in ran.err
    assert "clap" in ran.err
    ran = grym("search", "--text", " ", "--store", store)
    assert (ran.status, "empty" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (["wav2vec2"], "wav2vec2"),
        (["logmel,logmel"], "once in a run"),
        (["logmel", "aisfx,logmel"], "once in a run"),
        (["logmel,"], "expected names"),
        (["logmel,nonsense"], "unknown model 'nonsense'"),
        (["gama"], "set describe.model"),
    ],
)
def test_what_cannot_be_loaded_is_one_line_before_anything_is_heard(
    grym: Grym, short: Path, tmp_path: Path, models: list[str], said: str
) -> None:
    flags = [part for name in models for part in ("--model", name)]
    ran = grym("listen", f"s={short}", *flags, "--store", tmp_path / "a.db")
    assert ran.status in (1, 2)
    assert ran.err.count("\n") == 1
    assert said in ran.err
    assert not (tmp_path / "a.db").exists()


@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [("float32", ": give it"), ("bfloat16", ": set its dtype to float32, or give it")],
)
def test_a_model_whose_vectors_are_not_finite_is_refused_before_anything_is_heard(
    dtype: str,
    remedy: str,
    grym: Grym,
    short: Path,
    tmp_path: Path,
    tiny_models: Callable[[str], Path],
) -> None:
    folder = Path(shutil.copytree(tiny_models("wav2vec2"), tmp_path / "model"))
    edit_tensors(folder, lambda tensors: tensors["encoder.layer_norm.bias"].fill_(torch.nan))
    config = tmp_path / "grym.toml"
    config.write_text(f"[models.wav2vec2]\npath = '{folder}'\ndtype = '{dtype}'\n")
    told = ("--store", tmp_path / "a.db", "--config", config)
    ran = grym("listen", f"s={short}", "--model", "wav2vec2", *told)
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "model 'wav2vec2' answers a sound with a vector of NaN or infinity" in ran.err
    assert f"({dtype} on cpu){remedy} intact weights" in ran.err
    assert not (tmp_path / "a.db").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows * 0, "of zeros"),
        (lambda rows: rows[:, :7], "of another shape than it announces"),
        (lambda rows: rows[:0], "of another shape than it announces"),
    ],
)
def test_a_model_that_answers_a_sound_with_nothing_of_use_is_refused(
    change: Callable[[Floats], Floats],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = load_model("logmel")
    embed = model.embed
    monkeypatch.setattr(model, "embed", lambda windows, rate_hz: change(embed(windows, rate_hz)))
    monkeypatch.setattr(loading, "load", lambda _name, _config: model)
    with pytest.raises(ModelError, match=f"^model 'logmel' answers a sound with a vector {said}"):
        loading.load_model("logmel", settings_for(tmp_path, "logmel"), print)


def test_a_model_that_raises_at_once_is_refused_before_anything_is_heard(
    grym: Grym, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embed(_self: Logmel, _windows: Floats, _rate_hz: int | None = None) -> Floats:
        raise RuntimeError("CUDA error: no kernel image is available")

    monkeypatch.setattr(Logmel, "embed", embed)
    ran = grym("listen", f"s={short}", "--model", "logmel", "--store", tmp_path / "a.db")
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "model 'logmel' cannot embed a sound (RuntimeError: CUDA error" in ran.err
    assert not (tmp_path / "a.db").exists()
