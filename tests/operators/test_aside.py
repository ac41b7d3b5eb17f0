"""Running an operator aside: order, failures, and snapshots in the middle of it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.aside import Aside, unpack


class Adding:
    """Sums what it hears; waits at an item while its gate is closed."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.gate = Event()
        self.gate.set()
        self.started = Event()

    def hear(self, item: int) -> list[int]:
        self.started.set()
        self.gate.wait(30)
        if item < 0:
            raise ValueError(f"{item} is negative")
        self.total += item
        return [self.total]

    def snapshot(self) -> dict[str, Any]:
        return {"version": 1, "total": self.total}


def failed(item: int, error: Exception) -> list[str]:
    return [f"left out {item}: {error}"]


def test_results_come_out_in_order_each_with_its_item() -> None:
    with ThreadPoolExecutor(1) as executor:
        aside = Aside(Adding(), executor, failed)
        for item in (1, 2, 3):
            aside.submit(item)
        assert aside.drain() == [(1, [1]), (2, [3]), (3, [6])]
        assert not aside.busy


def test_the_oldest_item_that_waits_can_be_taken_back() -> None:
    with ThreadPoolExecutor(1) as executor:
        adding = Adding()
        adding.gate.clear()
        aside = Aside(adding, executor, failed)
        for item in (1, 2, 3, 4):
            aside.submit(item)
        assert adding.started.wait(30)
        assert aside.drop_oldest(lambda item: item > 2) == 3
        assert aside.drop_oldest(lambda item: True) == 2  # the first is being heard
        assert aside.drop_oldest(lambda item: item > 9) is None
        assert aside.waiting == [1, 4]
        adding.gate.set()
        assert aside.drain() == [(1, [1]), (4, [5])]


def test_an_item_that_raises_is_told_and_the_next_ones_are_heard() -> None:
    with ThreadPoolExecutor(1) as executor:
        aside = Aside(Adding(), executor, failed)
        for item in (1, -5, 2):
            aside.submit(item)
        results = [results for _, results in aside.drain()]
        assert results == [[1], ["left out -5: -5 is negative"], [3]]


def test_a_snapshot_that_raises_is_told_and_the_state_before_it_stays() -> None:
    class Forgetful(Adding):
        def snapshot(self) -> dict[str, Any]:
            if self.total == 3:
                raise MemoryError("no room for a state")
            return super().snapshot()

    with ThreadPoolExecutor(1) as executor:
        aside = Aside(Forgetful(), executor, failed)
        for item in (1, 2):
            aside.submit(item)
        results = [results for _, results in aside.drain()]
        assert results == [[1], [3, "left out 2: no room for a state"]]
        assert unpack(aside.snapshot()) == ({"version": 1, "total": 1}, [])


def test_nobody_waits_and_a_snapshot_holds_what_is_under_way() -> None:
    adding = Adding()
    with ThreadPoolExecutor(1) as executor:
        aside = Aside(adding, executor, failed)
        aside.submit(1)
        aside.drain()
        adding.gate.clear()
        adding.started.clear()
        aside.submit(2)
        aside.submit(3)
        adding.started.wait(30)
        assert aside.poll() == []
        assert aside.busy
        assert unpack(aside.snapshot()) == ({"version": 1, "total": 1}, [2, 3])
        adding.gate.set()
        assert aside.drain() == [(2, [3]), (3, [6])]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=12), st.data())
def test_a_snapshot_at_any_time_leads_to_the_same_rest(items: list[int], data: Any) -> None:
    cut = data.draw(st.integers(0, len(items)))
    with ThreadPoolExecutor(1) as executor:
        aside = Aside(Adding(), executor, failed)
        for item in items[:cut]:
            aside.submit(item)
        before = [results for _, results in aside.poll()]
        state, waiting = unpack(aside.snapshot())
        again = Aside(Adding(state["total"]), executor, failed)
        for item in [*waiting, *items[cut:]]:
            again.submit(item)
        after = [results for _, results in again.drain()]
    sums = [[sum(items[: k + 1])] for k in range(len(items))]
    assert before + after == sums


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 7, expected 1"):
        unpack({"version": 7})
