"""One source on its way to a topic, step by step, with a clock that is turned by hand."""

from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from connectors.chunks import Break, Chunk, Clock, RawItem, State
from connectors.kafka.wire import AudioMessage
from flows.feeder import Feeder
from operators.records import Failure, SourceState

RATE = 4_000


@dataclass
class Scripted:
    """A source that returns what it was given, a list a call."""

    live: ClassVar[bool] = False
    ends: ClassVar[bool] = True
    divides: ClassVar[bool] = False
    turns: deque[list[RawItem] | Exception] = field(default_factory=deque)
    wait_ns: int = 5_000_000
    total_s: float | None = None
    lag_s: float | None = None
    endless: bool = False
    resumes: bool = False

    def next(self) -> list[RawItem]:
        turn = self.turns.popleft() if self.turns else []
        if isinstance(turn, Exception):
            raise turn
        return turn

    @property
    def done(self) -> bool:
        return not self.turns and not self.endless

    def snapshot(self) -> State:
        return {}

    def close(self) -> None:
        self.turns.clear()


@dataclass
class Desk:
    """Feeders, and what they sent and showed."""

    messages: list[AudioMessage] = field(default_factory=list)
    shown: list[Failure | SourceState] = field(default_factory=list)
    room: bool = True
    now_ns: int = 0
    owners: dict[str, str] = field(default_factory=dict)
    sent: dict = field(default_factory=dict)

    def send(self, message: AudioMessage) -> bool:
        if message.stream == "unsendable":
            raise ValueError("flac cannot hold 9 channels at 16000 Hz")
        if self.room:
            self.messages.append(message)
        return self.room

    def feeder(self, *turns: list[RawItem] | Exception, name: str = "mic", **more: bool) -> Feeder:
        return Feeder(
            name,
            Scripted(
                deque(turns),
                endless=more.pop("endless", False),
                resumes=more.pop("resumes", False),
            ),
            self.send,
            self.shown.append,
            clips=True,
            clock=Clock(lambda: 7, lambda: self.now_ns),
            sent=self.sent,
            owners=self.owners,
            **more,
        )

    def run(self, feeder: Feeder) -> None:
        for _ in range(100):
            if feeder.done:
                return
            feeder.step()
        pytest.fail("it does not end")

    def failures(self) -> list[tuple[str, str]]:
        return [(each.stream, each.reason) for each in self.shown if isinstance(each, Failure)]


def chunk(
    length: int = 400, stream: str = "mic", *, joined: bool = False, level: float = 0.5
) -> Chunk:
    return Chunk(stream, RATE, np.full((length, 1), level, np.float32), 0, joined)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_source_is_sent_to_its_end_with_the_rest_and_the_end(desk: Desk) -> None:
    desk.run(desk.feeder([chunk(1_000)], [chunk(50, joined=True)]))
    assert [len(each.samples) for each in desk.messages] == [400, 400, 250, 0]
    assert [each.end for each in desk.messages] == [False, False, False, True]
    assert desk.sent["mic"].messages == 4
    assert desk.sent["mic"].audio_s == 1_050 / RATE


def test_a_message_that_finds_no_room_is_sent_later_and_nothing_more_is_read(desk: Desk) -> None:
    feeder = desk.feeder([chunk(800)], [chunk(400, joined=True)])
    desk.room = False
    assert feeder.step() == 0
    assert feeder.step() is None
    assert len(feeder.source.turns) == 1
    desk.room = True
    desk.run(feeder)
    assert [each.seq for each in desk.messages] == [0, 1, 2, 3]


def test_a_paced_message_is_due_when_its_audio_would_have_ended(desk: Desk) -> None:
    feeder = desk.feeder([chunk(800)], paced=True)
    assert feeder.step() == 0
    assert feeder.step() == 100_000_000
    desk.now_ns = 60_000_000
    assert feeder.step() == 40_000_000
    desk.now_ns = 100_000_000
    assert feeder.step() == 100_000_000
    assert len(desk.messages) == 1
    desk.now_ns = 200_000_000
    desk.run(feeder)
    assert len(desk.messages) == 3


def test_a_source_without_anything_now_says_when_to_ask_again(desk: Desk) -> None:
    assert desk.feeder([], endless=True).step() == 5_000_000


def test_when_stopped_what_was_read_and_the_end_are_due_at_once(desk: Desk) -> None:
    feeder = desk.feeder([chunk(850)], endless=True, paced=True)
    feeder.step()
    feeder.stop()
    feeder.stop()
    desk.run(feeder)
    assert [len(each.samples) for each in desk.messages] == [400, 400, 50, 0]


def test_when_stopped_what_the_source_has_captured_is_sent_as_well(desk: Desk) -> None:
    turns = [[chunk()], [chunk(joined=True)], [chunk(50, joined=True)]]
    feeder = desk.feeder(*turns, endless=True)
    feeder.step()
    feeder.stop()
    assert feeder.waiting == 4
    desk.run(feeder)
    assert [len(each.samples) for each in desk.messages] == [400, 400, 50, 0]
    assert feeder.waiting == 0
    assert desk.shown == []


