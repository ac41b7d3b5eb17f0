from collections.abc import Callable

import pytest

from connectors.kafka import deadtopic, producing
from connectors.kafka.deadtopic import DeadLetter, DeadTopic, outgoing
from connectors.kafka.outbox import Destination
from tests.plugins.brokers import Broker, free_port
from tests.plugins.reading import read_topic

Eventually = Callable[[Callable[[], object]], bool]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is not there is given up after half a second."""
    monkeypatch.setattr(producing, "BOOTSTRAP_MS", 500)


def letter(topic: str, offset: int = 7, value: bytes | None = b"\xff\x00odd") -> DeadLetter:
    headers = [("rate", b"16000"), ("odd", None)]
    return DeadLetter(topic, 2, offset, "length", "3 bytes", b"mic\xff", value, headers)


def test_a_letter_holds_the_record_the_reason_and_where_it_lies(tansu: str, topic: str) -> None:
    letters = DeadTopic(Destination((tansu,), topic))
    letters.send(letter(topic))
    assert letters.close() == ()
    assert letters.acknowledged == 1
    (found,) = read_topic(tansu, f"{topic}.dead", 1)
    assert (found.key, found.value) == (b"mic\xff", b"\xff\x00odd")
    assert dict(found.headers) == {
        "reason": b"length",
        "detail": b"3 bytes",
        "topic": topic.encode(),
        "partition": b"2",
        "offset": b"7",
        "orig-rate": b"16000",
        "orig-odd": b"",
    }


def test_a_long_value_is_cut_and_its_length_told() -> None:
    found = outgoing(letter("t", value=bytes(5_000)), limit_bytes=1_000)
    assert len(found.value) == 1_000
    assert ("truncated", b"5000") in found.headers


def test_a_missing_value_and_a_missing_key_are_told_from_empty_ones() -> None:
    nothing = outgoing(DeadLetter("t", 0, 1, "null", "it has no value"))
    assert (nothing.key, nothing.value) == (None, b"")
    assert ("null", b"1") in nothing.headers
    assert ("null", b"1") not in outgoing(letter("t", value=b"")).headers


def test_headers_without_end_are_bounded() -> None:
    many = [("x" * 10_000, bytes(10_000))] * 500
    found = outgoing(DeadLetter("t", 0, 1, "header", "many", headers=many))
    assert sum(len(name) + len(value) for name, value in found.headers) < 600_000


def test_the_oldest_letter_under_way_is_known_until_it_is_acknowledged(
    tansu_process: Callable[[], Broker], topic: str, eventually: Eventually
) -> None:
    broker = tansu_process()
    broker.kill()
    letters = DeadTopic(Destination((broker.address,), topic))
    for offset in (9, 12, 12):
        letters.send(letter(topic, offset))
    letters.send(letter("other", 3))
    assert letters.oldest_unacked(topic, 2) == 9
    assert letters.oldest_unacked(topic, 0) is None
    assert letters.oldest_unacked("other", 2) == 3
    broker.start()
    assert eventually(lambda: letters.oldest_unacked(topic, 2) is None)
    assert letters.close() == ()
    assert letters.acknowledged == 4


def test_letters_that_are_not_acknowledged_in_time_are_let_go_and_counted(
    topic: str, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadtopic, "GIVE_UP_S", 0.2)
    letters = DeadTopic(Destination((f"127.0.0.1:{free_port()}",), topic))
    for offset in range(3):
        letters.send(letter(topic, offset))
    assert eventually(lambda: letters.oldest_unacked(topic, 2) is None)
    (note,) = letters.close(0.1)
    assert note.startswith("3 dead letters did not reach kafka://127.0.0.1:")
    assert "not acknowledged within" in note


def test_more_letters_than_may_wait_drop_the_oldest_and_count_them(
    topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadtopic, "MOST_LETTERS", 5)
    letters = DeadTopic(Destination((f"127.0.0.1:{free_port()}",), topic))
    for offset in range(8):
        letters.send(letter(topic, offset))
    assert letters.oldest_unacked(topic, 2) == 3
    shed, *_ = sorted(letters.close(0.1), reverse=True)
    assert "more came than could wait" in shed or "when the run ended" in shed
    assert {note.split()[0] for note in letters.notes} == {"3", "5"}


def test_after_the_close_a_letter_is_counted_and_nothing_is_opened(topic: str) -> None:
    letters = DeadTopic(Destination((f"127.0.0.1:{free_port()}",), topic))
    assert letters.close() == ()
    letters.send(letter(topic))
    assert letters.oldest_unacked(topic, 2) is None
    assert "1 dead letters" in letters.notes[0]
