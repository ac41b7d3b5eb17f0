"""A lane of several models: who serves, who stands in, what is tried beside, what survives."""

import pickle

import pytest

from operators.breaker import BreakerConfig
from operators.inference import InferenceConfig
from operators.records import Failure, RungChange
from tests.operators.inference.ladders import BREAKER, CONFIG, changes, one_by_one, said, spaces


def steps(out):
    return [
        (item.from_model, item.to_model, item.reason)
        for item in out
        if isinstance(item, RungChange)
    ]


def test_the_first_model_serves_and_the_others_are_not_even_started(lane, named, window):
    first, second = named("first"), named("second")
    inference = lane([first, second], CONFIG)
    assert spaces(one_by_one(inference, [window(0), window(1)])) == ["first", "first"]
    assert (len(first.sizes), len(second.sizes)) == (2, 0)
    assert (inference.name, inference.model, inference.serving) == ("first", first, "first")
    assert inference.models == (first, second)


def test_windows_are_handed_over_at_the_rate_at_which_they_were_cut(lane, named, window):
    first = named("first")
    one_by_one(lane([first]), [window(0)])
    assert first.rates == [44_100]


def test_while_a_breaker_is_open_the_next_model_serves_in_its_own_space(lane, named, clock, window):
    first, second = named("first", fails={0}), named("second")
    inference = lane([first, second], CONFIG, utc=clock)
    out = one_by_one(inference, [window(k) for k in range(4)])
    assert spaces(out) == ["second"] * 4
    assert changes(out) == [("first", "open")]
    (step,) = (item for item in out if isinstance(item, RungChange))
    assert step == RungChange("first", "first", "second", clock.now, "breaker_open")
    assert inference.serving == "second"
    assert [rung.breaker for rung in inference.rungs] == ["open", "closed"]
    assert len(first.sizes) == 1


def test_a_model_is_tried_beside_the_one_that_serves_and_takes_over_again_when_well(
    lane, named, clock, window
):
    first = named("first", fails={0, 1})
    config = InferenceConfig(breaker=BreakerConfig(minimum_number_of_calls=2))
    inference = lane([first, named("second")], config, utc=clock)
    one_by_one(inference, [window(0), window(1)])
    clock.now += 10.0
    out, number = [], 2
    while inference.serving == "second":  # two trials, each beside some window
        out += one_by_one(inference, [window(number)])
        inference.wait_for_trials()
        number += 1
    out += inference.poll()
    assert spaces(out) == ["second"] * 2
    assert changes(out) == [("first", "half_open"), ("first", "closed")]
    assert steps(out) == [("second", "first", "recovered")]
    assert len(first.sizes) == 4
    assert spaces(one_by_one(inference, [window(number)])) == ["first"]


def test_a_trial_that_hangs_holds_nothing_up_and_opens_the_breaker_again(
    lane, named, held, clock, window, end
):
    hold = held(1)

    def script(call, windows, rows):
        if call == 0:
            raise RuntimeError("device is away")
        return hold(call, windows, rows)

    first = named("first", script=script)
    inference = lane([first, named("second")], CONFIG, utc=clock, clock=clock)
    one_by_one(inference, [window(0)])
    clock.now += 10.0
    inference.submit([window(1), window(2), end()])
    hold.wait_until_in(1)
    assert spaces(inference.all()) == ["second", "second"]
    assert inference.probing
    assert not inference.busy  # nobody has to wait for it at the end of all input
    assert spaces(one_by_one(inference, [window(3), window(4)])) == ["second", "second"]
    assert len(first.sizes) == 2  # one trial at a time
    clock.now += 30.1
    out = inference.poll()
    assert changes(out) == [("first", "open")]
    assert said(out) == []  # no window was touched by it
    assert not inference.probing
    assert inference.rungs[0].hanging == 1
    hold.let_go()
    first.threads[1].join(20)
    assert inference.rungs[0].hanging == 0
    assert inference.serving == "second"


def test_where_no_model_is_left_windows_are_dead_and_each_stream_hears_it_once(
    lane, named, clock, window
):
    inference = lane([named("first", fails={0}), named("second", fails={0})], CONFIG, utc=clock)
    out = one_by_one(inference, [window(0)])
    assert spaces(out) == ["model"]
    assert steps(out) == [
        ("first", "second", "breaker_open"),
        ("second", "", "breaker_open"),
    ]
    assert inference.serving == ""
    clock.now += 4.0
    refused = one_by_one(inference, [window(1), window(1, "b"), window(2), window(2, "b")])
    assert spaces(refused) == ["breaker_open"] * 4
    told = [item for item in refused if isinstance(item, Failure)]
    assert [failure.stream for failure in told] == ["a", "b"]
    assert told[0].detail == (
        "first > second: every breaker is open; last: RuntimeError: device is away"
    )
    assert told[0].remedy.startswith("it is tried again in 6 s; ")
    clock.now += 6.0
    out = one_by_one(inference, [window(3), window(4)])  # a trial in earnest: nobody else serves
    assert spaces(out) == ["first", "first"]
    assert steps(out) == [("", "first", "recovered")]


