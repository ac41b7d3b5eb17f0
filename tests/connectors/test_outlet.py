"""Telling others without waiting for them: order, bound, and what raises."""

import logging
import threading

import pytest

from connectors.outlet import Outlet


def test_everything_is_told_in_order_by_one_thread() -> None:
    told: list[object] = []
    threads: set[str] = set()

    def tell(record: object) -> None:
        told.append(record)
        threads.add(threading.current_thread().name)

    outlet = Outlet(tell)
    for number in range(1_000):
        outlet.put(number)
    outlet.close()
    outlet.close()
    assert told == list(range(1_000))
    assert threads == {"outlet"}
    assert outlet.shed == 0


def test_whoever_takes_nothing_holds_nobody_up_and_what_is_shed_is_counted() -> None:
    told: list[object] = []
    goes, taken = threading.Event(), threading.Event()

    def tell(record: object) -> None:
        taken.set()
        goes.wait(30)
        told.append(record)

    outlet = Outlet(tell, most=10)
    outlet.put("first")
    assert taken.wait(30)
    for number in range(15):
        outlet.put(number)
    assert not outlet.room
    assert outlet.shed == 5
    goes.set()
    outlet.close()
    assert told == ["first", *range(5, 15)]
    assert outlet.room


def test_who_is_in_a_hurry_does_not_wait_for_whoever_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connectors.outlet.HURRY_S", 0.1)
    goes, taken = threading.Event(), threading.Event()

    def tell(record: object) -> None:
        taken.set()
        goes.wait(30)

    outlet = Outlet(tell)
    for number in range(3):
        outlet.put(number)
    assert taken.wait(30)
    assert not outlet.close(lambda: True)
    assert outlet.shed == 3
    outlet.put("late")
    assert outlet.shed == 4
    goes.set()


def test_what_raises_is_logged_and_the_next_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[object] = []

    def tell(record: object) -> None:
        if record == "bad":
            raise ValueError("no")
        told.append(record)

    outlet = Outlet(tell)
    with caplog.at_level(logging.WARNING):
        outlet.put("bad")
        outlet.put("good")
        outlet.close()
    assert told == ["good"]
    assert "could not be shown" in caplog.text
