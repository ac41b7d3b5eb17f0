import json
import random

import numpy as np
import pytest
from kafka import KafkaProducer
from kafka.record import util

from connectors.chunks import Break, ReadOptions, Resume, Share
from connectors.kafka import intake
from connectors.kafka.options import KafkaOptions
from connectors.kafka.topic import Topic
from connectors.kafka.wire import AudioMessage, encode
from operators.records import Failure, SourceState

RATE_HZ, COUNT = 16_000, 160
STEP_NS = COUNT * 1_000_000_000 // RATE_HZ


def shape(chunk) -> tuple:
    return (chunk.stream, chunk.start_ns, chunk.rate_hz, chunk.joined, chunk.samples.tobytes())


def test_a_topic_is_heard_stream_by_stream_as_it_was_sent(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic, 2)
    for seq in range(50):
        speaker.audio("a", seq, 0)
        speaker.audio("b", seq, 1)
    speaker.flush()
    ear = listen(speaker.target()).hear(100)
    for stream in "ab":
        chunks = [chunk for chunk in ear.chunks if chunk.stream == stream]
        assert [chunk.joined for chunk in chunks] == [False] + [True] * 49
        assert [chunk.start_ns for chunk in chunks] == [seq * STEP_NS for seq in range(50)]
        sound = np.concatenate([chunk.samples for chunk in chunks])
        steps = [(np.arange(COUNT) + seq * 7) % 1000 for seq in range(50)]
        assert np.array_equal(sound[:, 0] * 32_768, np.concatenate(steps))
        assert not any(chunk.samples.flags.writeable for chunk in chunks)
    assert [state.state for state in ear.of(SourceState)] == ["live"]
    assert not ear.of(Failure)
    assert ear.topic.lag_s == 0
    assert ear.topic.behind == 0
    assert ear.topic.total_s is None
    assert not ear.topic.done


