"""The chunks of a source as frames: several streams, pace, ends, and where to go on."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from connectors import framed
from connectors.chunks import Break, Chunk, Clock, RawItem, ReadOptions, Resume, State
from connectors.framed import Framed
from operators.records import ANALYSIS_RATE_HZ, Failure, Frame, SourceState

S = ANALYSIS_RATE_HZ
MS = 1_000_000


def chunk(stream: str, number: int, *, joined: bool = True, count: int = 4_410) -> Chunk:
    samples = np.full((count, 1), number / 100, np.float32)
    start_ns = number * 100 * MS
    return Chunk(stream, S, samples, start_ns, joined and number > 0, {"number": number})


@dataclass
class Scripted:
    """A source that returns what it was given, batch by batch."""

    live: ClassVar[bool] = False
    resumes: ClassVar[bool] = True
    ends: ClassVar[bool] = True
    divides: ClassVar[bool] = False
    batches: list[list[RawItem]]
    endless: bool = False
    total_s: float | None = None
    lag_s: float | None = 0.5
    closed: int = 0
    resume: Resume | None = None
    wait_ns: int = 0
    taken: list[int] = field(default_factory=list)

    def __call__(
        self, name: str, target: str, options: ReadOptions, resume: Resume | None
    ) -> "Scripted":
        self.resume = resume
        return self

    @property
    def done(self) -> bool:
        return not self.batches and not self.endless

    def next(self) -> list[RawItem]:
        batch = self.batches.pop(0) if self.batches else []
        self.wait_ns = 0 if self.batches else 5 * MS
        self.taken.append(len(batch))
        return batch

    def snapshot(self) -> State:
        return {"version": 1, "left": len(self.batches)}

    def close(self) -> None:
        self.closed += 1


class Microphone(Scripted):
    live: ClassVar[bool] = True
    ends: ClassVar[bool] = False
    resumes: ClassVar[bool] = False


class Time:
    """A steady clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def reader(source: Scripted, state: State | None = None, **options: object) -> Framed:
    clock = Clock(wall_ns=lambda: 1, steady_ns=lambda: 0)
    given = {"clock": clock, "start_ns": 7, **options}
    return Framed(source, "topic", "", ReadOptions(**given), state)  # type: ignore[arg-type]


def everything(made: Framed) -> list[object]:
    items: list[object] = []
    while not made.done:
        items += made.next()
    return items


def test_several_streams_come_each_in_order_and_each_has_its_end() -> None:
    source = Scripted([[chunk(name, number) for name in "ab"] for number in range(5)])
    frames = [item for item in everything(reader(source)) if isinstance(item, Frame)]
    for name in "ab":
        own = [frame for frame in frames if frame.stream == name]
        assert [frame.index for frame in own] == [0, 4_410, 8_820, 13_230, 17_640, 22_050]
        assert [frame.last for frame in own] == [False] * 5 + [True]


def test_a_source_without_any_audio_has_one_end_under_its_own_name() -> None:
    (end,) = everything(reader(Scripted([])))
    assert isinstance(end, Frame)
    assert (end.stream, end.last, end.origin_ns, len(end.samples)) == ("topic", True, 7, 0)


def test_what_came_is_delivered_at_once_when_nothing_more_is_there() -> None:
    source = Scripted([[chunk("a", 0, count=100)]], endless=True)
    made = reader(source)
    (frame,) = made.next()
    assert isinstance(frame, Frame)
    assert len(frame.samples) == 100
    assert made.wait_ns == 5 * MS


def test_a_stream_that_ended_may_go_on_and_is_concluded_once() -> None:
    batches: list[list[RawItem]] = [
        [chunk("a", 0), Break("a", over=True)],
        [chunk("a", 9, joined=False)],
    ]
    frames = everything(reader(Scripted(batches)))
    assert [(f.index, f.last) for f in frames if isinstance(f, Frame)] == [
        (0, False),
        (4_410, True),
        (9 * 4_410, False),
        (10 * 4_410, True),
    ]  # fmt: skip
    assert SourceState("a", "ended", "a: over for the time being") in frames
    once = everything(reader(Scripted([[chunk("a", 0), Break("a", over=True)]])))
    assert sum(isinstance(item, Frame) and item.last for item in once) == 1


def test_an_end_and_what_follows_it_in_one_batch_are_told_apart() -> None:
    batch: list[RawItem] = [chunk("a", 0), Break("a", over=True)]
    batch += [chunk("a", number, joined=number > 9) for number in range(9, 12)]
    items = everything(reader(Scripted([batch])))
    assert sum(isinstance(item, SourceState) for item in items) == 1
    ends = [item.index for item in items if isinstance(item, Frame) and item.last]
    assert ends == [4_410, 12 * 4_410]


def test_an_end_before_any_audio_says_nothing_of_when_the_stream_began() -> None:
    source = Microphone([[Break("a", over=True)], [chunk("a", 9, joined=False)]], endless=True)
    frames = [item for _ in range(3) for item in reader(source).next() if isinstance(item, Frame)]
    assert [(frame.index, frame.origin_ns, frame.last) for frame in frames] == [
        (0, 900 * MS, False)
    ]  # fmt: skip
    assert not Framed(Microphone([]), "mic", "", ReadOptions()).conclude()  # type: ignore[arg-type]


