"""One stream as a partition: credit, waiting, the end, and readers that break."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np
import pytest

from connectors.chunks import Clock, ReadOptions, State
from connectors.partition import SourcePartition
from connectors.reader import Item, Reader
from operators.records import Failure, Frame

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = ReadOptions(start_ns=5, clock=Clock(wall_ns=lambda: int(NOW.timestamp() * 1e9)))


def frame(index: int, *, last: bool = False) -> Frame:
    return Frame("s", index, np.zeros(0 if last else 10, np.float32), 5, last=last)


@dataclass
class Scripted:
    """A reader that delivers what it was given, batch by batch; an exception is raised."""

    live: ClassVar[bool] = False
    lag_s: ClassVar[float | None] = None
    done: bool = False
    finished: bool = False
    batches: list[list[Item] | Exception] = field(default_factory=list)
    wait_ns: int = 0
    position: int = 22_050
    total_s: float | None = 2.0
    closed: int = 0

    def next(self) -> list[Item]:
        batch = self.batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        return batch

    def conclude(self) -> list[Item]:
        return [frame(20, last=True)] if self.live else []

    def give_up(self) -> list[Item]:
        return [frame(20, last=True)]

    def snapshot(self) -> State:
        return {"left": len(self.batches)}

    def close(self) -> None:
        self.closed += 1


class Live(Scripted):
    live: ClassVar[bool] = True


def partition(
    reader: object, *, credit: bool = True, stop: bool = False, state: State | None = None
) -> SourcePartition:
    def build(_: State | None) -> Reader:
        if isinstance(reader, Exception):
            raise reader
        return reader  # type: ignore[return-value]  # structurally one; its __init__ differs

    return SourcePartition("s", build, OPTIONS, lambda live: live or credit, lambda: stop, state)


def test_a_replayable_source_waits_for_credit_and_asks_again_soon() -> None:
    part = partition(Scripted(batches=[[frame(0)]]), credit=False)
    assert part.next_batch() == []
    assert part.next_awake() == NOW + timedelta(milliseconds=1)


def test_a_live_source_delivers_without_credit() -> None:
    assert len(partition(Live(batches=[[frame(0)]]), credit=False).next_batch()) == 1


@pytest.mark.parametrize(("wait_ms", "awake_ms"), [(0, 0), (7, 7), (5_000, 20)])
def test_it_never_sleeps_beyond_twenty_milliseconds(wait_ms: int, awake_ms: int) -> None:
    part = partition(Scripted(batches=[[]], wait_ns=wait_ms * 1_000_000))
    assert part.next_batch() == []
    assert part.next_awake() == NOW + timedelta(milliseconds=awake_ms)


def test_after_the_last_frame_there_is_nothing_in_this_run_or_the_next() -> None:
    reader = Scripted(batches=[[frame(0), frame(10, last=True)]], done=True, finished=True)
    part = partition(reader)
    assert len(part.next_batch()) == 2
    part.close()
    assert reader.closed == 1
    with pytest.raises(StopIteration):
        part.next_batch()
    state = part.snapshot()
    assert state == {"version": 1, "done": True, "reader": {"left": 0}}
    resumed = partition(AssertionError("a finished source is not opened"), state=state)
    with pytest.raises(StopIteration):
        resumed.next_batch()
    assert resumed.snapshot() == state


def test_a_stopped_source_ends_without_ending_its_stream() -> None:
    part = partition(Scripted(batches=[[frame(0)]]), stop=True, state=None)
    with pytest.raises(StopIteration):
        part.next_batch()
    assert part.snapshot() == {"version": 1, "done": False, "reader": None}


@pytest.mark.parametrize(("kind", "ends"), [(Scripted, 0), (Live, 1)])
def test_stopping_concludes_what_no_later_run_can_go_on_with(
    kind: type[Scripted], ends: int
) -> None:
    stops = iter([False, True, True])
    reader = kind(batches=[[frame(0)]])
    part = SourcePartition(
        "s", lambda _: reader, OPTIONS, lambda live: True, lambda: next(stops), None
    )
    assert len(part.next_batch()) == 1
    assert len(part.next_batch()) == ends
    with pytest.raises(StopIteration):
        part.next_batch()
    assert not part.snapshot()["done"]


@pytest.mark.parametrize(
    ("reader", "ends"), [(Scripted(batches=[OSError("disk\nfell out")]), 1), (OSError("disk"), 0)]
)
def test_a_reader_that_breaks_is_a_failure_and_the_end_of_its_streams(
    reader: object, ends: int
) -> None:
    part = partition(reader)
    failure, *rest = part.next_batch()
    assert isinstance(failure, Failure)
    assert failure.fatal_source
    assert "OSError: disk" in failure.detail
    assert "\n" not in failure.detail
    assert [isinstance(item, Frame) and item.last for item in rest] == [True] * ends
    with pytest.raises(StopIteration):
        part.next_batch()


def test_a_source_that_failed_is_tried_again_by_a_later_run() -> None:
    part = partition(Scripted(batches=[[]], done=True))
    part.next_batch()
    state = part.snapshot()
    assert not state["done"]
    assert partition(Scripted(batches=[[frame(0)]]), state=state).next_batch()


def test_even_a_reader_that_cannot_say_its_end_is_one_failure() -> None:
    class Broken(Scripted):
        def give_up(self) -> list[Item]:
            raise RuntimeError("again")

    (failure,) = partition(Broken(batches=[OSError("disk")])).next_batch()
    assert isinstance(failure, Failure)


def test_a_resume_state_of_another_version_is_a_failure() -> None:
    (failure,) = partition(Scripted(), state={"version": 9}).next_batch()
    assert isinstance(failure, Failure)
    assert "version 9" in failure.detail
    assert "new recovery folder" in failure.remedy


def test_progress_is_the_readers() -> None:
    part = partition(Scripted(batches=[[]]))
    assert part.progress().total_s is None
    part.next_batch()
    assert (part.progress().position_s, part.progress().total_s) == (0.5, 2.0)
    part.close()
