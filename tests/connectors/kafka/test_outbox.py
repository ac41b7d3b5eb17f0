"""What an outbox does when things go wrong that a broker for tests cannot be made to do."""

from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient
from kafka.errors import (
    InvalidRecordError,
    OutOfOrderSequenceNumberError,
    TopicAuthorizationFailedError,
)

from connectors.kafka import outbox as outbox_module
from connectors.kafka.outbox import MOST_ATTEMPTS, Destination, Outbox
from connectors.kafka.pending import Bounds, Outgoing, Pending
from operators.records import SourceState
from tests.plugins.brokers import Broker
from tests.plugins.reading import read_topic

Settled = list[tuple[object, str]]


class ScriptedLink:
    """A producer whose brokers fail some records: number of the record -> errors, one a try."""

    errors: dict[int, list[Exception]]
    sent: list[int]

    def __init__(
        self,
        _servers: object,
        _topic: object,
        _options: object,
        acknowledged: Callable[[int], None],
        failed: Callable[[int, Exception], None],
    ) -> None:
        self._acknowledged = acknowledged
        self._failed = failed
        self._ended = False

    def send(self, number: int, _key: object, _value: object, _headers: object) -> None:
        self.sent.append(number)
        errors = self.errors.get(number, [])
        if self._ended:
            self._failed(number, AssertionError("it failed before"))
        elif errors:
            self._ended = True
            self._failed(number, errors.pop(0))
        else:
            self._acknowledged(number)

    def abandon(self) -> None:
        self._ended = True


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedLink]:
    monkeypatch.setattr(outbox_module, "Link", ScriptedLink)
    monkeypatch.setattr(outbox_module, "ensure_topic", lambda *_: False)
    monkeypatch.setattr(outbox_module, "RETRY_S", 0.001)
    ScriptedLink.errors, ScriptedLink.sent = {}, []
    return ScriptedLink


def record(tag: object) -> Outgoing:
    return Outgoing(b"a", b"value", [], tag)


def run(
    count: int, errors: dict[int, list[Exception]], link: type[ScriptedLink]
) -> tuple[Outbox, Settled, list[SourceState]]:
    link.errors = errors
    told: Settled = []
    states: list[SourceState] = []
    box = Outbox(
        Destination(("h:1",), "t"),
        Bounds(),
        lambda each, reason, _: told.append((each.tag, reason)),
        states.append,
    )
    for number in range(1, count + 1):
        box.offer(record(number))
    return box, told, states


def test_after_lost_state_everything_unacknowledged_is_sent_again_in_order(
    scripted: type[ScriptedLink],
) -> None:
    errors = {2: [OutOfOrderSequenceNumberError() for _ in range(MOST_ATTEMPTS + 3)]}
    box, told, states = run(4, errors, scripted)
    assert box.flush(20)
    assert box.close(1) == 0
    assert told == [(number, "") for number in (1, 2, 3, 4)]
    assert {each.state for each in states} == {"live", "degraded"}
    assert "sent again" in states[1].detail


def test_a_record_that_is_refused_again_and_again_is_let_go_and_the_others_arrive(
    scripted: type[ScriptedLink],
) -> None:
    errors = {2: [InvalidRecordError() for _ in range(MOST_ATTEMPTS)]}
    box, told, _ = run(3, errors, scripted)
    assert box.flush(20)
    assert box.close(1) == 0
    assert sorted(told) == [(1, ""), (2, "refused"), (3, "")]
    assert scripted.sent.count(2) == MOST_ATTEMPTS


def test_missing_rights_end_it_with_the_reason(scripted: type[ScriptedLink]) -> None:
    box, told, states = run(1, {1: [TopicAuthorizationFailedError("t")]}, scripted)
    assert box.flush(20)
    assert told == [(1, "refused")]
    assert "check the rights of the account" in box.trouble
    assert not box.offer(record(2))
    assert states[-1].state == "degraded"


def test_a_topic_that_was_deleted_is_created_again_and_gets_what_was_not_acknowledged(
    noida: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "STALLED_S", 0.2)
    monkeypatch.setattr(outbox_module, "LOOK_AGAIN_S", 0.3)
    states: list[SourceState] = []
    box = Outbox(Destination((noida.address,), topic), Bounds(), lambda *_: None, states.append)
    box.offer(record(1))
    assert box.flush(20)
    admin = KafkaAdminClient(bootstrap_servers=[noida.address])
    admin.delete_topics([topic])
    for tag in range(2, 5):
        box.offer(record(tag))
    assert box.flush(20)
    assert box.close(1) == 0
    admin.close()
    assert len(read_topic(noida.address, topic, 3)) == 3


def test_what_waits_is_bounded_by_number_and_by_bytes() -> None:
    for bounds in (Bounds(most_records=3), Bounds(most_bytes=3 * record(0).size)):
        box = Outbox(Destination(("127.0.0.1:1",), "t"), bounds, lambda *_: None)
        assert [box.offer(record(tag)) for tag in range(5)] == [True] * 3 + [False] * 2
        assert box.unacknowledged == 3
        assert not box.wait_for_room(0.0)
        assert box.close(0.0) == 3


def test_what_the_driver_has_in_hand_is_not_shed_but_the_newcomer() -> None:
    told: Settled = []
    clock = iter(range(100))
    bounds = Bounds(most_records=3, shed=True)
    pending = Pending(
        bounds, lambda each, why, _: told.append((each.tag, why)), lambda: next(clock)
    )
    for tag in range(3):
        assert pending.offer(record(tag))
    first = pending.next()
    assert first is not None
    assert pending.offer(record(3))
    while pending.next():
        continue
    assert pending.offer(record(4))
    assert told == [(1, "shed"), (4, "shed")]
    assert pending.acknowledge(first.number)
    assert not pending.acknowledge(first.number)
    assert pending.failed(first.number) == 0
    pending.take_back()
    again = [entry.record.tag for entry in iter(pending.next, None)]
    assert again == [2, 3]


def test_what_has_waited_too_long_is_let_go_wherever_it_is() -> None:
    told: Settled = []
    now_s = [0.0]
    bounds = Bounds(give_up_s=30.0)
    pending = Pending(bounds, lambda each, why, _: told.append((each.tag, why)), lambda: now_s[0])
    pending.offer(record("handed over"))
    assert pending.next()
    pending.offer(record("waiting"))
    now_s[0] = 29.0
    pending.offer(record("young"))
    assert pending.silent_s() == 29.0
    now_s[0] = 30.0
    pending.let_go()
    assert told == [("handed over", "given_up"), ("waiting", "given_up")]
    assert len(pending) == 1
    assert pending.close("closed", "") == 1
