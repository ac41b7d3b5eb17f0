"""The whole flow into a real store: same audio, same findings, whatever else differs."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from connectors.events import as_event
from flows import run as running
from flows.errors import GrymError
from flows.run import Request, run
from flows.settings import Settings, load
from operators.models import load as load_model
from operators.records import Floats
from tests.flows.conftest import Event, OnDisk, Ran, heard, standing

Grym = Callable[..., Ran]
FOUND = ("occurrence", "pattern", "novel")


@pytest.fixture(scope="module")
def reference(on_disk: OnDisk, tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """What is found in the scene with everything at its default, but the cheap model."""
    return listen(tmp_path_factory.mktemp("reference"), f"s={on_disk.wav}")


def listen(folder: Path, *sources: str, **flags: Any) -> list[Event]:
    events: list[Event] = []
    settings = load(
        flags={
            "store": {"uri": str(folder / "a.db")},
            "listen": {"models": ("logmel",), **flags},
        }
    )
    listen_with(settings, sources, events)
    return events


def listen_with(
    settings: Settings,
    sources: Sequence[str],
    events: list[Event],
    recovery: Path | None = None,
    stop: threading.Event | None = None,
) -> Any:
    class Keep:
        def __call__(self, item: object) -> None:
            if (event := as_event(item)) is not None:
                events.append(event)

        def event(self, event: Event) -> None:
            events.append(event)

    request = Request(sources=sources, recovery=recovery)
    outcome = run(settings, request, Keep(), lambda _line: None, stop or threading.Event())
    events.append(outcome.summary)
    return outcome


def related(events: list[Event]) -> list[str]:
    """Relations but ``similar``, which rests on vectors."""
    return heard([e for e in events if e.get("kind") != "similar"], "relation")


def test_it_finds_what_was_planted(reference: list[Event], on_disk: OnDisk) -> None:
    starts = np.array([e["start_s"] for e in reference if e["event"] == "occurrence"])
    planted = set(on_disk.truth.planted())
    near = [
        np.abs(starts - event.start_s).min() < 0.1
        for event in on_disk.truth.events
        if event.sound in planted
    ]
    assert np.mean(near) > 0.6
    assert any(e["event"] == "relation" and e["kind"] == "periodic" for e in reference)


def test_every_window_has_exactly_one_verdict(reference: list[Event]) -> None:
    summary = reference[-1]
    outcomes = {name: summary[name] for name in ("stored", "silent", "gated", "shed", "dead")}
    assert summary["windows"] == sum(outcomes.values())
    told = [event["verdict"] for event in reference if event["event"] == "window"]
    assert {name: told.count(name) for name in outcomes} == outcomes
    assert summary["shed"] == summary["dead"] == 0


def test_the_container_does_not_matter(
    reference: list[Event], on_disk: OnDisk, tmp_path: Path
) -> None:
    samples, rate_hz = soundfile.read(on_disk.wav, dtype="int16")
    flac = tmp_path / "scene.flac"
    soundfile.write(flac, samples, rate_hz)
    found = listen(tmp_path, f"s={flac}")
    assert heard(found, *FOUND) == heard(reference, *FOUND)
    assert related(found) == related(reference)


@pytest.mark.parametrize("frame_ms", [20, 1000])
def test_the_length_of_frames_does_not_matter(
    reference: list[Event], on_disk: OnDisk, tmp_path: Path, frame_ms: int
) -> None:
    found = listen(tmp_path, f"s={on_disk.wav}", frame_ms=frame_ms)
    assert heard(found, *FOUND) == heard(reference, *FOUND)
    assert related(found) == related(reference)


def test_company_does_not_matter(reference: list[Event], on_disk: OnDisk, tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(on_disk.wav, dtype="int16")
    others = []
    for shift_s in (5, 11, 17):
        path = tmp_path / f"other{shift_s}.wav"
        soundfile.write(path, np.roll(samples, shift_s * rate_hz), rate_hz)
        others.append(str(path))
    together = listen(tmp_path, others[0], f"s={on_disk.wav}", *others[1:])
    found = [event for event in together if event.get("stream") == "s"]
    assert heard(found, *FOUND) == heard(reference, *FOUND)
    assert related(found) == related(reference)


class Faulty:
    """A real model that raises for some of its calls."""

    def __init__(self, model: Any, failing: range) -> None:
        self._model = model
        self._failing = failing
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        self.calls += 1
        if self.calls in self._failing:
            raise RuntimeError("the accelerator fell off the bus")
        return self._model.embed(windows, rate_hz)  # type: ignore[no-any-return]


def with_model(monkeypatch: pytest.MonkeyPatch, failing: range) -> Faulty:
    model = Faulty(load_model("logmel"), failing)
    monkeypatch.setattr(running, "load_ladders", lambda _settings, _say: {"logmel": (model,)})
    return model


def breaking(folder: Path, wait_s: float) -> Settings:
    """Small batches, and a breaker that waits so long however often it opens."""
    return load(
        flags={
            "store": {"uri": str(folder / "a.db")},
            "listen": {"models": ("logmel",), "epoch_s": 0.0},
            "infer": {"max_batch": 2},
            "breaker": {"wait_duration_in_open_s": wait_s, "wait_cap_s": wait_s},
        }
    )


def test_a_failing_model_opens_its_breaker_and_discovery_does_not_notice(
    reference: list[Event], on_disk: OnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_model(monkeypatch, failing=range(10, 30))
    events: list[Event] = []
    outcome = listen_with(breaking(tmp_path, 0.01), [f"s={on_disk.wav}"], events)
    summary = outcome.summary
    assert summary["breaker_opens"] >= 1
    steps = [(e["from"], e["to"]) for e in events if e["event"] == "breaker"]
    assert steps[-1] == ("half_open", "closed")
    assert heard(events, *FOUND) == heard(reference, *FOUND)
    assert summary["dead"] > 0
    outcomes = [summary[name] for name in ("stored", "silent", "gated", "shed", "dead")]
    assert summary["windows"] == sum(outcomes) == reference[-1]["windows"]
    assert any(e["event"] == "failure" and e["stage"] == "infer" for e in events)


def test_a_breaker_that_was_open_resumes_open(
    on_disk: OnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    first: list[Event] = []

    class StopWhenOpen(list[Event]):
        def append(self, event: Event) -> None:
            first.append(event)
            if event["event"] == "breaker" and event["to"] == "open":
                stop.set()

    settings = breaking(tmp_path, wait_s=10_000.0)
    with_model(monkeypatch, failing=range(10, 1_000))
    kept = tmp_path / "kept"
    listen_with(settings, [f"s={on_disk.wav}"], StopWhenOpen(), recovery=kept, stop=stop)
    assert stop.is_set()

    sound = with_model(monkeypatch, failing=range(0))
    then: list[Event] = []
    outcome = listen_with(settings, [f"s={on_disk.wav}"], then, recovery=kept)
    assert sound.calls == 0
    assert outcome.summary["stored"] == 0
    reasons = {e["reason"] for e in then if e["event"] == "window" and e["verdict"] == "dead"}
    assert reasons == {"breaker_open"}

    last: list[Event] = []
    again = listen_with(settings, [f"s={on_disk.wav}"], last, recovery=kept)
    assert again.summary["windows"] == 0
    assert any("nothing left to read" in note for note in again.notes)


def test_the_end_of_input_waits_for_every_window(
    reference: list[Event], on_disk: OnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the model and however small its queue: nothing vanishes at the end."""

    class Slow(Faulty):
        def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
            threading.Event().wait(0.03)
            return super().embed(windows, rate_hz)

    model = Slow(load_model("logmel"), range(0))
    monkeypatch.setattr(running, "load_ladders", lambda _settings, _say: {"logmel": (model,)})
    settings = load(
        flags={
            "store": {"uri": str(tmp_path / "a.db")},
            "listen": {"models": ("logmel",)},
            "infer": {"max_batch": 2, "queue_windows": 1, "deadline_s": 0.5},
        }
    )
    outcome = listen_with(settings, [f"s={on_disk.wav}"], [])
    assert outcome.summary["windows"] == reference[-1]["windows"]
    outcomes = [outcome.summary[name] for name in ("stored", "silent", "gated", "shed", "dead")]
    assert sum(outcomes) == outcome.summary["windows"]


