"""A lane of several models: what becomes of a window whose call failed."""

import numpy as np

from operators.breaker import BreakerConfig
from operators.inference import InferenceConfig
from operators.records import Failure, Verdict
from tests.operators.inference.ladders import CONFIG, changes, one_by_one, said, spaces


def test_a_window_that_failed_goes_to_the_next_model_and_a_person_hears_of_it(
    lane, named, window, end
):
    lenient = InferenceConfig()
    inference = lane([named("first", fails={0}), named("second")], lenient)
    out = one_by_one(inference, [window(0), window(1), end()])
    assert spaces(out) == ["second", "first"]
    assert said(out) == [
        "first: a batch of 1 window failed: RuntimeError: device is away; second takes over"
    ]
    assert isinstance(out[0], Failure)  # in front of the window that it is about
    assert changes(out) == []
    assert inference.paid == 2


def test_only_the_rows_that_are_no_vectors_go_down(lane, named, held, window):
    hold = held(0)

    def script(call, windows, rows):
        hold(call, windows, rows)
        if call == 1:
            rows[1] = np.nan
        return rows

    second = named("second")
    inference = lane([named("first", script=script), second], CONFIG)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(k) for k in (1, 2, 3)])
    hold.let_go()
    out = inference.all()
    assert spaces(out) == ["first", "first", "second", "first"]
    assert second.sizes == [1]
    assert said(out) == [
        "first: 1 of 3 windows got no usable vector: 1 not_finite; second takes over"
    ]


def test_a_window_that_fails_on_every_model_is_dead_for_the_last_reason(lane, named, window):
    def zero(call, windows, rows):
        return rows * 0.0

    def memory(call, windows, rows):
        raise MemoryError("Unable to allocate 7 GiB")

    models = [named("a", fails={0}), named("b", script=memory), named("c", script=zero)]
    inference = lane(models, InferenceConfig())
    out = one_by_one(inference, [window(0)])
    (dead,) = (item for item in out if isinstance(item, Verdict))
    assert (dead.verdict, dead.reason, dead.space) == ("dead", "zero_vector", "a-00000000-4")
    endings = [detail.rpartition("; ")[2] for detail in said(out)]
    assert endings[:2] == ["b takes over", "c takes over"]
    assert said(out)[2].endswith("1 zero_vector")
    assert inference.paid == 1


def test_a_window_that_fails_while_those_below_are_open_is_dead_for_its_own_reason(
    lane, named, clock, window
):
    second = named("second", fails={0})
    lenient = BreakerConfig(minimum_number_of_calls=1, failure_rate_threshold=0.9)
    first = named("first", fails={1, 2})
    inference = lane([first, second], InferenceConfig(breaker=lenient), utc=clock)
    out = one_by_one(inference, [window(0), window(1), window(2)])
    assert spaces(out) == ["first", "model", "model"]
    assert [detail.endswith("second takes over") for detail in said(out)] == [True, False, False]
    assert len(second.sizes) == 1


def test_each_model_has_a_batch_cap_of_its_own(lane, named, held, window):
    hold = held(0)

    def script(call, windows, rows):
        if len(windows) > 2:
            raise MemoryError
        return hold(call, windows, rows)

    inference = lane([named("first", script=script), named("second")], CONFIG)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(k) for k in range(1, 9)])
    hold.let_go()
    assert spaces(inference.all()) == ["first"] * 9
    assert [rung.batch_cap for rung in inference.rungs] == [2, CONFIG.max_batch]
    assert inference.batch_cap == 2


def test_a_window_too_large_for_one_model_may_fit_another(lane, named, window):
    def script(call, windows, rows):
        raise MemoryError

    inference = lane([named("first", script=script), named("second")], InferenceConfig())
    out = one_by_one(inference, [window(0)])
    assert spaces(out) == ["second"]
    assert said(out)[0].endswith("MemoryError; second takes over")


def test_windows_of_a_call_that_hangs_go_down_and_the_thread_is_not_waited_for(
    lane, named, held, clock, window
):
    hold = held(0)
    first = named("first", script=hold)
    inference = lane([first, named("second")], CONFIG, utc=clock, clock=clock)
    inference.submit([window(0), window(1, samples=3)])
    hold.wait_until_in(0)
    clock.now += 30.1
    out = inference.all()
    assert spaces(out) == ["second", "second"]
    (detail,) = said(out)
    assert detail.endswith("failed: no answer within the deadline of 30 s; second takes over")
    assert changes(out) == [("first", "open")]
    assert not inference.needs_restart
    hold.let_go()
