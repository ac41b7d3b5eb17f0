"""What brokers do to who reads: away, frozen, damaged, beginning later, beginning anew."""

import threading

import kafka.record.default_records as driver_records
import pytest
from kafka import KafkaAdminClient, OffsetAndMetadata, TopicPartition, errors

from connectors.chunks import Resume
from connectors.kafka import consuming, intake, reader
from connectors.kafka.feed import Feed, Wish
from connectors.kafka.lane import Lane
from connectors.kafka.misplaced import truncated
from operators.records import Failure, SourceState


def states(ear) -> list[str]:
    return [item.state for item in ear.of(SourceState)]


def test_brokers_that_are_not_there_yet_are_waited_for(tansu_process, topic, speak, listen) -> None:
    broker = tansu_process()
    broker.kill()
    ear = listen(f"kafka://{broker.address}/{topic}?from=earliest", own={"topic_wait_s": 60.0})
    ear.until(lambda: states(ear))
    assert states(ear) == ["connecting"]
    assert broker.address in ear.of(SourceState)[0].detail
    broker.start()
    speaker = speak(broker.address, topic)
    speaker.audio("a", 0)
    speaker.flush()
    ear.hear(1)
    assert states(ear)[-1] == "live"
    assert not ear.of(Failure)


def test_a_broker_that_is_stopped_and_comes_back_loses_nothing(noida, topic, speak, listen) -> None:
    speaker = speak(noida.address, topic)
    for seq in range(10):
        speaker.audio("a", seq)
    speaker.flush()
    ear = listen(speaker.target()).hear(10)
    noida.stop()
    ear.until(lambda: states(ear)[-1] == "degraded")
    noida.start()
    for seq in range(10, 20):
        speaker.audio("a", seq)
    speaker.flush()
    ear.hear(20).until(lambda: states(ear)[-1] == "live")
    assert [chunk.joined for chunk in ear.chunks] == [False] + [True] * 19
    assert not ear.of(Failure)
    assert states(ear) == ["live", "degraded", "live"]


def test_a_frozen_broker_is_noticed_and_what_it_then_sends_is_whole(
    tansu_process, topic, speak, listen
) -> None:
    broker = tansu_process()
    speaker = speak(broker.address, topic)
    for seq in range(10):
        speaker.audio("a", seq)
    speaker.flush()
    ear = listen(speaker.target()).hear(10)
    broker.freeze()
    ear.until(lambda: states(ear)[-1] == "degraded")
    for seq in range(10, 20):
        speaker.audio("a", seq)
    broker.thaw()
    speaker.flush()
    ear.hear(20).until(lambda: states(ear)[-1] == "live")
    assert [chunk.joined for chunk in ear.chunks] == [False] + [True] * 19
    assert not ear.of(Failure)


def test_a_source_can_be_closed_while_no_broker_answers(
    tansu_process, topic, speak, listen
) -> None:
    broker = tansu_process()
    speaker = speak(broker.address, topic)
    speaker.audio("a", 0)
    speaker.flush()
    ear = listen(speaker.target()).hear(1)
    broker.freeze()
    closing = threading.Thread(target=ear.topic.close)
    closing.start()
    closing.join(3.0)
    assert not closing.is_alive()
    assert ear.topic.snapshot()["partitions"] == {"0": 1}


def test_a_batch_with_a_wrong_checksum_is_left_out_and_the_rest_is_heard(
    tansu, topic, speak, listen, monkeypatch
) -> None:
    speaker = speak(tansu, topic, 2)
    for seq in range(3):
        speaker.audio("a", seq)
        speaker.audio("b", seq, 1)
    speaker.flush()
    with monkeypatch.context() as patch:
        patch.setattr(driver_records, "calc_crc32c", lambda _: 7)
        speaker.audio("a", 3)
        speaker.flush()
    for seq in range(4, 10):
        speaker.audio("a", seq)
    speaker.flush()
    ear = listen(speaker.target()).hear(12)
    bad, gap = ear.of(Failure)
    assert (bad.stream, bad.reason) == (topic, "crc")
    assert f"{topic}/0, offset 3" in bad.detail
    assert (gap.stream, gap.reason) == ("a", "gap")
    assert "seq 3 to 3" in gap.detail


def test_the_last_batch_of_a_topic_may_be_the_damaged_one(
    tansu, topic, speak, listen, monkeypatch
) -> None:
    speaker = speak(tansu, topic)
    speaker.audio("a", 0)
    speaker.flush()
    with monkeypatch.context() as patch:
        patch.setattr(driver_records, "calc_crc32c", lambda _: 7)
        speaker.audio("a", 1)
        speaker.flush()
    ear = listen(speaker.target())
    ear.until(lambda: ear.of(Failure))
    assert ear.topic.snapshot()["partitions"] == {"0": 2}
    speaker.audio("a", 1)
    speaker.flush()
    ear.hear(2)
    assert [failure.reason for failure in ear.of(Failure)] == ["crc"]