def test_what_was_captured_is_heard_out_when_the_run_is_stopped() -> None:
    made = reader(Microphone([[chunk("a", number)] for number in range(4)], endless=True))
    made._ask([])
    frames = [item for item in made.conclude() if isinstance(item, Frame)]
    assert [frame.index for frame in frames if not frame.last] == [4_410 * n for n in range(4)]


def test_what_is_left_unheard_when_a_run_is_stopped_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framed, "MOST_ASKED", 2)
    made = reader(Microphone([[chunk("a", number)] for number in range(4)], endless=True))
    failures = [item for item in made.conclude() if isinstance(item, Failure)]
    assert [failure.reason for failure in failures] == ["stopped"]


def test_only_what_was_heard_to_its_end_is_finished() -> None:
    heard, nothing = reader(Scripted([[chunk("a", 0)]])), reader(Scripted([]))
    lost, broken = reader(Microphone([[chunk("a", 0)]])), reader(Scripted([[chunk("a", 0)]]))
    for made in (heard, nothing, lost):
        everything(made)
    broken.next()
    assert not broken.give_up()  # it had ended already
    assert [made.finished for made in (heard, nothing, lost, broken)] == [True, False, False, False]


def test_at_the_speed_of_sound_a_frame_comes_when_it_would_have_ended() -> None:
    time = Time()
    source = Scripted([[chunk("a", number)] for number in range(3)])
    made = reader(source, speed="realtime", clock=Clock(wall_ns=lambda: 1, steady_ns=time))
    assert made.next() == []
    assert made.wait_ns == 100 * MS
    assert source.taken == [1]
    time.now_ns = 200 * MS
    assert len(made.next()) == 2
    time.now_ns = 300 * MS
    assert sum(isinstance(item, Frame) for item in made.next()) == 2  # the third, and the end
    assert made.done


def test_what_is_said_of_a_source_goes_through() -> None:
    said = SourceState("topic", "degraded", "away")
    assert said in everything(reader(Scripted([[said]])))


def test_stopping_concludes_only_what_no_later_run_can_go_on_with() -> None:
    for kind, ends in ((Scripted, 0), (Microphone, 1)):
        made = reader(kind([[chunk("a", 0)]], endless=True))
        made.next()
        assert sum(isinstance(item, Frame) and item.last for item in made.conclude()) == ends


def test_a_stream_of_two_sources_is_left_out_and_said() -> None:
    owners = {"a": "elsewhere"}
    made = Framed(
        Scripted([[chunk("a", 0), chunk("b", 0)]]), "topic", "", ReadOptions(), None, owners
    )  # type: ignore[arg-type]
    items = everything(made)
    (failure,) = [item for item in items if isinstance(item, Failure)]
    assert (failure.reason, failure.fatal_source) == ("two_places", False)
    assert "'a' is a stream of elsewhere" in failure.detail
    assert {item.stream for item in items if isinstance(item, Frame)} == {"b"}


def test_there_is_a_bound_on_streams_and_each_left_out_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framed, "MOST_STREAMS", 2)
    items = everything(reader(Scripted([[chunk(name, 0) for name in "abcd"]])))
    assert [item.reason for item in items if isinstance(item, Failure)] == ["too_many_streams"] * 2
    assert {item.stream for item in items if isinstance(item, Frame)} == {"a", "b"}


def test_a_later_run_is_told_every_mark_and_goes_on_exactly() -> None:
    chunks = [[chunk(name, number) for name in "ab"] for number in range(30)]
    whole = everything(reader(Scripted([list(batch) for batch in chunks])))
    made = reader(Scripted(chunks[:17], endless=True))
    first = [item for _ in range(12) for item in made.next()]
    state = made.snapshot()

    source = Scripted([])
    resumed = reader(source, state)
    assert source.resume is not None
    assert set(source.resume.marks) == {"a", "b"}
    assert source.resume.source == {"version": 1, "left": 0}
    begin = min(mark["number"] for mark in source.resume.marks.values())
    marks = source.resume.marks
    again = [[chunk(name, number) for name in "ab"] for number in range(begin, 30)]
    source.batches = [
        [each for each in batch if each.mark["number"] >= marks[each.stream]["number"]]
        for batch in again
    ]
    both = [*first, *everything(resumed)]
    for name in "ab":
        assert [
            (item.index, item.samples.tobytes(), item.last)
            for item in both
            if isinstance(item, Frame) and item.stream == name
        ] == [
            (item.index, item.samples.tobytes(), item.last)
            for item in whole
            if isinstance(item, Frame) and item.stream == name
        ]


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 1"):
        reader(Scripted([]), {"version": 1})


def test_position_and_lag_are_known_and_closing_closes_the_source() -> None:
    source = Scripted([[chunk("a", 0), chunk("b", 0)]], endless=True)
    made = reader(source)
    made.next()
    assert (made.position, made.lag_s, made.total_s) == (8_820, 0.5, None)
    made.close()
    assert source.closed == 1
