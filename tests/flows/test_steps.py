"""Each step in a small flow, killed in the middle: the rest is what it would have been."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import numpy as np
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main

from connectors.store import Store
from flows import steps
from flows.errors import GrymError
from flows.listen import listen
from flows.logics import Inferring, restored
from flows.settings import load
from flows.station import Station, credit_for
from operators.aside import unpack
from operators.breaker import BreakerConfig
from operators.inference import Inference, InferenceConfig
from operators.models import load as load_model
from operators.patterns import Detector
from operators.records import (
    ANALYSIS_RATE_HZ,
    Centroid,
    Embedding,
    Failure,
    Floats,
    Frame,
    Occurrence,
    Pattern,
    Region,
    Relation,
    StreamEnd,
    Verdict,
    Window,
)
from operators.relations import RelationTracker
from operators.revision import Revision
from operators.scene import scene
from operators.segment import Segmenter

FRAME = ANALYSIS_RATE_HZ // 2
Step = Callable[[Any], Any]


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    samples = scene(4, duration_s=120.0).samples
    starts = range(0, len(samples), FRAME)
    return [
        Frame("s", start, samples[start : start + FRAME], 0, last=start == starts[-1])
        for start in starts
    ]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    settings = load(flags={"store": {"uri": str(tmp_path / "a.db")}})
    with Store.open(settings.store.uri) as store:
        model = load_model("logmel")
        station = Station(
            settings, {"logmel": (model,)}, store, credit_for(settings), lambda _item: None
        )
        yield station
        station.close()


def through(step: Step, items: list[Any], recovery: Path | None = None) -> list[Any]:
    """What comes out of one step; with recovery it is run until nothing aborts it any more."""
    out: list[Any] = []
    flow = Dataflow("small")
    source = op.input("in", flow, TestingSource(items))
    keyed = op.key_on("key", source, lambda item: item.stream)
    op.output("out", step(keyed), TestingSink(out))
    config = None
    if recovery is not None:
        if not recovery.exists():
            recovery.mkdir()
            init_db_dir(recovery, 1)
        config = RecoveryConfig(str(recovery))
    run_main(flow, epoch_interval=timedelta(0), recovery_config=config)
    return [item for _, item in out]


def broken_off(items: list[Any], at: int) -> list[Any]:
    """The items with one crash among them (after a second one the source repeats an item)."""
    return [*items[:at], TestingSource.ABORT(), *items[at:]]


def resumed(step: Step, items: list[Any], at: int, recovery: Path) -> list[Any]:
    """What comes out of one step that crashed once and was started again."""
    cut = broken_off(items, at)
    return through(step, cut, recovery) + through(step, cut, recovery)


def plain(items: list[Any]) -> list[str]:
    return [repr(item) for item in items]


def segmenting(station: Station) -> Step:
    return lambda keyed: steps.segment("segment", keyed, station, 1.0, 0.5)


def test_segment_resumes_where_it_was(
    station: Station, frames: list[Frame], tmp_path: Path
) -> None:
    whole = through(segmenting(station), frames)
    assert {type(item) for item in whole} == {Window, Region, StreamEnd}
    for at in (17, 90):
        parts = resumed(segmenting(station), frames, at, tmp_path / f"kept{at}")
        assert plain(parts) == plain(whole)


def test_segment_takes_credit_for_open_windows_only(station: Station, frames: list[Frame]) -> None:
    windows = [item for item in through(segmenting(station), frames) if isinstance(item, Window)]
    opened = [window for window in windows if window.gate == "open"]
    assert 0 < len(opened) < len(windows)
    assert station.credit.outstanding == len(opened)
    assert station.ledger.windows == len(windows)
    assert station.ledger.audio_s == pytest.approx(120.0)


def test_patterns_and_relations_resume_where_they_were(
    station: Station, frames: list[Frame], tmp_path: Path
) -> None:
    segmenter = Segmenter("s")
    heard = [
        item
        for frame in frames
        for item in segmenter.hear(frame)
        if isinstance(item, Region | StreamEnd)
    ]

    def discovering(keyed: Any) -> Any:
        found = steps.discover("patterns", keyed, station)
        return op.merge("both", found, steps.relate("relations", found, station))

    whole = through(discovering, heard)
    kinds = {type(item) for item in whole}
    assert kinds >= {Occurrence, Pattern, StreamEnd}
    for at in (len(heard) // 3, len(heard) // 2):
        parts = resumed(discovering, heard, at, tmp_path / f"kept{at}")
        # At least once: what came out after the last snapshot comes again, to the letter.
        assert set(plain(parts)) == set(plain(whole))


def test_a_sound_that_stops_is_missed_though_only_silence_follows(
    station: Station, tmp_path: Path
) -> None:
    """Silence has windows and no regions: discovery marks how far it has come all the same."""
    rng = np.random.default_rng(3)
    beep = np.sin(np.arange(FRAME // 2) * 0.2) * np.hanning(FRAME // 2) * 0.3
    samples = rng.normal(0, 1e-3, 480 * ANALYSIS_RATE_HZ)
    for start in range(3 * ANALYSIS_RATE_HZ, 310 * ANALYSIS_RATE_HZ, 10 * ANALYSIS_RATE_HZ):
        samples[start : start + len(beep)] += beep
    heard = [
        Frame("s", start, samples[start : start + 20 * FRAME].astype(np.float32), 0)
        for start in range(0, len(samples), 20 * FRAME)
    ]

    def rating(keyed: Any) -> Any:
        cut = steps.segment("segment", keyed, station, 1.0, 0.5)
        return steps.rate("rates", steps.discover("patterns", cut, station), station)

    (change,) = through(rating, heard)
    assert (change.direction, change.pattern[0]) == ("silent", "p")
    assert change.at_s == pytest.approx(303.0, abs=0.2)
    assert change.emitted_s < 470.0
    assert set(plain(resumed(rating, heard, 40, tmp_path / "kept"))) == {repr(change)}
    assert station.regions.outstanding == 0


def test_infer_and_kinship_resume_with_what_was_in_flight(
    station: Station, frames: list[Frame], tmp_path: Path
) -> None:
    def joining(keyed: Any) -> Any:
        heard = steps.segment("segment", keyed, station, 1.0, 0.5)
        found = steps.discover("patterns", heard, station)
        embedded = steps.infer("infer", heard, "logmel", station)
        both = op.merge("lanes", found, embedded)
        return op.merge("all", embedded, steps.join("kinship", both, station))

    whole = through(joining, frames)
    wanted = {item.key for item in whole if isinstance(item, Embedding)}
    assert wanted
    assert station.credit.outstanding == station.regions.outstanding == 0
    parts = resumed(joining, frames, 100, tmp_path / "kept")
    assert {item.key for item in parts if isinstance(item, Embedding)} == wanted
    assert final_centroids(parts) == final_centroids(whole)


def test_what_is_taken_back_passes_the_steps_and_a_restart(
    station: Station, tmp_path: Path
) -> None:
    """Relations and centroids are those of the occurrences that stand, wherever it resumes."""

    def heard(pattern: str, at_s: float, emitted_s: float) -> Occurrence:
        at_ns = round(at_s * 1e9)
        return Occurrence("s", pattern, at_s, at_s + 0.5, at_ns, 0.9, emitted_s, emitted_s > 500)

    def window(at_s: float) -> Embedding:
        index, vector = round(at_s * ANALYSIS_RATE_HZ), np.ones(4, np.float32)
        return Embedding("s", index, round(at_s * 1e9), 1.0, True, -20.0, "logmel", vector)

    def both(keyed: Any) -> Any:
        related = steps.relate("relations", keyed, station)
        return op.merge("both", related, steps.join("kinship", keyed, station))

    end = StreamEnd("s", 600 * ANALYSIS_RATE_HZ, 0)
    starts = [10.0 + 25.0 * n + n % 7 for n in range(20)]
    found = [heard(p, s + lag, s + lag + 1) for s in starts for p, lag in (("a", 0.0), ("b", 1.5))]
    moved = [
        item
        for s in starts
        for item in (
            heard("c", s + 1.5, 590.0),
            Revision("s", s + 1.5, round((s + 1.5) * 1e9), "b", "c", "hindsight", 590.0),
        )
    ]
    items = [*(window(s + 1.5) for s in starts), *found, *moved, end, end]
    whole = through(both, items)
    parts = resumed(both, items, len(items) - 15, tmp_path / "kept")
    for told in (whole, parts):
        links = [r for r in told if isinstance(r, Relation) and r.kind == "sequential"]
        assert {link.key: link.withdrawn for link in links} == {
            "a|sequential|b": True,
            "a|sequential|c": False,
        }
        assert final_centroids(told) == {"b": 0, "c": 20}


def final_centroids(items: list[Any]) -> dict[str, int]:
    return {item.pattern: item.count for item in items if isinstance(item, Centroid)}


def test_an_operator_that_raises_leaves_out_the_item_and_the_stream_goes_on(
    station: Station, frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Segmenter.hear

    def hear(self: Segmenter, frame: Frame) -> list[Any]:
        if frame.index == 20 * FRAME:
            raise ArithmeticError("a cosmic ray")
        return real(self, frame)

    monkeypatch.setattr(Segmenter, "hear", hear)
    out = through(segmenting(station), frames)
    (failure,) = [item for item in out if isinstance(item, Failure)]
    assert (failure.stage, failure.reason, failure.stream) == ("segment", "error", "s")
    assert "a cosmic ray" in failure.detail
    assert isinstance(out[-1], StreamEnd)


@pytest.mark.parametrize("owner", [Segmenter, Detector, RelationTracker])
def test_the_end_of_a_stream_passes_even_a_step_that_fails_on_it(
    station: Station, frames: list[Frame], monkeypatch: pytest.MonkeyPatch, owner: type
) -> None:
    def finish(_self: object, item: Any) -> list[Any]:
        if not isinstance(item, Frame) or item.last:
            raise ArithmeticError("at the very end")
        return []

    monkeypatch.setattr(owner, "hear" if owner is Segmenter else "finish", finish)

    def relating(keyed: Any) -> Any:
        heard = steps.segment("segment", keyed, station, 1.0, 0.5)
        return steps.relate("relations", steps.discover("patterns", heard, station), station)

    out = through(relating, frames)
    assert [item for item in out if isinstance(item, StreamEnd)]


def test_a_state_of_another_version_ends_the_run_in_one_line(
    station: Station, frames: list[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Segmenter.snapshot
    monkeypatch.setattr(Segmenter, "snapshot", lambda self: {**real(self), "version": 99})
    cut = broken_off(frames, 5)
    through(segmenting(station), cut, tmp_path / "kept")
    with station.stderr, pytest.raises(GrymError):
        through(segmenting(station), cut, tmp_path / "kept")
    assert station.stop.is_set()
    assert station.trouble is not None
    assert "the recovery state of segment cannot be used" in str(station.trouble)
    assert "listen with a new recovery folder" in str(station.trouble)


def test_step_ids_are_a_contract(station: Station) -> None:
    """A renamed step loses the state of every recovery folder out there."""
    flow = listen(TestingSource([]), station)  # type: ignore[arg-type]
    assert [step.step_id for step in flow.substeps] == [
        "grym.sources",
        "grym.streams",
        "grym.segment",
        "grym.patterns",
        "grym.relations",
        "grym.rates",
        "grym.infer-logmel",
        "grym.lanes",
        "grym.kinship",
        "grym.read",
        "grym.failed",
        "grym.everything",
        "grym.events",
        "grym.store",
    ]


def test_calls_that_hang_at_the_end_of_the_input_end_the_run_too(station: Station) -> None:
    released = threading.Event()

    class Hanging:
        name, space, dimension = "hanging", "hanging-00000000-4", 4

        def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
            released.wait(60)
            return np.ones((len(windows), 4), np.float32)

    patience = BreakerConfig(wait_duration_in_open_s=1e-6, wait_growth=1.0, wait_cap_s=1.0)
    limits = InferenceConfig(deadline_s=0.02, max_batch=1, breaker=patience)
    logic = Inferring(Inference([Hanging()], limits), station)
    window = Window("s", 0, 0, np.ones(8, np.float32), 1.0, False, -20.0, "open")
    try:
        given = [replace(window, index=number, start_ns=number) for number in range(3)]
        out = [*logic.on_batch(given)[0], *logic.on_eof()[0]]
    finally:
        released.set()
    assert sum(isinstance(item, Verdict) for item in out) == 3
    assert "hanging hangs" in str(station.trouble)
    assert station.stop.is_set()


def test_a_state_of_tags_that_cannot_be_read_ends_the_run_with_a_word(
    station: Station, tmp_path: Path
) -> None:
    class Voice:
        def scores(self, windows: Floats, rate_hz: int) -> Floats:
            return np.zeros(len(windows), np.float32)

        def is_speech(self, clip: Floats) -> bool:
            return bool(len(clip))

    with pytest.raises(GrymError, match="recovery state of tag cannot be used"):
        restored("tag", station, unpack, {"version": 99})
    assert station.stop.is_set()
    windows = [Window("s", 0, 0, np.ones(8, np.float32), 1.0, False, -20.0, "open")]
    (tag,) = through(
        lambda keyed: steps.tag("tag", keyed, Voice(), station), windows, tmp_path / "k"
    )
    assert (tag.kind, tag.score) == ("speech", 0.0)
