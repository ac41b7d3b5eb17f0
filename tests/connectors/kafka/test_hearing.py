"""Whatever a topic holds: named, counted, kept as a dead letter, never the end of the source."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition

from connectors.chunks import Chunk, ReadOptions, Resume, Share
from connectors.kafka import hearing
from connectors.kafka.feed import Feed, Wish
from connectors.kafka.headers import BadMessage
from connectors.kafka.keyed import streams_of
from connectors.kafka.lane import Lane
from connectors.kafka.options import KafkaOptions
from connectors.kafka.record import Record, Unreadable
from connectors.kafka.resuming import Resuming
from connectors.kafka.topic import Topic
from connectors.kafka.wire import AudioMessage, encode
from operators.records import Failure


def heard(
    entries: list, channels: str = "mean", resume: Resume | None = None, name: str = "t"
) -> tuple[list, Topic]:
    """What a topic of one partition gives that holds these entries."""
    own = KafkaOptions(dead_letters=False, channels=channels)
    topic = Topic(name, "kafka://a:1/t", ReadOptions(own={"kafka": own}), resume)
    topic._feed = Feed(Wish("t", "t", "earliest"))
    lane = Lane(0, 0, 10**6, 10**9)
    lane.append(entries)
    topic._feed.lanes = {0: lane}
    items = []
    while (
        lane.next
        < (entries[-1].last if isinstance(entries[-1], Unreadable) else entries[-1].offset) + 1
    ):
        items += topic.next()
    topic._closed = True
    topic._hearing.close()
    return items, topic


def record(offset: int, stream: str = "a", seq: int | None = None, channels: int = 1, **other):
    number = offset if seq is None else seq
    sound = np.full((4, channels), 0.5, np.float32)
    key, value, headers = encode(AudioMessage(stream, 8_000, sound, number, number, **other))
    return Record(offset, 0, key, value, headers)


WORDS = st.sampled_from(
    ["v", "codec", "rate", "ch", "seq", "ts", "epoch", "traceparent", "end", "other"]
)
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.sampled_from(
        [b"1", b"0", b"-1", b"8000", b"pcm_s16le", b"pcm_f32le", b"flac", b"opus", b"9" * 25]
    ),
)
RECORDS = st.builds(
    Record,
    offset=st.just(0),
    timestamp=st.integers(-1, 1 << 62),
    key=st.one_of(st.none(), st.binary(max_size=12), st.sampled_from([b"a", b"b"])),
    value=st.one_of(st.none(), st.binary(max_size=60)),
    headers=st.lists(st.tuples(WORDS, VALUES), max_size=12),
)
STRETCHES = st.builds(
    Unreadable,
    offset=st.just(0),
    last=st.just(0),
    bad=st.builds(BadMessage, st.sampled_from(["crc", "bomb", "gap"]), st.text(max_size=9)),
    raw=st.binary(max_size=9),
)


@st.composite
def nearly_good(draw) -> Record:
    made = record(0, draw(st.sampled_from("ab")), draw(st.integers(0, 40)))
    headers = dict(made.headers)
    if draw(st.booleans()):
        headers[draw(WORDS)] = draw(VALUES)
    value = made.value[: draw(st.integers(0, 8))]
    return Record(0, 0, made.key, value, list(headers.items()))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(RECORDS, nearly_good(), STRETCHES), min_size=1, max_size=40), st.booleans()
)
def test_no_bytes_end_a_topic(entries: list, split: bool) -> None:
    placed = []
    for offset, entry in enumerate(entries):
        if isinstance(entry, Record):
            placed.append(Record(offset, entry.timestamp, entry.key, entry.value, entry.headers))
        else:
            placed.append(Unreadable(offset, offset, entry.bad, entry.raw))
    items, topic = heard(placed, "split" if split else "mean")
    assert topic.snapshot()["partitions"] == {"0": len(entries)}
    for item in items:
        if isinstance(item, Chunk):
            assert np.isfinite(item.samples).all()
        if isinstance(item, Failure):
            assert not item.fatal_source
            assert "\n" not in item.detail
    unreadable = sum(isinstance(entry, Unreadable) for entry in placed)
    named = sum(isinstance(item, Failure) and item.stream == "t" for item in items)
    assert named >= unreadable


def test_more_streams_than_can_be_heard_are_left_out_and_said(monkeypatch) -> None:
    monkeypatch.setattr(hearing, "MOST_STREAMS", 2)
    items, topic = heard([record(at, f"s{at % 3}", at // 3) for at in range(12)])
    assert {item.stream for item in items if isinstance(item, Chunk)} == {"s0", "s1"}
    (failure,) = [item for item in items if isinstance(item, Failure)]
    assert failure.reason == "too_many_streams"
    assert topic.counts["too_many_streams"] == 4


def test_dropped_repeats_are_counted() -> None:
    _, topic = heard([record(0, seq=0), record(1, seq=1), record(2, seq=1), record(3, seq=0)])
    assert (topic.counts["repeated"], topic.counts["late"]) == (2, 0)


def test_the_streams_of_a_split_key_go_on_each_from_its_own_mark() -> None:
    entries = [record(at, "a", at, channels=2) for at in range(10)]
    whole, _ = heard(entries, "split")
    marks = {
        name: [item.mark for item in whole if isinstance(item, Chunk) and item.stream == name][at]
        for name, at in (("a/1", 3), ("a/2", 6))
    }
    state = {"version": 1, "share": [0, 1], "partitions": {"0": 8}}
    again, topic = heard(entries, "split", Resume(state, marks))
    assert topic._resuming.seek == {0: 3}
    for name, at in (("a/1", 3), ("a/2", 6)):
        seqs = [
            item.mark["seq"] for item in again if isinstance(item, Chunk) and item.stream == name
        ]
        assert seqs == list(range(at, 10))


def test_a_new_epoch_keeps_its_predecessor_in_mind_after_a_resume() -> None:
    entries = [
        record(0, seq=0, epoch="a"),
        record(1, seq=0, epoch="b"),
        record(2, seq=1, epoch="a"),
        record(3, seq=1, epoch="b"),
    ]
    whole, _ = heard(entries)
    chunks = [item for item in whole if isinstance(item, Chunk)]
    assert [chunk.mark["seq"] for chunk in chunks] == [0, 0, 1]
    assert chunks[1].mark["before"] == "a"
    state = {"version": 1, "share": [0, 1], "partitions": {"0": 4}}
    again, _ = heard(entries, resume=Resume(state, {"a": chunks[1].mark}))
    marks = [item.mark for item in again if isinstance(item, Chunk)]
    assert marks == [chunk.mark for chunk in chunks[1:]]


def test_a_gap_behind_the_end_of_a_stream_is_said_again_after_a_resume() -> None:
    end = AudioMessage("a", 8_000, np.empty((0, 1), np.float32), 1, 1, end=True)
    entries = [
        record(0, seq=0),
        Record(1, 0, *encode(end)),
        *[record(at, seq=at) for at in range(4, 9)],
    ]
    whole, _ = heard(entries)
    over = next(item for item in whole if not isinstance(item, Chunk))
    state = {"version": 1, "share": [0, 1], "partitions": {"0": 9}}
    again, _ = heard(entries, resume=Resume(state, {"a": over.mark}))
    told = [type(item).__name__ for item in whole]
    assert told[:3] == ["Chunk", "Break", "Failure"]
    assert [type(item).__name__ for item in again] == told[2:]


def test_what_names_streams_may_come_from_is_told_by_their_form() -> None:
    assert streams_of(["a/1", "a/2", "b"], "split") == {
        "a/1": ["a/1"],
        "a/2": ["a/2"],
        "a": ["a/1", "a/2"],
        "b": ["b"],
    }
    assert streams_of(["a/1"], "mean") == {"a/1": ["a/1"]}


def test_a_mark_in_a_partition_that_is_not_ours_moves_nothing() -> None:
    mark = {"partition": 3, "offset": 1, "epoch": "", "seq": 1}
    state = {"version": 1, "share": [0, 1], "partitions": {"0": 9}}
    resuming = Resuming("t", "", Share(), "mean", Resume(state, {"a": mark}))
    assert resuming.seek == {0: 9}
    assert resuming.marks_of("a") == {}


def test_dead_letters_hold_the_record_and_the_reason_and_come_once(
    tansu, topic, speak, listen
) -> None:
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.raw(b"a", b"odd", [("v", b"1"), ("x", b"y")])
    speaker.raw(None, b"", [])
    speaker.audio("a", 1)
    speaker.flush()
    ear = listen(speaker.target(), own={"dead_letters": True}).hear(2)
    ear.until(lambda: ear.topic.snapshot()["partitions"] == {"0": 4})
    state = ear.topic.snapshot()
    mark = ear.chunks[0].mark
    ear.topic.close()
    again = listen(speaker.target(), own={"dead_letters": True}, resume=Resume(state, {"a": mark}))
    again.hear(2)
    assert [failure.reason for failure in again.of(Failure)] == ["header"]
    again.topic.close()
    letters = read_all(tansu, f"{topic}.dead", 2)
    assert [letter.value for letter in letters] == [b"odd", b""]
    assert [letter.key for letter in letters] == [b"a", None]
    head = dict(letters[0].headers)
    assert (head["topic"], head["partition"], head["offset"]) == (topic.encode(), b"0", b"1")
    assert (head["orig-x"], head["reason"]) == (b"y", b"header")
    assert dict(letters[1].headers)["reason"] == b"key"


def read_all(address: str, topic: str, count: int) -> list:
    consumer = KafkaConsumer(bootstrap_servers=address, group_id=None, auto_offset_reset="none")
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    found: list = []
    give_up = time.monotonic() + 20
    while len(found) < count and time.monotonic() < give_up:
        found += consumer.poll(100).get(place, [])
    found += consumer.poll(200).get(place, [])
    consumer.close()
    return found


@pytest.mark.parametrize("size", [0, 1])
def test_a_lane_tells_when_it_is_full_and_when_it_has_room(size: int) -> None:
    lane = Lane(0, 5, 8, 1_000 if size else 10**9)
    assert (lane.behind, lane.behind_s) == (None, None)
    count = 2 if size else 8
    lane.append([Record(5 + at, 100 * at, None, bytes(600), []) for at in range(count)])
    lane.ends(5 + count)
    assert lane.full
    assert not lane.roomy
    assert lane.behind == count
    assert lane.behind_s is None
    assert lane.take().offset == 5
    assert lane.take().offset == 6
    if not size:
        assert lane.behind_s == pytest.approx(0.6)
        for _ in range(6):
            lane.take()
    assert lane.take() is None
    assert lane.roomy
    assert (lane.behind, lane.behind_s) == (0, 0.0)


def test_a_source_that_falls_behind_says_so_and_says_when_it_caught_up() -> None:
    topic = Topic("t", "kafka://a:1/t", ReadOptions(), None)
    topic._feed = feed = Feed(Wish("t", "t", "earliest"))
    lane = Lane(0, 0, 10**6, 10**9)
    feed.lanes = {0: lane}
    feed.say("live", "")
    lane.append([record(at) for at in range(3)])
    for entry, at in zip(list(lane._entries), range(3), strict=True):
        entry.timestamp = at * 100
    lane.ends(3)
    for _ in range(3):
        lane.take()
    topic._watch_lag(feed)
    lane.ends(3 + 200)
    topic._watch_lag(feed)
    lane.next = 200
    topic._watch_lag(feed)
    said = feed.listen()
    assert [state.state for state in said] == ["live", "lagging", "live"]
    assert said[1].lag_s == pytest.approx(20.0)
    assert "200 messages behind" in said[1].detail
    topic.close()
