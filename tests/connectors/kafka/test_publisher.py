import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from connectors.kafka import producing
from connectors.kafka import publisher as publisher_module
from connectors.kafka.connecting import Refused
from connectors.kafka.driverlog import DriverLog
from connectors.kafka.options import KafkaOptions
from connectors.kafka.outbox import Destination, Outbox
from connectors.kafka.pending import Bounds, Outgoing
from connectors.kafka.publisher import Publisher
from connectors.kafka.wire import AudioMessage, Codec, decode, encode
from operators.records import SourceState
from tests.plugins.brokers import Broker, free_port
from tests.plugins.reading import read_topic

SECRET = "open " + "sesame"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is not there is given up after half a second."""
    monkeypatch.setattr(producing, "BOOTSTRAP_MS", 500)


class Heard:
    """What a publisher told."""

    def __init__(self) -> None:
        self.states: list[SourceState] = []
        self.lost: list[tuple[str, str]] = []
        self.changed = threading.Condition()

    def state(self, state: SourceState) -> None:
        with self.changed:
            self.states.append(state)
            self.changed.notify_all()

    def lose(self, stream: str, why: str) -> None:
        self.lost.append((stream, why))

    def wait_for(self, condition: str) -> bool:
        with self.changed:
            return self.changed.wait_for(
                lambda: any(each.state == condition for each in self.states), 20
            )


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def publishing(heard: Heard) -> Any:
    """Makes publishers, closed at the end of the test."""
    made: list[Publisher] = []

    def make(address: str, topic: str, partitions: int = 1, **more: Any) -> Publisher:
        options = more.pop("options", KafkaOptions())
        made.append(
            Publisher(
                Destination((address,), topic, partitions, options),
                lost=heard.lose,
                state=heard.state,
                **more,
            )
        )
        return made[-1]

    yield make
    for publisher in made:
        publisher.close(0.0)


def audio(stream: str, seq: int, frames: int = 1_600) -> AudioMessage:
    samples = np.full((frames, 1), seq % 1_000 / 32_768, np.float32)
    return AudioMessage(stream, 16_000, samples, seq, seq * 100_000_000, "1")


def send(publisher: Publisher, stream: str, numbers: range) -> None:
    for seq in numbers:
        message = audio(stream, seq)
        while not publisher.send(message):
            assert publisher.wait_for_room(20)


def numbers(records: list[Any], stream: str) -> list[int]:
    """Numbers of a stream in their order, each once: what a listener keeps."""
    heard = [decode(each.key, each.value, each.headers) for each in records]
    kept: list[int] = []
    for message in heard:
        if message.stream == stream and (not kept or message.seq > kept[-1]):
            kept.append(message.seq)
    return kept


def test_messages_arrive_in_order_on_the_partition_of_their_stream(
    tansu: str, topic: str, publishing: Callable[..., Publisher]
) -> None:
    publisher = publishing(tansu, topic, partitions=2)
    for stream in ("a", "b", "c", "d"):
        send(publisher, stream, range(50))
    assert publisher.flush(20)
    assert publisher.acknowledged() == 200
    assert publisher.acknowledged("c") == 50
    records = read_topic(tansu, topic, 200)
    places = {(each.key, each.partition) for each in records}
    assert len(places) == 4
    assert {part for _, part in places} == {0, 1}
    for stream in ("a", "b", "c", "d"):
        assert numbers(records, stream) == list(range(50))
    assert np.array_equal(
        decode(records[0].key, records[0].value, records[0].headers).samples,
        audio("a", 0).samples,
    )


def test_when_too_much_is_under_way_a_message_has_to_wait_and_none_is_dropped(
    tansu: str, topic: str, publishing: Callable[..., Publisher]
) -> None:
    publisher = publishing(tansu, topic, most_bytes=20_000)
    waited = 0
    for seq in range(200):
        message = audio("a", seq)
        while not publisher.send(message):
            waited += 1
            assert publisher.wait_for_room(20)
    assert waited
    assert publisher.flush(20)
    assert numbers(read_topic(tansu, topic, 200), "a") == list(range(200))


def test_messages_that_wait_in_turn_are_encoded_once_each(
    topic: str, publishing: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []

    def noted(message: AudioMessage, codec: Codec) -> Any:
        encoded.append(f"{message.stream}{message.seq}")
        return encode(message, codec)

    monkeypatch.setattr(publisher_module, "encode", noted)
    publisher = publishing(f"127.0.0.1:{free_port()}", topic, most_bytes=4_000, codec="flac")
    assert publisher.send(audio("a", 0, 16_000))
    waiting = [audio(stream, 1, 16_000) for stream in ("a", "b", "c")]
    while publisher.send(waiting[0]):
        waiting[0] = audio("a", waiting[0].seq + 1, 16_000)
    del encoded[:-1]
    for _ in range(3):
        assert [publisher.send(each) for each in waiting] == [False] * 3
    assert encoded == [f"a{waiting[0].seq}", "b1", "c1"]
    assert not publisher.send(audio("b", 1, 16_000))
    assert encoded[3:] == ["b1"]


def test_a_restart_that_lost_everything_makes_a_new_producer_that_goes_on(
    tansu_process: Callable[[], Broker],
    topic: str,
    heard: Heard,
    publishing: Callable[..., Publisher],
) -> None:
    broker = tansu_process()
    publisher = publishing(broker.address, topic, partitions=2)
    send(publisher, "a", range(100))
    assert publisher.flush(20)
    broker.kill()
    send(publisher, "a", range(100, 300))
    broker.start()
    assert publisher.flush(30)
    send(publisher, "a", range(300, 310))
    assert publisher.flush(20)
    assert publisher.acknowledged("a") == 310
    assert publisher.close(5) == 0
    assert numbers(read_topic(broker.address, topic, 210), "a") == list(range(100, 310))
    assert not heard.lost


def test_a_broker_that_keeps_its_data_has_every_message_after_a_restart(
    noida: Broker, topic: str, publishing: Callable[..., Publisher]
) -> None:
    publisher = publishing(noida.address, topic)
    send(publisher, "a", range(50))
    assert publisher.flush(20)
    noida.stop()
    send(publisher, "a", range(50, 150))
    noida.start()
    assert publisher.flush(30)
    assert numbers(read_topic(noida.address, topic, 150), "a") == list(range(150))


def test_a_frozen_broker_is_told_and_gets_everything_once_it_thaws(
    noida: Broker, topic: str, heard: Heard, publishing: Callable[..., Publisher]
) -> None:
    publisher = publishing(noida.address, topic)
    send(publisher, "a", range(10))
    assert publisher.flush(20)
    noida.freeze()
    send(publisher, "a", range(10, 30))
    assert heard.wait_for("degraded")
    noida.thaw()
    assert publisher.flush(30)
    assert [each.state for each in heard.states] == ["live", "degraded", "live"]
    assert "nothing was acknowledged" in heard.states[1].detail
    assert numbers(read_topic(noida.address, topic, 30), "a") == list(range(30))


def test_a_message_larger_than_the_broker_takes_is_told_and_the_others_arrive(
    noida: Broker, topic: str, heard: Heard, publishing: Callable[..., Publisher]
) -> None:
    publisher = publishing(noida.address, topic)
    send(publisher, "a", range(5))
    large = AudioMessage("big", 384_000, np.zeros((800_000, 1), np.float32), 0, 0)
    assert publisher.send(large)
    send(publisher, "a", range(5, 10))
    assert publisher.flush(20)
    assert [stream for stream, _ in heard.lost] == ["big"]
    assert "larger than the brokers take" in heard.lost[0][1]
    assert numbers(read_topic(noida.address, topic, 10), "a") == list(range(10))


def test_a_message_larger_than_any_request_is_told(tansu: str, topic: str) -> None:
    told: list[tuple[object, str]] = []
    outbox = Outbox(
        Destination((tansu,), topic),
        Bounds(),
        lambda record, why, _: told.append((record.tag, why)),
    )
    assert outbox.offer(Outgoing(b"a", bytes(producing.MOST_REQUEST_BYTES + 1), [], "big"))
    assert outbox.wait_for_room(20)
    assert outbox.offer(Outgoing(b"a", b"small", [], "small"))
    assert outbox.flush(20)
    assert outbox.close(1) == 0
    assert told == [("big", "refused"), ("small", "")]


def test_while_no_broker_answers_that_is_said_and_the_end_is_bounded(
    topic: str, heard: Heard, publishing: Callable[..., Publisher]
) -> None:
    publisher = publishing(f"127.0.0.1:{free_port()}", topic)
    send(publisher, "a", range(3))
    assert heard.wait_for("degraded")
    assert "no broker answers at 127.0.0.1:" in heard.states[0].detail
    assert "ECONNREFUSED" in heard.states[0].detail
    assert publisher.close(0.1) == 3
    assert publisher.unacknowledged == 0
    assert not publisher.send(audio("a", 4))


def test_a_broker_that_comes_later_gets_everything(
    tansu_process: Callable[[], Broker],
    topic: str,
    heard: Heard,
    publishing: Callable[..., Publisher],
) -> None:
    broker = tansu_process()
    broker.kill()
    publisher = publishing(broker.address, topic)
    send(publisher, "a", range(20))
    assert heard.wait_for("degraded")
    broker.start()
    assert heard.wait_for("live")
    assert publisher.flush(20)
    assert numbers(read_topic(broker.address, topic, 20), "a") == list(range(20))


def test_a_certificate_that_is_not_there_ends_the_publisher_with_the_remedy(
    tansu: str, topic: str, publishing: Callable[..., Publisher], heard: Heard
) -> None:
    options = KafkaOptions(security_protocol="SSL", ca_file="/nowhere/ca.pem")
    publisher = publishing(tansu, topic, options=options)
    assert heard.wait_for("degraded")
    assert "kafka.ca_file = '/nowhere/ca.pem'" in publisher.trouble
    assert publisher.wait_for_room(20)
    assert not publisher.send(audio("a", 0))


def test_no_secret_is_in_a_line_when_the_brokers_refuse_the_account(
    tansu: str,
    topic: str,
    heard: Heard,
    publishing: Callable[..., Publisher],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    options = KafkaOptions(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        username="someone",
        password=SECRET,
    )
    publisher = publishing(tansu, topic, options=options)
    assert heard.wait_for("degraded")
    assert "SaslMechanism" in heard.states[0].detail
    publisher.close(0.0)
    kept = repr(list(DriverLog.installed()._lines))
    said = [*(each.detail for each in heard.states), caplog.text, *capfd.readouterr(), kept]
    assert SECRET not in " ".join([*said, repr(options), repr(publisher)])


def test_a_server_that_never_answers_tls_is_given_up_in_time(
    tansu: str, topic: str, heard: Heard, publishing: Callable[..., Publisher]
) -> None:
    publisher = publishing(tansu, topic, options=KafkaOptions(security_protocol="SSL"))
    assert heard.wait_for("degraded")
    assert "no broker answers" in heard.states[0].detail
    assert publisher.close(0.0) == 0


def test_a_missing_topic_is_created_once_and_left_as_it_is_afterwards(
    tansu: str, topic: str
) -> None:
    options = KafkaOptions()
    assert producing.ensure_topic((tansu,), topic, options, 3)
    assert not producing.ensure_topic((tansu,), topic, options, 5)


def test_a_topic_that_may_not_be_created_is_refused_with_the_remedy(
    noida: Broker, topic: str
) -> None:
    with pytest.raises(Refused, match=r"InvalidPartitions.*; create it"):
        producing.ensure_topic((noida.address,), topic, KafkaOptions(), -5)