def test_what_can_be_read_again_or_was_never_opened_is_not_read_when_stopped(desk: Desk) -> None:
    again = desk.feeder([chunk()], [chunk(joined=True)], resumes=True)
    again.step()
    again.stop()
    unopened = desk.feeder([chunk(stream="pi")], name="pi")
    unopened.stop()
    for feeder in (again, unopened):
        desk.run(feeder)
    assert [(each.stream, len(each.samples)) for each in desk.messages] == [
        ("mic", 400),
        ("mic", 0),
    ]


def test_when_more_waits_than_is_read_at_a_stop_it_is_said(desk: Desk) -> None:
    feeder = desk.feeder(*[[chunk(joined=True)] for _ in range(30)])
    feeder.step()
    feeder.stop()
    desk.run(feeder)
    assert len(desk.messages) == 22
    assert desk.failures() == [("mic", "stopped")]
    assert not feeder.failed


def test_a_source_that_raises_when_it_is_stopped_is_given_up_and_its_streams_end(
    desk: Desk,
) -> None:
    feeder = desk.feeder([chunk(100)], RuntimeError("no reason"))
    feeder.step()
    feeder.stop()
    desk.run(feeder)
    assert desk.failures() == [("mic", "error")]
    assert [each.end for each in desk.messages] == [False, True]


def test_messages_of_a_stream_that_cannot_be_sent_wait_for_nothing(desk: Desk) -> None:
    feeder = desk.feeder([chunk(800, "unsendable")], endless=True)
    feeder.step()
    assert feeder.waiting == 2
    feeder.step()
    feeder.stop()
    assert feeder.waiting == 0


def test_a_gap_that_the_source_tells_is_a_gap_in_the_numbers(desk: Desk) -> None:
    gap = Failure("mic", "source", "gap", "mic: 2 s were lost", "none", float("nan"))
    desk.run(desk.feeder([gap, chunk(400)], [gap, chunk(400)]))
    assert [each.seq for each in desk.messages] == [0, 2, 3]
    assert [each.start_s for each in desk.shown] == [0.0, 0.1]


def test_samples_that_are_not_numbers_are_left_out_as_a_gap_and_told(desk: Desk) -> None:
    feeder = desk.feeder([chunk(), chunk(joined=True, level=np.nan), chunk(joined=True)])
    desk.run(feeder)
    assert [(each.seq, each.ts_ns) for each in desk.messages[:2]] == [(0, 0), (2, 200_000_000)]
    assert desk.failures() == [("mic", "nan")]
    assert not feeder.failed


def test_samples_beyond_full_scale_are_counted(desk: Desk) -> None:
    desk.run(desk.feeder([chunk(level=1.5), chunk(joined=True, level=1.0)]))
    assert desk.sent["mic"].clipped == 400


def test_a_failure_that_ends_the_source_counts(desk: Desk) -> None:
    broken = Failure("mic", "source", "truncated", "a.wav: stopped", "copy it", 3.0, True)
    feeder = desk.feeder([chunk(), Break("mic"), broken])
    desk.run(feeder)
    assert feeder.failed
    assert desk.failures() == [("mic", "truncated")]
    assert desk.messages[-1].end


def test_a_source_that_raises_is_given_up_in_one_line_and_its_streams_end(desk: Desk) -> None:
    feeder = desk.feeder([chunk(100)], RuntimeError("no\nreason"))
    desk.run(feeder)
    assert feeder.failed
    assert desk.failures() == [("mic", "error")]
    assert "RuntimeError: no reason" in desk.shown[0].detail
    assert [each.end for each in desk.messages] == [False, True]


def test_what_the_codec_cannot_hold_is_told_once_and_the_others_go_on(desk: Desk) -> None:
    both = [chunk(800, "unsendable"), chunk(800, "mic")]
    feeder = desk.feeder(both)
    desk.run(feeder)
    assert desk.failures() == [("unsendable", "unsendable")]
    assert {each.stream for each in desk.messages} == {"mic"}
    assert feeder.failed


def test_a_stream_that_two_sources_have_is_sent_from_the_first_only(desk: Desk) -> None:
    desk.run(desk.feeder([chunk()], name="one"))
    second = desk.feeder([chunk(), chunk(joined=True)], name="two")
    desk.run(second)
    assert len(desk.messages) == 2
    assert desk.failures() == [("mic", "two_places")]
    assert second.failed


def test_the_state_of_a_source_is_shown(desk: Desk) -> None:
    state = SourceState("mic", "degraded", "gone")
    desk.run(desk.feeder([state]))
    assert desk.shown == [state]
    assert desk.messages == []
