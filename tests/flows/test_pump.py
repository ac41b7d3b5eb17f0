"""The loop of ``publish`` at its end: what went out, and what did not."""

import threading
from collections import deque

import numpy as np
import pytest

from connectors.chunks import Chunk, Clock
from connectors.kafka import outbox, producing
from connectors.kafka.connecting import Refused
from connectors.kafka.outbox import Destination
from connectors.kafka.publisher import Publisher
from flows import pump
from flows.errors import GrymError
from flows.feeder import Feeder
from flows.pump import Publishing, Pump
from tests.flows.test_feeder import Scripted
from tests.plugins.brokers import free_port

RATE = 16_000


class Unseen:
    """Nobody watches."""

    def __call__(self, item: object) -> None:
        """Whatever it is."""

    def event(self, event: dict[str, object]) -> None:
        """Likewise."""


def test_messages_that_were_read_and_found_no_room_count_as_not_acknowledged(
    topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producing, "BOOTSTRAP_MS", 500)
    monkeypatch.setattr(pump, "STOP_S", 0.3)
    monkeypatch.setattr(pump, "NAP_S", 0.01)
    publisher = Publisher(
        Destination((f"127.0.0.1:{free_port()}",), topic),
        lost=lambda _stream, _why: None,
        state=lambda _state: None,
        most_bytes=8_000,
    )
    progress = Publishing(publisher)
    stop = threading.Event()

    class Stopping(Scripted):
        def next(self) -> list[object]:
            stop.set()
            return super().next()

    second = Chunk("pi", RATE, np.zeros((RATE, 1), np.float32), 0, joined=False)
    source = Stopping(deque([[second]]), endless=True)
    feeder = Feeder(
        "pi",
        source,
        publisher.send,
        lambda _item: None,
        clips=True,
        clock=Clock(),
        sent=progress.sent,
        owners={},
    )
    left = Pump([feeder], publisher, deque(), Unseen(), stop).run()
    assert progress.messages == 2
    assert feeder.waiting == 9
    assert left == 11


def test_brokers_that_turn_out_unusable_during_the_last_flush_are_no_success(
    topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushing = threading.Event()

    def refused(*_: object) -> bool:
        assert flushing.wait(30)
        raise Refused("this account may not write")

    class Flushing(Publisher):
        def flush(self, timeout_s: float) -> bool:
            flushing.set()
            return super().flush(timeout_s + 30)

    monkeypatch.setattr(outbox, "ensure_topic", refused)
    lost: list[str] = []
    publisher = Flushing(
        Destination((f"127.0.0.1:{free_port()}",), topic),
        lost=lambda stream, _why: lost.append(stream),
        state=lambda _state: None,
    )
    chunk = Chunk("pi", RATE, np.zeros((RATE // 10, 1), np.float32), 0, joined=False)
    feeder = Feeder(
        "pi",
        Scripted(deque([[chunk]])),
        publisher.send,
        lambda _item: None,
        clips=True,
        clock=Clock(),
        sent={},
        owners={},
    )
    with pytest.raises(GrymError, match="this account may not write"):
        Pump([feeder], publisher, deque(), Unseen(), threading.Event()).run()
    assert set(lost) == {"pi"}