def test_too_many_hanging_calls_ask_for_a_restart_while_the_next_model_loses_nothing(
    lane, named, held, clock, window
):
    hold = held(0, 1)
    config = InferenceConfig(max_abandoned=2, breaker=BREAKER)
    first = named("first", script=hold)
    inference = lane([first, named("second")], config, utc=clock, clock=clock)
    out = []
    for call in range(2):
        inference.submit([window(call)])
        hold.wait_until_in(call)
        if call:  # the second serves by now: its answer must not come late by the clock's leap
            inference.wait_until_answered()
        clock.now += 30.1
        out += inference.all()
        clock.now += 300.0
    assert inference.needs_restart
    assert inference.hanging == "first"
    assert inference.rungs[0].stuck
    out += one_by_one(inference, [window(2), window(3)])
    assert spaces(out) == ["second"] * 4
    assert "first: 2 calls hang past their deadline of 30 s" in said(out)
    assert len(first.sizes) == 2  # it is not tried again
    hold.let_go()


def test_a_restart_goes_on_with_the_breaker_open_and_the_next_model_serving(
    lane, named, held, clock, window
):
    hold = held(0)
    config = InferenceConfig(max_batch=2, breaker=BREAKER)
    inference = lane([named("first", fails={0}), named("second", script=hold)], config, utc=clock)
    inference.submit([window(0), window(1), window(2)])
    hold.wait_until_in(0)  # so two windows have failed on the first model
    state = pickle.loads(pickle.dumps(inference.snapshot()))  # noqa: S301 - our own bytes
    assert [rung["model"] for rung in state["rungs"]] == ["first", "second"]
    assert [entry[3] for entry in state["entries"]] == [1, 1, 0]
    assert [(rung.waiting, rung.calling) for rung in inference.rungs] == [(0, 0), (1, 2)]
    hold.let_go()
    clock.now += 3.0
    first, second = named("first"), named("second")
    resumed = lane([first, second], config, utc=clock)
    resumed.restore(state)
    assert resumed.serving == "second"
    out = resumed.all()
    assert spaces(out) == ["second"] * 3
    assert steps(out) == [("first", "second", "breaker_open")]  # nobody had read it
    assert len(said(out)) == 1
    clock.now += 7.0
    one_by_one(resumed, [window(3)])
    resumed.wait_for_trials()
    assert len(first.sizes) == 1


def test_a_ladder_that_was_changed_between_runs_goes_on_with_what_it_still_has(
    lane, named, held, clock, window
):
    hold = held(0)
    before = [named("first", fails={0}), named("second", script=hold)]
    inference = lane(before, CONFIG, utc=clock)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    state = inference.snapshot()
    hold.let_go()
    other, first = named("other"), named("first")
    resumed = lane([other, first], CONFIG, utc=clock)
    resumed.restore(state)
    assert [rung.breaker for rung in resumed.rungs] == ["closed", "open"]
    assert spaces(resumed.all()) == ["other"]  # it failed on models that are elsewhere now


def test_a_lone_model_is_no_ladder_and_changes_no_rungs(lane, named, clock, window):
    inference = lane(named("only", fails={0}), CONFIG, utc=clock)
    out = one_by_one(inference, [window(0), window(1)])
    assert changes(out) == [("only", "open")]
    assert steps(out) == []
    assert inference.serving == ""


def test_a_ladder_that_names_a_model_twice_or_none_is_refused(lane, named):
    with pytest.raises(ValueError, match="ladder a > b > a: a stands on two rungs, name it once"):
        lane([named("a"), named("b"), named("a")])
    with pytest.raises(ValueError, match="a ladder of no models: name at least one"):
        lane([])


def test_closing_amid_a_trial_beside_ends_both_threads_and_loses_nothing(
    lane, named, held, clock, window
):
    first_hold, second_hold = held(1), held(1)

    def script(call, windows, rows):
        if call == 0:
            raise RuntimeError("device is away")
        return first_hold(call, windows, rows)

    first, second = named("first", script=script), named("second", script=second_hold)
    inference = lane([first, second], CONFIG, utc=clock)
    one_by_one(inference, [window(0)])
    clock.now += 10.0
    inference.submit([window(1), window(2, samples=3)])
    first_hold.wait_until_in(1)
    second_hold.wait_until_in(1)
    assert spaces(inference.close()) == ["shutdown", "shutdown"]
    first_hold.let_go()
    second_hold.let_go()
    for thread in (*first.threads, *second.threads):
        thread.join(20)
        assert not thread.is_alive()
    assert inference.poll() == []
    assert inference.paid == 3
