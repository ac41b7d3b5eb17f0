"""Time and place: what waits for its turn while there is more to read, and keys that move."""

import json
import logging

import numpy as np
import pytest

from connectors.chunks import Chunk, Clock, ReadOptions, Resume
from connectors.framed import Framed
from connectors.kafka.feed import Feed, Wish
from connectors.kafka.hearing import QUIET_NS, REPORT_NS
from connectors.kafka.lane import Lane
from connectors.kafka.options import KafkaOptions
from connectors.kafka.record import Record
from connectors.kafka.sequence import HOLD_NS
from connectors.kafka.topic import Topic
from connectors.kafka.wire import AudioMessage, encode
from operators.records import ANALYSIS_RATE_HZ, Failure, Frame, SourceState


class Table:
    """A topic whose partitions and clock are in the hands of the test."""

    def __init__(self, partitions: int = 1, resume: Resume | None = None) -> None:
        self.now_ns = 0
        clock = Clock(lambda: 0, lambda: self.now_ns)
        own = {"kafka": KafkaOptions(dead_letters=False)}
        self.topic = Topic("t", "kafka://h:1/t", ReadOptions(clock=clock, own=own), resume)
        self.feed = self.topic._feed = Feed(Wish("t", "t", "earliest"))
        for partition in range(partitions):
            self.add(partition)

    def add(self, partition: int) -> Lane:
        start = self.topic._resuming.seek.get(partition, 0)
        lane = Lane(partition, start, 10**6, 10**9)
        lane.ends(start)
        self.feed.lanes = {**self.feed.lanes, partition: lane}
        return lane

    def send(self, partition: int, *numbers: int, key: str = "a", epoch: str = "e") -> None:
        lane = self.feed.lanes[partition]
        for seq in numbers:
            sound = np.zeros((800, 1), np.float32)
            message = AudioMessage(key, 8_000, sound, seq, seq * 100_000_000, epoch)
            lane.append([Record(lane.read, 0, *encode(message))])
        lane.ends(lane.read)

    def hear(self, after_ns: int = 1_000_000) -> list:
        """What the topic gives until nothing is left, ``after_ns`` between two askings."""
        items = []
        while True:
            self.now_ns += after_ns
            items += self.topic.next()
            if self.topic.wait_ns:
                return items


@pytest.fixture
def table():
    made: list[Topic] = []

    def make(*given, **named) -> Table:
        new = Table(*given, **named)
        made.append(new.topic)
        return new

    yield make
    for topic in made:
        topic._closed = True
        topic._hearing.close()


def of(kind: type, items: list) -> list:
    return [item for item in items if isinstance(item, kind)]


def test_a_swap_is_put_right_however_slowly_the_flow_asks(table) -> None:
    at = table()
    for step in range(6):
        for key in range(70):
            seq = {2: 3, 3: 2}.get(step, step) if key == 0 else step
            at.send(0, seq, key=f"k{key}")
    items = at.hear(HOLD_NS + 200_000_000)
    assert not of(Failure, items)
    assert at.topic.counts["late"] == 0
    assert len(of(Chunk, items)) == 420


@pytest.mark.parametrize("why", ["more at the brokers", "paused"])
def test_what_is_held_waits_while_there_is_more_to_fetch(table, why: str) -> None:
    at = table()
    lane = at.feed.lanes[0]
    at.send(0, 0, 2)
    lane.paused = why == "paused"
    if not lane.paused:
        lane.ends(lane.read + 1)
    for _ in range(5):
        assert not of(Failure, at.hear(HOLD_NS * 2))
    at.send(0, 1)
    items = at.hear(HOLD_NS * 2)
    assert [chunk.mark["seq"] for chunk in of(Chunk, items)] == [1, 2]


def test_what_is_held_is_given_up_a_second_after_all_was_read(table) -> None:
    at = table()
    at.send(0, 0, 2)
    assert len(of(Chunk, at.hear())) == 1
    (gap, chunk, *_) = at.hear(HOLD_NS)
    assert (gap.reason, chunk.mark["seq"]) == ("gap", 2)


def test_a_count_of_records_that_never_come_does_not_hold_a_stream_for_ever(table) -> None:
    at = table()
    at.send(0, 0, 2)
    at.feed.lanes[0].ends(9)
    at.hear()
    assert not of(Failure, at.hear(HOLD_NS))
    assert [gap.reason for gap in of(Failure, at.hear(QUIET_NS))] == ["gap"]


def test_what_came_too_late_is_told_once_a_minute_and_at_the_end(table, caplog) -> None:
    at = table()
    at.send(0, 0, 5, 6, 7, 8, 2, 8)
    at.hear()
    (said,) = of(SourceState, at.hear(REPORT_NS))
    assert "1 messages that came after their gap" in said.detail
    assert not of(SourceState, at.hear(REPORT_NS))
    at.send(0, 3, 7)
    at.hear()
    assert at.topic.counts["repeated"] == 2
    with caplog.at_level(logging.WARNING):
        at.topic.close()
        at.topic._hearing.close()
    assert [line for line in caplog.messages if "left out" in line][1:] == []
    assert "2 messages that came after their gap" in caplog.text


