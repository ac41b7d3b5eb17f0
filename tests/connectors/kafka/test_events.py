import json
from collections.abc import Callable

import pytest

from connectors.kafka import producing
from connectors.kafka.events import EventTopic
from connectors.kafka.outbox import Destination
from operators.records import Failure, Novel, Occurrence, SourceState, Verdict
from tests.plugins.brokers import Broker, free_port
from tests.plugins.reading import read_topic


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is not there is given up after half a second."""
    monkeypatch.setattr(producing, "BOOTSTRAP_MS", 500)


def occurrence(number: int, stream: str = "mic") -> Occurrence:
    return Occurrence(stream, "p1", number, number + 0.5, number * 10**9, 0.9, number + 1.0, False)


def test_records_arrive_as_the_events_that_json_prints_under_their_stream(
    tansu: str, topic: str
) -> None:
    events = EventTopic(Destination((tansu,), topic))
    for item in (
        Novel("yard/ö", 1.0, 1.5),
        occurrence(3),
        Failure("mic", "source", "gap", "lost", "none", float("nan")),
        object(),
    ):
        events(item)
    events.event({"event": "summary", "windows": 4})
    assert events.close() == ()
    assert events.acknowledged == 4
    found = read_topic(tansu, topic, 4)
    assert [each.key for each in found] == ["yard/ö".encode(), b"mic", b"mic", None]
    values = [json.loads(each.value) for each in found]
    assert values[0] == {"event": "novel", "stream": "yard/ö", "start_s": 1.0, "end_s": 1.5}
    assert values[2]["start_s"] is None
    assert values[3] == {"event": "summary", "windows": 4}


def test_a_stream_keeps_its_order_through_a_restart(
    tansu_process: Callable[[], Broker], topic: str
) -> None:
    broker = tansu_process()
    events = EventTopic(Destination((broker.address,), topic))
    broker.kill()
    for number in range(50):
        events(occurrence(number))
    broker.start()
    assert events.close(20) == ()
    starts = [json.loads(each.value)["start_s"] for each in read_topic(broker.address, topic, 50)]
    assert starts == list(range(50))


def test_while_no_broker_answers_the_oldest_events_make_room_and_are_told(topic: str) -> None:
    states: list[SourceState] = []
    nowhere = Destination((f"127.0.0.1:{free_port()}",), topic)
    events = EventTopic(nowhere, state=states.append, most_events=10)
    for number in range(25):
        events(occurrence(number))
    notes = events.close(1.0)
    events(occurrence(26))
    assert [note.split(":")[0].split()[0] for note in notes] == ["10", "15"]
    assert "not acknowledged when the run ended" in notes[0]
    assert "more came than could wait" in notes[1]
    assert [state.state for state in states] == ["degraded"]


def test_every_window_is_told_only_when_asked_for(tansu: str, topic: str) -> None:
    verdict = Verdict("mic", 0, 0, "space", "silent")
    for windows, sent in ((False, 0), (True, 1)):
        events = EventTopic(Destination((tansu,), topic), windows=windows)
        events(verdict)
        assert events.close() == ()
        assert events.acknowledged == sent
