"""The circuit breaker: its rules one by one."""

import json

import pytest

from operators.breaker import Breaker, BreakerConfig
from operators.records import BreakerTransition
from tests.operators.breaker.conftest import CONFIG, FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker("aisfx", CONFIG, clock=clock)


def call(breaker: Breaker, *, ok: bool = True, took_s: float = 0.1) -> list[BreakerTransition]:
    permission = breaker.acquire()
    assert permission.allowed
    return [*permission.transitions, *breaker.record(permission, took_s, ok)]


def open_it(breaker: Breaker) -> None:
    call(breaker, ok=False)
    assert [t.to_state for t in call(breaker, ok=False)] == ["open"]


def test_a_single_failure_below_the_minimum_number_of_calls_opens_nothing(breaker: Breaker) -> None:
    assert call(breaker, ok=False) == []
    assert breaker.state == "closed"


def test_the_failure_rate_opens_it_and_the_event_says_why(
    breaker: Breaker, clock: FakeClock
) -> None:
    call(breaker)
    (transition,) = call(breaker, ok=False)
    assert (transition.from_state, transition.to_state) == ("closed", "open")
    assert transition.name == "aisfx"
    assert transition.at_s == clock.now
    assert transition.reason == "failure_rate"
    assert transition.attributes == {
        "calls": 2.0,
        "failure_rate": 0.5,
        "slow_call_rate": 0.0,
        "wait_s": 10.0,
    }


def test_slow_calls_open_it_although_they_succeed(breaker: Breaker) -> None:
    assert call(breaker, took_s=1.0) == []  # exactly the limit is not slow
    assert call(breaker, took_s=1.1) == []
    assert call(breaker, took_s=1.1) == []
    (transition,) = call(breaker, took_s=1.1)
    assert transition.reason == "slow_call_rate"


def test_old_calls_leave_the_window(breaker: Breaker) -> None:
    call(breaker)
    call(breaker)
    call(breaker)
    assert call(breaker, ok=False) == []  # 1 of 4
    for _ in range(4):
        assert call(breaker) == []
    assert call(breaker, ok=False) == []  # still 1 of 4: the first one is forgotten
    assert breaker.state == "closed"


def test_an_open_breaker_refuses_and_says_how_long_it_will(
    breaker: Breaker, clock: FakeClock
) -> None:
    open_it(breaker)
    clock.now += 4.0
    permission = breaker.acquire()
    assert not permission.allowed
    assert permission.state == "open"
    assert permission.wait_s == 6.0
    assert breaker.remaining_s() == 6.0
    assert breaker.record(permission, 0.1, ok=True) == []  # a refusal has nothing to report


def test_after_the_wait_trials_are_permitted_and_their_success_closes_it(
    breaker: Breaker, clock: FakeClock
) -> None:
    open_it(breaker)
    clock.now += 10.0
    first, second, third = breaker.acquire(), breaker.acquire(), breaker.acquire()
    assert [t.to_state for t in first.transitions] == ["half_open"]
    assert (first.allowed, second.allowed, third.allowed) == (True, True, False)
    assert third.wait_s == 0.0
    assert breaker.remaining_s() == 0.0
    assert breaker.record(first, 0.1, ok=True) == []
    (closed,) = breaker.record(second, 0.1, ok=True)
    assert (closed.to_state, closed.reason) == ("closed", "trials_passed")
    assert call(breaker, ok=False) == []  # it starts afresh: nothing is held against it


def test_the_wait_grows_with_each_reopening_up_to_its_cap_and_starts_over_once_closed(
    breaker: Breaker, clock: FakeClock
) -> None:
    open_it(breaker)
    waits = []
    for _ in range(3):
        clock.now += breaker.remaining_s()
        call(breaker, ok=False)
        call(breaker, ok=False)
        waits.append(breaker.remaining_s())
    assert waits == [20.0, 30.0, 30.0]
    clock.now += 30.0
    call(breaker)
    call(breaker)
    assert breaker.state == "closed"
    open_it(breaker)
    assert breaker.remaining_s() == 10.0


def test_a_trial_that_never_reports_counts_as_failed_and_does_not_wedge_it(
    breaker: Breaker, clock: FakeClock
) -> None:
    open_it(breaker)
    clock.now += 10.0
    lost, kept = breaker.acquire(), breaker.acquire()
    assert breaker.record(kept, 0.1, ok=True) == []
    clock.now += 5.0
    permission = breaker.acquire()
    (reopened,) = permission.transitions
    assert reopened.to_state == "open"
    assert reopened.attributes["failure_rate"] == reopened.attributes["slow_call_rate"] == 0.5
    assert not permission.allowed
    assert breaker.record(lost, 9.0, ok=True) == []  # too late to count
    assert breaker.state == "open"