def test_a_given_name_begins_every_stream(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.flush()
    ear = listen(speaker.target(), name="garden").hear(1)
    assert ear.chunks[0].stream == "garden/a"
    assert ear.of(SourceState)[0].stream == "garden"


def test_one_stream_of_a_topic_can_be_heard_alone(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    for seq in range(5):
        speaker.raw(b"rubbish", b"x", [])
        speaker.audio("a", seq)
        speaker.audio("b", seq)
    speaker.flush()
    ear = listen(speaker.target() + "&stream=b").hear(5)
    assert {chunk.stream for chunk in ear.chunks} == {"b"}
    assert not ear.of(Failure)


def test_channels_become_streams_of_their_own_when_asked(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    for seq in range(3):
        speaker.audio("a", seq, channels=2)
        speaker.audio("m", seq)
    speaker.audio("a", 3, channels=2, end=True)
    speaker.audio("z", 0)
    speaker.flush()
    split = listen(speaker.target(), own={"channels": "split"}).hear(10)
    split.topic.close()
    together = listen(speaker.target()).hear(7)
    assert {chunk.stream for chunk in split.chunks} == {"a/1", "a/2", "m", "z"}
    assert {chunk.samples.shape for chunk in split.chunks} == {(COUNT, 1)}
    assert [item.stream for item in split.of(Break)] == ["a/1", "a/2"]
    whole = [chunk.samples for chunk in together.chunks if chunk.stream == "a"]
    for index in (0, 1):
        parts = [chunk.samples for chunk in split.chunks if chunk.stream == f"a/{index + 1}"]
        assert all(np.array_equal(a[:, index], b[:, 0]) for a, b in zip(whole, parts, strict=True))


def test_the_end_of_a_stream_is_a_break_and_what_follows_does_not_join(
    tansu, topic, speak, listen
) -> None:
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.audio("a", 1, end=True)
    speaker.audio("a", 2)
    speaker.flush()
    ear = listen(speaker.target()).hear(2)
    first, over, second = [item for item in ear.items if not isinstance(item, SourceState)]
    assert isinstance(over, Break)
    assert over.over
    place = {"partition": 0, "epoch": "e"}
    assert over.mark == {**place, "offset": 2, "seq": 2, "time": STEP_NS}
    assert not second.joined
    counted = {"time": 0, "anchor": 0, "counted": 0}
    assert first.mark == {**place, "offset": 0, "seq": 0, **counted}


def test_missing_messages_are_a_gap_before_a_chunk_that_does_not_join(
    tansu, topic, speak, listen
) -> None:
    speaker = speak(tansu, topic)
    for seq in (0, 1, 5, 6, 7, 8, 8, 7):
        speaker.audio("a", seq)
    speaker.flush()
    ear = listen(speaker.target()).hear(6)
    (gap,) = ear.of(Failure)
    assert (gap.stream, gap.reason) == ("a", "gap")
    assert "3 messages missing (seq 2 to 4, about 0.03 s)" in gap.detail
    assert [chunk.joined for chunk in ear.chunks] == [False, True, False, True, True, True]
    at = next(index for index, item in enumerate(ear.items) if item is gap)
    assert ear.items[at + 1] is ear.chunks[2]


def test_a_message_held_for_its_turn_is_heard_after_a_second(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.audio("a", 2)
    speaker.flush()
    ear = listen(speaker.target()).hear(2)
    assert [failure.reason for failure in ear.of(Failure)] == ["gap"]


def headers(**changes: bytes) -> list[tuple[str, bytes]]:
    plain = {"v": b"1", "codec": b"pcm_s16le", "rate": b"16000", "ch": b"1"}
    return list({**plain, "seq": b"1", "ts": b"10000000", "epoch": b"e", **changes}.items())


BAD = [
    ("length", b"a", b"123", headers()),
    ("nan", b"a", np.float32([np.nan]).tobytes(), headers(codec=b"pcm_f32le")),
    ("nan", b"a", np.float32([np.inf]).tobytes(), headers(codec=b"pcm_f32le")),
    ("rate", b"a", b"12", headers(rate=b"3999")),
    ("rate", b"a", b"12", headers(rate=b"384001")),
    ("empty", b"a", b"", headers()),
    ("null", b"a", None, headers()),
    ("oversize", b"a", b"12" * 600, headers()),
]


@pytest.mark.parametrize(("reason", "key", "value", "given"), BAD)
def test_a_bad_message_is_named_and_its_stream_goes_on_behind_a_gap(
    tansu, topic, speak, listen, reason, key, value, given
) -> None:
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.raw(key, value, given)
    speaker.audio("a", 2)
    speaker.flush()
    ear = listen(speaker.target(), own={"max_message_bytes": 1_000}).hear(2)
    bad, gap = ear.of(Failure)
    assert (bad.stream, bad.reason, gap.reason) == ("a", reason, "gap")
    assert f"{topic}/0, offset 1" in bad.detail
    assert bad.remedy
    assert [chunk.joined for chunk in ear.chunks] == [False, False]
    assert ear.topic.counts[reason] == 1


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe"])
def test_a_message_without_a_readable_key_is_named_and_no_stream_suffers(
    tansu, topic, speak, listen, key
) -> None:
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.raw(key, b"12", headers())
    speaker.audio("a", 1)
    speaker.flush()
    ear = listen(speaker.target()).hear(2)
    (bad,) = ear.of(Failure)
    assert (bad.stream, bad.reason) == (topic, "key")
    assert [chunk.joined for chunk in ear.chunks] == [False, True]


def test_a_key_in_two_partitions_is_heard_from_one_of_them(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic, 2)
    for seq in range(20):
        speaker.audio("a", seq, 0)
        speaker.audio("a", seq, 1)
        speaker.audio("b", seq, 1)
    speaker.flush()
    ear = listen(speaker.target())
    ear.until(lambda: len(ear.chunks) >= 40 and ear.topic.behind == 0)
    assert len({chunk.mark["partition"] for chunk in ear.chunks if chunk.stream == "a"}) == 1
    (refused,) = ear.of(Failure)
    assert refused.reason == "two_places"
    assert ear.topic.counts["two_places"] == 20


def test_a_key_of_two_topics_is_heard_from_one_of_them(tansu, topic, speak, listen) -> None:
    one, two = speak(tansu, topic), speak(tansu, f"{topic}-b")
    for speaker in (one, two):
        speaker.audio("a", 0)
        speaker.flush()
    first = listen(one.target()).hear(1)
    second = listen(two.target())
    second.until(lambda: second.of(Failure))
    assert second.of(Failure)[0].reason == "two_places"
    first.topic.close()
    third = listen(two.target()).hear(1)
    assert third.chunks


def test_skew_is_said_once_and_counted_and_changes_nothing(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    start_ms = 1_800_000_000_000
    for seq in range(4):
        ts_ns = start_ms * 1_000_000 + seq * STEP_NS
        speaker.audio("slow", seq, ts_ns=ts_ns, at_ms=start_ms + 60_000)
        speaker.audio("old", seq, ts_ns=seq, at_ms=start_ms)
        speaker.audio("right", seq, ts_ns=ts_ns, at_ms=start_ms + 4_000)
    speaker.flush()
    ear = listen(speaker.target()).hear(12)
    said = [state.detail for state in ear.of(SourceState) if "times are" in state.detail]
    assert said == ["slow: its times are 60.0 s behind the brokers'; they are kept as they are"]
    assert ear.topic.counts["skewed"] == 4
    assert ear.chunks[0].start_ns == start_ms * 1_000_000


def test_shares_divide_the_partitions_without_overlap(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic, 4)
    for seq in range(10):
        for partition in range(4):
            speaker.audio(f"s{partition}", seq, partition)
    speaker.flush()
    heard = []
    for index in (0, 1):
        ear = listen(speaker.target(), share=Share(index, 2)).hear(20)
        heard.append({chunk.stream for chunk in ear.chunks})
    assert heard == [{"s0", "s2"}, {"s1", "s3"}]


def test_a_share_without_a_partition_says_so(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic, 2)
    ear = listen(speaker.target(), share=Share(2, 3))
    ear.until(lambda: ear.of(SourceState))
    assert "share 3 of 3 holds none of the 2 partitions" in ear.of(SourceState)[-1].detail


def test_a_topic_that_does_not_exist_fails_the_source_with_the_remedy(tansu, topic, listen) -> None:
    ear = listen(f"kafka://{tansu}/{topic}")
    ear.until(lambda: ear.topic.done)
    (failure,) = ear.of(Failure)
    assert failure.fatal_source
    assert failure.reason == "unknown_topic"
    assert f"topic '{topic}' does not exist" in failure.detail
    assert ear.topic.next() == []


def test_a_topic_may_appear_a_little_later(tansu, topic, speak, listen) -> None:
    ear = listen(f"kafka://{tansu}/{topic}?from=earliest", own={"topic_wait_s": 60.0})
    ear.until(lambda: ear.of(SourceState))
    assert "does not exist; waiting" in ear.of(SourceState)[0].detail
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.flush()
    ear.hear(1)


def test_two_sources_share_one_reader_and_one_may_leave(tansu, topic, speak, listen) -> None:
    speakers = [speak(tansu, f"{topic}-{index}") for index in range(2)]
    for index, speaker in enumerate(speakers):
        speaker.audio(f"s{index}", 0)
        speaker.flush()
    before = intake.reader_count()
    ears = [listen(speaker.target()).hear(1) for speaker in speakers]
    assert intake.reader_count() == before + 1
    ears[0].topic.close()
    ears[0].topic.close()
    speakers[1].audio("s1", 1)
    speakers[1].flush()
    ears[1].hear(2)
    assert ears[1].chunks[1].joined
    ears[1].topic.close()
    assert intake.reader_count() == before
    assert ears[1].topic.snapshot()["partitions"] == {"0": 2}


def test_two_streams_of_one_topic_are_two_positions(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    for seq in range(5):
        speaker.audio("a", seq)
        speaker.audio("b", seq)
    speaker.flush()
    for stream in "ab":
        ear = listen(speaker.target() + f"&stream={stream}").hear(5)
        assert {chunk.stream for chunk in ear.chunks} == {stream}


def test_a_full_lane_waits_for_the_listener_and_loses_nothing(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic, 3)
    for seq in range(700):
        for partition in range(3):
            speaker.audio(f"s{partition}", seq, partition)
    speaker.flush()
    ear = listen(speaker.target(), own={"queue_messages": 20}).hear(2_100)
    assert not ear.of(Failure)
    assert all(chunk.joined or chunk.start_ns == 0 for chunk in ear.chunks)


def test_resumed_anywhere_each_stream_goes_on_from_its_mark(tansu, topic, speak, listen) -> None:
    dice = random.Random(4)
    speaker = speak(tansu, topic, 2)
    order = {stream: disorder(dice) for stream in ("a", "b", "c")}
    for step in range(60):
        for index, stream in enumerate(order):
            if step == 30:
                speaker.raw(stream.encode(), b"odd", headers())
            speaker.audio(stream, order[stream][step], index % 2)
    speaker.flush()
    whole = listen(speaker.target())
    whole.until(lambda: whole.topic.behind == 0 and len(whole.chunks) >= 171)
    whole.topic.close()
    for _ in range(6):
        first = listen(speaker.target())
        wanted = dice.randrange(1, 165)
        while len(first.chunks) < wanted:
            first.hear(min(wanted, len(first.chunks) + 1))
        state = json.loads(json.dumps(first.topic.snapshot()))
        first.topic.close()
        marks = {}
        for chunk in first.chunks:  # some streams are further than others
            if chunk.stream not in marks or dice.random() < 0.5:
                marks[chunk.stream] = json.loads(json.dumps(chunk.mark))
        second = listen(speaker.target(), resume=Resume(state, marks)).catch_up()
        second.topic.close()
        for stream in order:
            every = [item for item in whole.chunks if item.stream == stream]
            again = [item for item in second.chunks if item.stream == stream]
            start = 0
            if stream in marks:
                start = [item.mark for item in every].index(marks[stream])
            assert [item.mark for item in again] == [item.mark for item in every[start:]]
            assert [shape(item)[4] for item in again] == [shape(item)[4] for item in every[start:]]
            assert [item.joined for item in again[1:]] == [
                item.joined for item in every[start + 1 :]
            ]


def disorder(dice: random.Random) -> list[int]:
    order = list(range(60))
    for at in range(1, 57, 6):
        pair = order[at : at + 3]
        dice.shuffle(pair)
        order[at : at + 3] = pair
    return order


def test_messages_heard_before_are_not_heard_or_reported_again(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    speaker.raw(None, b"odd", [])
    for seq in range(10):
        speaker.audio("a", seq)
        speaker.audio("b", seq)
    speaker.flush()
    first = listen(speaker.target()).hear(20)
    state = first.topic.snapshot()
    marks = {
        "a": [chunk.mark for chunk in first.chunks if chunk.stream == "a"][2],
        "b": [chunk.mark for chunk in first.chunks if chunk.stream == "b"][-1],
    }
    first.topic.close()
    speaker.audio("c", 0)
    speaker.flush()
    second = listen(speaker.target(), resume=Resume(state, marks))
    second.until(lambda: any(chunk.stream == "c" for chunk in second.chunks))
    assert [chunk.stream for chunk in second.chunks].count("a") == 8
    assert [chunk.stream for chunk in second.chunks].count("b") == 1
    assert not second.of(Failure)


def test_a_stream_that_is_too_far_behind_starts_afresh_and_says_so(
    tansu, topic, speak, listen, monkeypatch
) -> None:
    monkeypatch.setattr("connectors.kafka.resuming.REPLAY_MESSAGES", 5)
    speaker = speak(tansu, topic)
    for seq in range(10):
        speaker.audio("a", seq)
    speaker.flush()
    first = listen(speaker.target()).hear(10)
    resume = Resume(first.topic.snapshot(), {"a": first.chunks[0].mark})
    first.topic.close()
    speaker.audio("a", 10)
    speaker.flush()
    second = listen(speaker.target(), resume=resume).hear(1)
    assert not second.of(Failure)
    said = next(state for state in second.of(SourceState) if "afresh" in state.detail)
    assert (said.stream, said.state) == (topic, "live")
    assert "a begins afresh: what it ended with lies 10 messages back" in said.detail
    assert [chunk.start_ns for chunk in second.chunks] == [10 * STEP_NS]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"version": 9, "partitions": {}}, "version 9"),
        ({"version": 1, "share": [0, 2], "partitions": {}}, "share 1 of 2 of the topic, not 1"),
    ],
)
def test_a_state_of_another_version_or_share_is_refused(state: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Topic("t", "kafka://a:1/t", ReadOptions(), Resume(state))


def test_a_snapshot_before_anything_was_read_is_what_it_was_given() -> None:
    state = {"version": 1, "share": [0, 1], "partitions": {"0": 7, "3": 9}}
    source = Topic("t", "kafka://a:1/t", ReadOptions(), Resume(state))
    assert source.snapshot() == state
    source.close()
    assert source.snapshot() == state
    assert Topic("t", "kafka://a:1/t", ReadOptions(), None).snapshot()["partitions"] == {}


def test_a_driver_that_cannot_be_used_fails_the_source_in_one_line(monkeypatch) -> None:
    monkeypatch.setattr(util, "crc32c_c", None)
    source = Topic("t", "kafka://127.0.0.1:1/t", ReadOptions(), None)
    (failure,) = source.next()
    assert failure.fatal_source
    assert "crc32c" in failure.detail
    assert "pip install" in failure.remedy
    assert source.done


def test_a_bomb_is_refused_and_the_topic_goes_on(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.flush()
    zipped = KafkaProducer(
        bootstrap_servers=tansu, compression_type="gzip", max_request_size=1 << 30
    )
    key, _, given = encode_zero()
    zipped.send(topic, bytes(40 << 20), key=key, headers=given, partition=0).get(30)
    zipped.close()
    speaker.audio("a", 1)
    speaker.flush()
    ear = listen(speaker.target()).hear(2)
    (bomb,) = ear.of(Failure)
    assert (bomb.reason, bomb.stream) == ("bomb", topic)
    assert [chunk.joined for chunk in ear.chunks] == [False, True]


def encode_zero():
    return b"a", b"", headers()


def test_compressed_batches_are_heard(tansu, topic, speak, listen) -> None:
    speaker = speak(tansu, topic)
    zipped = KafkaProducer(bootstrap_servers=tansu, compression_type="gzip", linger_ms=50)
    for seq in range(20):
        sound = np.zeros((COUNT, 1), np.float32)
        key, value, given = encode(AudioMessage("a", RATE_HZ, sound, seq, seq * STEP_NS))
        zipped.send(topic, value, key=key, headers=given, partition=0)
    zipped.close()
    ear = listen(speaker.target()).hear(20)
    assert [chunk.joined for chunk in ear.chunks] == [False] + [True] * 19


def test_no_option_leaves_a_secret_behind(caplog) -> None:
    caplog.set_level("DEBUG")
    account = {"sasl_mechanism": "PLAIN", "username": "me", "password": "hunter2"}
    options = KafkaOptions(security_protocol="SASL_PLAINTEXT", **account)
    source = Topic("t", "kafka://127.0.0.1:1/t", ReadOptions(own={"kafka": options}), None)
    seen = [repr(item) for item in source.next()]
    source.close()
    assert "hunter2" not in repr(vars(source)) + caplog.text + "".join(seen)