def test_a_topic_is_heard_from_a_time_on(noida, topic, speak, listen) -> None:
    speaker = speak(noida.address, topic, 2)
    for seq in range(10):
        speaker.audio("a", seq, 0, at_ms=seq * 1_000)
        speaker.audio("b", seq, 1, at_ms=1_000)
    speaker.flush()
    ear = listen(speaker.target("1970-01-01T00:00:06.5Z")).hear(3)
    speaker.audio("b", 10, 1, at_ms=11_000)
    speaker.flush()
    ear.hear(4)
    assert [chunk.mark["seq"] for chunk in ear.chunks if chunk.stream == "a"] == [7, 8, 9]
    assert [chunk.mark["seq"] for chunk in ear.chunks if chunk.stream == "b"] == [10]


def test_latest_is_a_number_from_which_a_resumed_run_goes_on(noida, topic, speak, listen) -> None:
    speaker = speak(noida.address, topic)
    speaker.audio("a", 0)
    speaker.flush()
    ear = listen(speaker.target("latest"))
    ear.until(lambda: ear.topic.snapshot()["partitions"])
    state = ear.topic.snapshot()
    assert state["partitions"] == {"0": 1}
    ear.topic.close()
    for seq in (1, 2):
        speaker.audio("a", seq)
    speaker.flush()
    second = listen(speaker.target("latest"), resume=Resume(state)).hear(2)
    assert [chunk.mark["seq"] for chunk in second.chunks] == [1, 2]


def test_a_position_beyond_the_end_fails_the_source_loudly(noida, topic, speak, listen) -> None:
    speaker = speak(noida.address, topic)
    speaker.audio("a", 0)
    speaker.flush()
    state = {"version": 1, "share": [0, 1], "partitions": {"0": 1000}}
    ear = listen(speaker.target(), resume=Resume(state))
    ear.until(lambda: ear.topic.done)
    (failure,) = ear.of(Failure)
    assert failure.fatal_source
    assert failure.reason == "recreated"
    assert f"{topic}/0 ends at offset 1, before 1000" in failure.detail
    assert "recovery" in failure.remedy
    assert not ear.chunks


def test_what_was_deleted_before_it_was_heard_is_a_counted_gap(noida, topic, speak, listen) -> None:
    speaker = speak(noida.address, topic)
    for seq in range(10):
        speaker.audio("a", seq)
    speaker.flush()
    admin = KafkaAdminClient(bootstrap_servers=noida.address)
    admin.delete_records({TopicPartition(topic, 0): 6})
    admin.close()
    state = {"version": 1, "share": [0, 1], "partitions": {"0": 2}}
    ear = listen(speaker.target(), resume=Resume(state)).hear(4)
    (gap,) = ear.of(Failure)
    assert (gap.stream, gap.reason) == (topic, "gap")
    assert "4 messages were deleted before they were heard" in gap.detail
    assert not ear.topic.done


def test_settings_that_cannot_work_fail_the_source_and_name_no_secret(tansu, topic, listen) -> None:
    own = {
        "security_protocol": "SSL",
        "ca_file": "/nowhere/ca.pem",
        "key_password": "hunter2",
    }
    ear = listen(f"kafka://{tansu}/{topic}", own=own)
    ear.until(lambda: ear.topic.done)
    (failure,) = ear.of(Failure)
    assert failure.fatal_source
    assert failure.reason == "refused"
    assert "hunter2" not in repr(ear.items)


@pytest.mark.parametrize(
    "own",
    [
        {"security_protocol": "SSL"},
        {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "username": "me",
            "password": "hunter2",
        },
    ],
)
def test_brokers_that_refuse_to_talk_are_shown_with_the_reason(tansu, topic, listen, own) -> None:
    ear = listen(f"kafka://{tansu}/{topic}", own=own)
    ear.until(lambda: states(ear))
    (state,) = ear.of(SourceState)
    assert state.state == "connecting"
    assert "(" in state.detail
    assert "hunter2" not in state.detail