def test_a_released_trial_is_given_to_someone_else(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    clock.now += 10.0
    first, second = breaker.acquire(), breaker.acquire()
    assert not breaker.acquire().allowed
    breaker.release(first)
    third = breaker.acquire()
    assert third.allowed
    assert breaker.record(first, 0.1, ok=False) == []  # released: its report is void
    breaker.record(second, 0.1, ok=True)
    breaker.record(third, 0.1, ok=True)
    assert breaker.state == "closed"


def test_a_call_of_an_earlier_state_is_not_held_against_the_new_one(
    breaker: Breaker, clock: FakeClock
) -> None:
    slow = breaker.acquire()
    open_it(breaker)
    assert breaker.record(slow, 50.0, ok=False) == []
    clock.now += 10.0
    call(breaker)
    assert breaker.record(slow, 50.0, ok=False) == []
    call(breaker)
    assert breaker.state == "closed"


def test_one_result_is_enough_where_only_one_trial_is_permitted(clock: FakeClock) -> None:
    config = BreakerConfig(permitted_calls_in_half_open=1, minimum_number_of_calls=5)
    breaker = Breaker("m", config, clock=clock)
    for _ in range(5):
        call(breaker, ok=False)
    clock.now += 10.0
    assert [t.to_state for t in call(breaker)] == ["half_open", "closed"]


def test_a_clock_set_back_neither_wedges_nor_lengthens_the_wait(
    breaker: Breaker, clock: FakeClock
) -> None:
    open_it(breaker)
    clock.now += 4.0
    breaker.acquire()
    clock.now -= 1_000_000.0
    assert breaker.remaining_s() == 6.0
    clock.now += 6.0
    first = breaker.acquire()
    assert first.allowed
    clock.now -= 500.0
    assert breaker.acquire().allowed
    clock.now += 5.0
    assert [t.to_state for t in breaker.acquire().transitions] == ["open"]


def test_an_open_breaker_resumes_open_with_what_is_left_to_wait(
    breaker: Breaker, clock: FakeClock
) -> None:
    open_it(breaker)
    clock.now += 3.0
    state = json.loads(json.dumps(breaker.snapshot()))
    clock.now += 4.0
    resumed = Breaker("aisfx", CONFIG, clock=clock)
    resumed.restore(state)
    assert resumed.state == "open"
    assert resumed.remaining_s() == 3.0
    clock.now -= 100.0
    resumed.restore(state)  # the machine came up with a clock that is behind
    assert resumed.remaining_s() == 7.0


def test_trials_under_way_are_forgotten_by_a_restart_so_new_ones_are_permitted(
    breaker: Breaker, clock: FakeClock
) -> None:
    open_it(breaker)
    clock.now += 10.0
    before = breaker.acquire()
    resumed = Breaker("aisfx", CONFIG, clock=clock)
    resumed.restore(breaker.snapshot())
    first, second = resumed.acquire(), resumed.acquire()
    assert first.allowed
    assert second.allowed
    assert resumed.record(before, 0.1, ok=False) == []
    resumed.record(first, 0.1, ok=True)
    resumed.record(second, 0.1, ok=True)
    assert resumed.state == "closed"


def test_a_call_from_before_a_restart_is_not_held_against_a_later_state(
    breaker: Breaker, clock: FakeClock
) -> None:
    before = [breaker.acquire() for _ in range(4)]
    for permission in before[:2]:
        breaker.record(permission, 0.1, ok=False)
    resumed = Breaker("aisfx", CONFIG, clock=clock)
    resumed.restore(breaker.snapshot())
    assert [resumed.record(permission, 0.1, ok=True) for permission in before] == [[]] * 4
    assert resumed.state == "open"
    assert resumed.snapshot()["calls"] == []


def test_a_call_that_hangs_trips_it_whatever_the_counts_say(
    breaker: Breaker, clock: FakeClock
) -> None:
    for _ in range(3):
        call(breaker)
    (transition,) = breaker.trip(breaker.acquire())
    assert (transition.from_state, transition.to_state) == ("closed", "open")
    assert transition.reason == "timeout"
    assert transition.attributes["failure_rate"] == 0.25
    assert breaker.remaining_s() == 10.0
    assert not breaker.permits


def test_a_trial_that_hangs_trips_it_again_with_a_longer_wait(
    breaker: Breaker, clock: FakeClock
) -> None:
    open_it(breaker)
    clock.now += 10.0
    first, second = breaker.acquire(), breaker.acquire()
    (transition,) = breaker.trip(first, "no answer")
    assert (transition.from_state, transition.reason) == ("half_open", "no answer")
    assert breaker.remaining_s() == 20.0
    assert breaker.trip(second) == []  # of an earlier state: it opens nothing twice
    assert breaker.record(second, 0.1, ok=True) == []


def test_it_says_whether_it_would_permit_a_call_without_being_changed_by_it(
    breaker: Breaker, clock: FakeClock
) -> None:
    assert breaker.permits
    open_it(breaker)
    assert not breaker.permits
    clock.now += 10.0
    assert breaker.permits
    assert breaker.state == "open"
    breaker.acquire()
    assert breaker.permits  # one trial of two is left
    breaker.acquire()
    assert not breaker.permits


def test_a_restart_with_fewer_trials_than_were_made_starts_them_over(clock: FakeClock) -> None:
    three = BreakerConfig(minimum_number_of_calls=3, permitted_calls_in_half_open=3)
    breaker = Breaker("m", three, clock=clock)
    for _ in range(3):
        call(breaker, ok=False)
    clock.now += 10.0
    call(breaker)
    call(breaker)
    one = BreakerConfig(minimum_number_of_calls=3, permitted_calls_in_half_open=1)
    resumed = Breaker("m", one, clock=clock)
    resumed.restore(breaker.snapshot())
    assert [transition.to_state for transition in call(resumed)] == ["closed"]


def test_a_shorter_cap_in_a_new_configuration_holds_at_once(clock: FakeClock) -> None:
    long = BreakerConfig(wait_duration_in_open_s=200.0, minimum_number_of_calls=1)
    breaker = Breaker("m", long, clock=clock)
    call(breaker, ok=False)
    resumed = Breaker("m", BreakerConfig(wait_cap_s=20.0), clock=clock)
    resumed.restore(breaker.snapshot())
    assert resumed.remaining_s() == 20.0


def test_a_snapshot_of_another_version_is_refused_by_name(breaker: Breaker) -> None:
    with pytest.raises(ValueError, match="breaker aisfx: state version 99, expected 1"):
        breaker.restore({"version": 99})