def test_a_model_that_hangs_ends_the_run_with_a_clear_word(
    on_disk: OnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    class Hanging(Faulty):
        def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
            release.wait(60)
            return super().embed(windows, rate_hz)

    model = Hanging(load_model("logmel"), range(0))
    monkeypatch.setattr(running, "load_ladders", lambda _settings, _say: {"logmel": (model,)})
    settings = load(
        flags={
            "store": {"uri": str(tmp_path / "a.db")},
            "listen": {"models": ("logmel",)},
            "infer": {"max_batch": 2, "deadline_s": 0.05},
            "breaker": {"wait_duration_in_open_s": 0.01},
        }
    )
    try:
        with pytest.raises(GrymError, match=r"model logmel hangs: .* start grym again"):
            listen_with(settings, [f"s={on_disk.wav}"], [])
    finally:
        release.set()


def test_listening_twice_adds_no_row(
    reference: list[Event], on_disk: OnDisk, tmp_path: Path, grym: Grym
) -> None:
    store = tmp_path / "a.db"
    first = listen(tmp_path, f"s={on_disk.wav}")
    rows = {verb: grym(verb, "--store", store, "--json").out for verb in LISTS}
    assert listen(tmp_path, f"s={on_disk.wav}")[:-1] != []
    assert {verb: grym(verb, "--store", store, "--json").out for verb in LISTS} == rows
    assert heard(first, *FOUND) == heard(reference, *FOUND)
    listed = grym("occurrences", "--store", store, "--json").events
    assert heard(listed, "occurrence") == heard(standing(first), "occurrence")


LISTS = ("patterns", "occurrences", "relations")