def test_a_consumer_that_breaks_is_replaced_and_nothing_is_lost(
    tansu, topic, speak, listen, monkeypatch
) -> None:
    speaker = speak(tansu, topic)
    for seq in range(300):
        speaker.audio("a", seq)
    speaker.flush()
    polled, polls = reader.polled, []

    def brittle(*given):
        polls.append(given)
        if len(polls) == 2:
            raise RuntimeError("as no one expected")
        return polled(*given)

    monkeypatch.setattr(reader, "polled", brittle)
    ear = listen(speaker.target(), own={"queue_messages": 10}).hear(300)
    ear.until(lambda: states(ear)[-1] == "live" and len(states(ear)) > 1)
    assert [chunk.joined for chunk in ear.chunks] == [False] + [True] * 299
    assert states(ear) == ["live", "degraded", "live"]
    assert "as no one expected" in ear.of(SourceState)[1].detail


def test_an_account_that_may_not_read_fails_its_source_alone(
    tansu, topic, speak, listen, monkeypatch
) -> None:
    speaker, other = speak(tansu, topic), speak(tansu, f"{topic}-b")
    heard = listen(other.target())
    heard.until(lambda: heard.topic.snapshot()["partitions"])
    polled, polls = reader.polled, []

    def forbidding(*given):
        polls.append(given)
        if len(polls) == 3:
            raise errors.TopicAuthorizationFailedError({topic})
        return polled(*given)

    ear = listen(speaker.target())
    ear.until(lambda: ear.topic.snapshot()["partitions"])
    monkeypatch.setattr(reader, "polled", forbidding)
    ear.until(lambda: ear.topic.done)
    (failure,) = ear.of(Failure)
    assert failure.fatal_source
    assert failure.reason == "forbidden"
    assert "Read" in failure.remedy
    other.audio("a", 0)
    other.flush()
    heard.hear(1)


def test_partitions_that_a_topic_is_given_later_are_heard_from_their_start(
    noida, topic, speak, listen, monkeypatch
) -> None:
    monkeypatch.setattr(consuming, "METADATA_MS", 200)
    monkeypatch.setattr(reader, "GROWTH_EVERY_NS", 0)
    speaker = speak(noida.address, topic)
    speaker.audio("a", 0)
    speaker.flush()
    ear = listen(speaker.target()).hear(1)
    admin = KafkaAdminClient(bootstrap_servers=noida.address)
    admin.create_partitions({topic: 3})
    admin.close()
    later = speak(noida.address, f"{topic}-other")
    later.topic = topic
    later.audio("b", 0, 2)
    later.flush()
    ear.hear(2)
    assert ear.chunks[1].mark["partition"] == 2
    later.audio("a", 1, 2)
    later.flush()
    ear.hear(3)
    assert (ear.chunks[2].mark["partition"], ear.chunks[2].joined) == (2, True)
    assert not ear.of(Failure)


def test_a_second_source_on_brokers_that_refused_is_told_the_reason_too(tansu, listen) -> None:
    own = {"security_protocol": "SSL", "ca_file": "/nowhere/ca.pem"}
    for name in ("one", "two"):
        ear = listen(f"kafka://{tansu}/{name}", own=own)
        ear.until(lambda ear=ear: ear.topic.done)
        (failure,) = ear.of(Failure)
        assert (failure.reason, failure.fatal_source) == ("refused", True)


def test_a_reader_that_was_refused_takes_nobody_up_though_its_thread_still_runs(
    tansu, listen
) -> None:
    first = listen(f"kafka://{tansu}/one")
    first.topic.next()
    dying = next(one for each in intake._readers.values() for one in each if one.feeds)
    dying._fail_all("as if they had refused")
    assert dying._thread.is_alive()
    before = intake.reader_count()
    second = listen(f"kafka://{tansu}/two")
    second.topic.next()
    assert intake.reader_count() == before + 1
    second.until(lambda: second.topic.done)
    assert second.of(Failure)[0].reason == "unknown_topic"


class Seeks:
    """Stands for a consumer where only its position matters."""

    def __init__(self) -> None:
        self.to: dict[TopicPartition, int] = {}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.to[place] = offset


def test_what_brokers_lost_is_a_gap_where_they_know_from_where_on() -> None:
    feed = Feed(Wish("t", "t", "latest"))
    places = [TopicPartition("t", partition) for partition in range(3)]
    lanes = {place: (feed, Lane(place.partition, 50, 10, 10)) for place in places[:2]}
    seeks = Seeks()
    lost = {place: OffsetAndMetadata(40, "", 1) for place in places[1:]}
    truncated(seeks, lost, lanes)
    assert seeks.to == {places[1]: 40}
    (gap,) = feed.listen()
    assert gap.reason == "gap"
    assert "t/1" in gap.detail
    assert "from offset 40" in gap.detail
    truncated(seeks, {places[0]: None}, lanes)
    assert feed.failed
