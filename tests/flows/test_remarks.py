"""What is said of patterns beside the flow: it lands in the store, and holds nothing up."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from connectors.milvus.queries import Queries
from connectors.milvus.reader import Reader
from connectors.sources import Sources
from connectors.store import Store
from flows import run as running
from flows import station as station_module
from flows.run import Request, run
from flows.settings import Settings, load
from flows.station import Station, credit_for
from operators.records import ANALYSIS_RATE_HZ, Embedding, Floats
from operators.remarks import Description, Tag
from operators.speech import Vad
from tests.flows.conftest import Event, OnDisk, Ran
from tests.flows.test_listen import listen_with
from tests.plugins.gama import save_tiny_gama

Grym = Callable[..., Ran]


def settings_for(folder: Path, **sections: Any) -> Settings:
    listen = {"models": ("logmel",), **sections.pop("listen", {})}
    return load(flags={"store": {"uri": str(folder / "a.db")}, "listen": listen, **sections})


@pytest.fixture(scope="module")
def plain(on_disk: OnDisk, tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """What is found with nothing beside the flow."""
    events: list[Event] = []
    settings = settings_for(tmp_path_factory.mktemp("plain"))
    listen_with(settings, [f"s={on_disk.wav}"], events)
    return events


def found(events: list[Event]) -> list[Event]:
    kinds = ("occurrence", "pattern", "novel")
    return [event for event in events if event["event"] in kinds]


def confirmed(settings: Settings, events: list[Event]) -> list[Event]:
    """Patterns that were still heard once they were confirmed.

    Of one that only the look back at the end confirms, no audio is left to cut a clip from.
    """
    sure: set[str] = set()
    heard: set[str] = set()
    for event in events:
        if event["event"] == "pattern":
            (sure.add if event["status"] == "confirmed" else sure.discard)(event["pattern"])
        elif event["event"] == "occurrence" and not event["backfilled"]:
            heard |= sure & {event["pattern"]}
    with Queries(settings.store.uri) as queries:
        rows = [row for row in queries.patterns() if row["status"] == "confirmed"]
    return [row for row in rows if row["pattern"] in heard]


def test_a_confirmed_pattern_is_described_by_gama_and_the_list_shows_it(
    on_disk: OnDisk, tmp_path: Path, plain: list[Event], grym: Grym
) -> None:
    folder = save_tiny_gama(tmp_path / "gama", seed=1)
    settings = settings_for(
        tmp_path, describe={"model": "gama"}, models={"gama": {"path": str(folder)}}
    )
    events: list[Event] = []
    listen_with(settings, [f"s={on_disk.wav}"], events)
    told = {e["pattern"]: e["text"] for e in events if e["event"] == "description"}
    rows = confirmed(settings, events)
    assert rows
    assert all(row["description"] == told[row["pattern"]] for row in rows)
    assert all(told.values())
    assert found(events) == found(plain)
    ran = grym("patterns", "--store", settings.store.uri, "--json")
    shown = {event["pattern"]: event["description"] for event in ran.events}
    assert all(shown[row["pattern"]] == row["description"] for row in rows)


class Blocked:
    """A describer that never answers until it is let go."""

    name = "blocked"
    sample_rate_hz = 16_000
    longest_s = 10.0
    trained = False
    device = "cpu"
    dtype = "float32"

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.released = threading.Event()

    def describe(self, clip: Floats, rate_hz: int | None = None) -> str:
        self.asked.set()
        self.released.wait(120)
        return "too late"

    def ask(self, clip: Floats, question: str, rate_hz: int | None = None) -> str:
        return self.describe(clip, rate_hz)


def test_a_slow_lane_that_is_blocked_for_good_holds_no_window_up(
    on_disk: OnDisk, tmp_path: Path, plain: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, stop = Blocked(), threading.Event()
    monkeypatch.setattr(running, "load_describer", lambda _settings, _say: model)
    wanted = plain[-1]["stored"]
    seen: list[Embedding] = []

    class StopOnceAllAreOut:
        """Everything was embedded and told of while the describer still hangs."""

        def __call__(self, item: object) -> None:
            if isinstance(item, Embedding):
                seen.append(item)
                if len(seen) == wanted:
                    stop.set()

        def event(self, event: Event) -> None:
            del event

    settings = settings_for(tmp_path, describe={"deadline_s": 3_600.0})
    request = Request(sources=[f"s={on_disk.wav}"])
    try:
        summary = run(settings, request, StopOnceAllAreOut(), lambda _line: None, stop).summary
        assert model.asked.is_set()
        assert not model.released.is_set()
    finally:
        model.released.set()
    assert summary["shed"] == summary["dead"] == 0
    assert summary["stored"] == wanted
    # A run that is stopped has no look back at its end, which retires pieces of longer sounds.
    assert summary["patterns"] >= plain[-1]["patterns"]


def test_clips_are_kept_and_can_be_heard(on_disk: OnDisk, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, clips={"keep": True})
    events: list[Event] = []
    listen_with(settings, [f"s={on_disk.wav}"], events)
    rows = confirmed(settings, events)
    assert rows
    for row in rows:
        samples, rate_hz = soundfile.read(row["clip"])
        assert rate_hz == ANALYSIS_RATE_HZ
        assert 0.05 < len(samples) / rate_hz < 11.0
        assert abs(samples).max() > 0.001


def test_windows_are_tagged_and_speech_is_never_the_gate(
    on_disk: OnDisk, tmp_path: Path, plain: list[Event]
) -> None:
    settings = settings_for(tmp_path, listen={"models": ("logmel",), "speech": "tag"})
    tags: list[Tag] = []

    class Keep:
        def __call__(self, item: object) -> None:
            if isinstance(item, Tag):
                tags.append(item)

        def event(self, event: Event) -> None:
            del event

    request = Request(sources=[f"s={on_disk.wav}"])
    summary = run(settings, request, Keep(), lambda _line: None, threading.Event()).summary
    assert summary["stored"] == plain[-1]["stored"] == len(tags)
    assert all(0.0 <= tag.score <= 1.0 for tag in tags)
    reader = Reader(settings.store.uri)
    stored = {row["key"] for row in reader.rows("tags", "", ["key"])}
    reader.close()
    assert stored == {tag.key for tag in tags}


def test_where_speech_is_not_to_be_kept_no_clip_and_no_words_of_it_are(
    on_disk: OnDisk, tmp_path: Path, plain: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Vad, "THRESHOLD", 0.0)  # everything is taken for speech
    folder = save_tiny_gama(tmp_path / "gama", seed=1)
    settings = settings_for(
        tmp_path,
        listen={"models": ("logmel",), "speech": "drop-audio"},
        clips={"keep": True},
        describe={"model": "gama"},
        models={"gama": {"path": str(folder)}},
    )
    events: list[Event] = []
    summary = listen_with(settings, [f"s={on_disk.wav}"], events).summary
    assert found(events) == found(plain)
    assert summary["stored"] == plain[-1]["stored"]
    assert not [e for e in events if e["event"] == "description"]
    assert not list(tmp_path.rglob("*.flac"))
    rows = confirmed(settings, events)
    assert rows
    assert all(row["clip"] is None and row["description"] is None for row in rows)


def test_no_audio_but_of_the_last_moment_stays_in_a_recovery_folder_where_speech_is_dropped(
    on_disk: OnDisk, tmp_path: Path
) -> None:
    for speech in ("tag", "drop-audio"):
        kept = tmp_path / speech
        listen = {"models": ("logmel",), "speech": speech, "epoch_s": 0.05}
        settings = settings_for(tmp_path, listen=listen)
        listen_with(settings, [f"{speech}={on_disk.wav}"], [], kept)
        (file,) = kept.glob("*.sqlite3")
        with contextlib.closing(sqlite3.connect(file)) as database:
            (free,) = database.execute("PRAGMA freelist_count").fetchone()
        assert (free == 0) == (speech == "drop-audio")


def test_a_slow_lane_that_is_blocked_for_good_sheds_no_live_window_and_delays_none(
    on_disk: OnDisk, tmp_path: Path, plain: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, stop = Blocked(), threading.Event()
    monkeypatch.setattr(running, "load_describer", lambda _settings, _say: model)
    monkeypatch.setattr(Sources, "is_live", lambda _self, _stream: True)
    settings = settings_for(
        tmp_path,
        describe={"deadline_s": 3_600.0},
        infer={"queue_windows": 100_000},  # a file comes faster than any microphone
    )
    wanted = plain[-1]["stored"]
    remarks = Station.remarks
    blocked_at_the_end: list[bool] = []

    def once_all_is_stored(station: Station) -> Iterator[object]:
        """All that is left to be said: the flow has ended while the describer still hangs."""
        assert station.store.drain(60)
        blocked_at_the_end.append(model.asked.is_set() and not model.released.is_set())
        assert (station.store.pending, len(seen)) == (0, wanted)
        stop.set()
        return remarks(station)

    monkeypatch.setattr(Station, "remarks", once_all_is_stored)
    seen: list[Embedding] = []

    class Keep:
        def __call__(self, item: object) -> None:
            if isinstance(item, Embedding):
                seen.append(item)

        def event(self, event: Event) -> None:
            del event

    request = Request(sources=[f"s={on_disk.wav}"])
    try:
        summary = run(settings, request, Keep(), lambda _line: None, stop).summary
    finally:
        model.released.set()
    assert blocked_at_the_end == [True]
    assert summary["shed"] == summary["dead"] == 0
    assert summary["stored"] == wanted
    # A run that is stopped has no look back at its end, which retires pieces of longer sounds.
    assert summary["patterns"] >= plain[-1]["patterns"]


def test_a_describer_that_hangs_holds_the_end_of_a_run_up_no_longer_than_was_set(
    on_disk: OnDisk, tmp_path: Path, plain: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Blocked()
    monkeypatch.setattr(running, "load_describer", lambda _settings, _say: model)
    settings = settings_for(
        tmp_path, describe={"deadline_s": 3_600.0, "drain_s": 0.1}, clips={"keep": True}
    )
    events: list[Event] = []
    try:
        summary = listen_with(settings, [f"s={on_disk.wav}"], events).summary
        assert not model.released.is_set()
    finally:
        model.released.set()
    assert summary["stored"] == plain[-1]["stored"]
    lost = [e["reason"] for e in events if e.get("stage") == "describe"]
    assert (lost[-1], set(lost)) == ("shutdown", {"shutdown", "queue_full"} & set(lost))
    rows = confirmed(settings, events)
    assert rows
    assert all(Path(row["clip"]).is_file() for row in rows)  # clips wait for no words


def test_late_remarks_wait_for_a_full_spool_once_and_not_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, waits = [100.0], []

    def drain(_self: Store, timeout_s: float) -> bool:
        waits.append(timeout_s)
        now_s[0] += timeout_s
        return False

    settings = load(flags={"store": {"uri": str(tmp_path / "a.db"), "drain_s": 7.0}})
    with Store.open(settings.store.uri) as store, monkeypatch.context() as patched:
        station = Station(settings, {}, store, credit_for(settings), lambda _item: None)
        patched.setattr(station_module, "monotonic", lambda: now_s[0])
        patched.setattr(Store, "append", lambda _self, _records: False)
        patched.setattr(Store, "drain", drain)
        for number in range(5):
            station.keep(Description("s", f"p{number}", "a dog", "teller", 1.0, 2.0, 10**9))
        station.close()
    assert waits == [7.0]