def test_a_key_moves_to_a_partition_that_was_added(table) -> None:
    at = table(2)
    at.send(0, 0, 1)
    at.send(1, 0, 1, key="b")
    at.hear()
    at.add(2)
    at.send(2, 3, 4)
    at.send(2, 2, key="b")
    at.send(0, 2)
    items = at.hear()
    assert not of(Failure, items)
    heard = [
        (chunk.mark["partition"], chunk.mark["seq"], chunk.joined)
        for chunk in of(Chunk, items)
        if chunk.stream == "a"
    ]
    assert heard == [(0, 2, True), (2, 3, True), (2, 4, True)]
    at.send(0, 5)
    (refused,) = of(Failure, at.hear())
    assert refused.reason == "two_places"
    assert "'a' comes from t/2 already" in refused.detail


def test_a_key_that_moves_waits_until_its_old_partition_is_read(table) -> None:
    at = table()
    at.send(0, *range(5))
    at.hear()
    at.add(1)
    at.feed.lanes[0].ends(6)
    at.send(1, 0, key="b")
    at.send(1, 6)
    first = at.hear()
    assert [chunk.stream for chunk in of(Chunk, first)] == ["b"]
    at.send(0, 5)
    assert [chunk.mark["seq"] for chunk in of(Chunk, at.hear())] == [5, 6]


def test_what_a_moving_key_held_is_heard_before_it_moves(table) -> None:
    at = table()
    at.send(0, 0, 2)
    at.hear()
    at.add(1)
    at.send(1, 3)
    items = at.hear()
    assert [failure.reason for failure in of(Failure, items)] == ["gap"]
    assert [chunk.mark["seq"] for chunk in of(Chunk, items)] == [2, 3]


def test_a_stream_that_moved_is_resumed_from_a_mark_before_the_move_and_after_it(table) -> None:
    first = table()
    first.send(0, 0, 1, 2)
    whole = first.hear()
    first.add(1)
    first.send(1, 0, 1, key="b")
    first.send(1, 3, 4)
    whole += first.hear()
    chunks = [chunk for chunk in of(Chunk, whole) if chunk.stream == "a"]
    state = json.loads(json.dumps(first.topic.snapshot()))
    assert state["moved"] == {"a": [0, 1, 2]}
    first.topic.close()
    for at, chunk in enumerate(chunks):
        again = table(2, resume=Resume(state, {"a": json.loads(json.dumps(chunk.mark))}))
        lanes, offsets = again.feed.lanes, {0: 3, 1: 4}
        for partition, entries in {0: (0, 1, 2), 1: (0, 1, 3, 4)}.items():
            for offset, seq in enumerate(entries):
                if offset >= lanes[partition].read:
                    key = "b" if partition == 1 and seq < 2 else "a"
                    again.send(partition, seq, key=key)
        items = again.hear()
        assert not of(Failure, items)
        assert [item.mark for item in of(Chunk, items)] == [item.mark for item in chunks[at:]]
        assert again.topic.snapshot()["partitions"] == {str(p): n for p, n in offsets.items()}
        again.send(1, 5)
        assert of(Chunk, again.hear())[0].joined
        again.topic._hearing.close()


def test_a_key_moves_to_a_partition_that_was_added_while_nobody_listened(table) -> None:
    first = table()
    first.send(0, 0, 1)
    (_, last) = of(Chunk, first.hear())
    state = first.topic.snapshot()
    first.topic.close()
    second = table(2, resume=Resume(state, {"a": last.mark}))
    second.send(1, 2)
    second.send(0, 1)
    items = second.hear()
    assert [chunk.mark["seq"] for chunk in of(Chunk, items)] == [1, 2]
    assert not of(Failure, items)
    assert second.topic.snapshot()["later"] == {"1": 1}


def test_a_stream_that_is_not_read_again_loses_nothing_that_is_new(table, monkeypatch) -> None:
    runs: list[Table] = []

    def build(_name, _target, _options, resume: Resume | None) -> Topic:
        runs.append(table(resume=resume))
        return runs[-1].topic

    def run(state: dict | None, numbers: list[int]) -> tuple[list, dict]:
        framed = Framed(build, "t", "kafka://h:1/t", ReadOptions(), state)
        runs[-1].send(0, *numbers)
        items = []
        while (found := framed.next()) or not framed.wait_ns:
            runs[-1].now_ns += 1_000_000
            items += found
        runs[-1].topic._hearing.close()
        return items, framed.snapshot()

    first, state = run(None, [*range(20), 25, 26, 27, 28])
    assert [failure.reason for failure in of(Failure, first)] == ["gap"]
    assert state["strands"]["a"]["failures"] == 0
    state["strands"]["a"]["failures"] = 1
    monkeypatch.setattr("connectors.kafka.resuming.REPLAY_MESSAGES", 0)
    state["source"]["partitions"]["0"] += 7
    second, _ = run(state, [40, 41, 45, 46, 47, 48])
    (said,) = [state for state in of(SourceState, second) if "begins afresh" in state.detail]
    assert said.stream == "t"
    assert [failure.reason for failure in of(Failure, second)] == ["gap"]
    assert sum(len(frame.samples) for frame in of(Frame, second)) >= 4 * 0.1 * ANALYSIS_RATE_HZ
