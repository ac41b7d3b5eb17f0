import logging
import threading

import pytest

from connectors.milvus import gate
from connectors.milvus.gate import FailureGate
from operators.records import Failure


def failure(detail: str) -> Failure:
    return Failure("", "spool", "torn_tail", detail, "", 0.0)


def test_what_is_told_before_anybody_listens_is_given_when_somebody_does() -> None:
    heard: list[str] = []
    told = FailureGate(lambda it: heard.append(it.detail))
    told(failure("one"))
    told(failure("two"))
    assert heard == []
    told.open()
    assert heard == ["one", "two"]
    told(failure("three"))
    told.open()
    assert heard == ["one", "two", "three"]


def test_a_callback_that_raises_costs_its_own_failure_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[str] = []

    def listen(it: Failure) -> None:
        if it.detail == "bad":
            raise LookupError("a broken ear")
        heard.append(it.detail)

    told = FailureGate(listen)
    told(failure("bad"))
    told(failure("held"))
    with caplog.at_level(logging.WARNING):
        told.open()
        told(failure("bad"))
        told(failure("later"))
    assert heard == ["held", "later"]
    assert len(caplog.records) == 2


def test_only_so_many_are_held_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, eventually
) -> None:
    monkeypatch.setattr(gate, "_MOST_HELD", 2)
    heard: list[str] = []
    told = FailureGate(lambda it: heard.append(it.detail))
    done: list[str] = []

    def tell() -> None:
        for number in range(5):
            told(failure(str(number)))
            done.append(str(number))

    thread = threading.Thread(target=tell)
    thread.start()
    assert eventually(lambda: len(done) == 2)
    told.open()
    thread.join()
    assert sorted(heard) == ["0", "1", "2", "3", "4"]
