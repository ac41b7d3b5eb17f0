"""What runs beside the flow holds no window up, and says what it had no time for."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from connectors.store import Store
from flows.beside import Tagging
from flows.describing import slow_lane
from flows.errors import GrymError
from flows.settings import load
from flows.station import Station, credit_for
from operators.aside import unpack
from operators.records import ANALYSIS_RATE_HZ, Failure, Floats, Window
from operators.remarks import Description, Tag


class Voice:
    """Scores by the first sample; waits while it is held, and fails where told to."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.held.set()
        self.asked = threading.Semaphore(0)

    def scores(self, windows: Floats, rate_hz: int) -> Floats:
        assert rate_hz == ANALYSIS_RATE_HZ
        self.asked.release()
        self.held.wait(30)
        if (windows[:, 0] > 1.0).any():
            raise ArithmeticError("too loud")
        return windows[:, 0]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    settings = load(flags={"store": {"uri": str(tmp_path / "a.db")}})
    with Store.open(settings.store.uri) as store:
        made = Station(settings, {}, store, credit_for(settings), lambda _item: None)
        yield made
        made.close()


def window(number: int, score: float = 0.5) -> Window:
    index = number * ANALYSIS_RATE_HZ
    samples = np.full(8, score, np.float32)
    return Window("s", index, number * 10**9, samples, 1.0, False, -20.0, "open")


def until_done(tagging: Tagging) -> list[object]:
    out, _ = tagging.on_eof()
    return list(out)


def test_every_window_gets_its_tag_in_order_and_gives_its_credit_back(station: Station) -> None:
    tagging = Tagging(Voice(), station)
    windows = [window(number, number / 10) for number in range(5)]
    out = [*tagging.on_batch(windows)[0], *until_done(tagging)]
    assert out == [
        Tag("s", each.index, each.start_ns, 1.0, "speech", float(each.samples[0]))
        for each in windows
    ]
    assert station.tags.outstanding == 0
    assert tagging.notify_at() is None


def test_sources_that_can_wait_do_so_while_the_tagger_is_busy(station: Station) -> None:
    voice = Voice()
    voice.held.clear()
    tagging = Tagging(voice, station)
    tagging.on_batch([window(number) for number in range(station.tags.limit)])
    assert not station.available
    assert tagging.notify_at() is not None
    voice.held.set()
    until_done(tagging)
    assert station.available


def test_what_was_on_its_way_is_tagged_after_a_restart(station: Station) -> None:
    voice = Voice()
    voice.held.clear()
    before = Tagging(voice, station)
    before.on_batch([window(1), window(2)])
    state = before.snapshot()
    voice.held.set()
    until_done(before)
    after = Tagging(Voice(), station, unpack(state)[1])
    assert station.tags.outstanding == 2
    assert [tag.index for tag in until_done(after) if isinstance(tag, Tag)] == [
        ANALYSIS_RATE_HZ,
        2 * ANALYSIS_RATE_HZ,
    ]
    assert station.tags.outstanding == 0


def test_live_windows_that_there_is_no_time_for_are_left_untagged_and_counted(
    station: Station,
) -> None:
    station.is_live = lambda _stream: True
    voice = Voice()
    voice.held.clear()
    tagging = Tagging(voice, station)
    tagging.on_batch([window(0)])
    voice.asked.acquire(timeout=30)  # the first one is being scored: it cannot be taken back
    out = list(tagging.on_batch([window(number) for number in range(1, 101)])[0])
    (failure,) = [item for item in out if isinstance(item, Failure)]
    assert failure.reason == "shed"
    assert failure.detail.startswith("s: 37 windows were not tagged")
    assert failure.start_s == 1.0
    assert station.tags.outstanding == 0
    voice.held.set()
    assert len(until_done(tagging)) == 64


def test_a_window_that_cannot_be_tagged_is_said_and_the_next_one_is(station: Station) -> None:
    tagging = Tagging(Voice(), station)
    failure, tag = [*tagging.on_batch([window(1, 2.0), window(2)])[0], *until_done(tagging)]
    assert isinstance(failure, Failure)
    assert "too loud" in failure.detail
    assert isinstance(tag, Tag)


def test_clips_that_cannot_be_kept_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("in the way")
    settings = load(flags={"clips": {"keep": True}})
    with pytest.raises(GrymError, match=r"clips cannot be kept in .*clips.keep to false"):
        slow_lane(settings, None, None, tmp_path)
    assert slow_lane(load(), None, None, tmp_path) is None


def test_a_late_remark_waits_for_room_in_the_spool(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([False, True])
    real: Callable[..., bool] = station.store.append
    monkeypatch.setattr(Store, "append", lambda _self, records: next(refusals) and real(records))
    station.keep(Description("s", "p1", "a dog barks", "teller", 1.0, 2.0, 10**9))
    assert station.store.drain(30)
    assert next(refusals, None) is None
