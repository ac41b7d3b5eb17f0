"""What happens to windows, and what a person is told, when the model fails."""

import numpy as np
import pytest
import torch

from operators.breaker import BreakerConfig
from operators.inference import InferenceConfig
from operators.records import BreakerTransition, Embedding, Failure, StreamEnd, Verdict


def reasons(out):
    return [
        item.reason or item.verdict if isinstance(item, Verdict) else "stored"
        for item in out
        if isinstance(item, Embedding | Verdict)
    ]


def failures(out):
    return [item for item in out if isinstance(item, Failure)]


def changes(out):
    return [item.to_state for item in out if isinstance(item, BreakerTransition)]


def one_by_one(inference, windows):
    """Submit each window when the one before is done: batches of one, on any machine."""
    out = []
    for each in windows:
        inference.submit([each])
        out += inference.all()
    return out


def test_a_failed_batch_is_dead_with_the_reason_and_told_once(lane, double, held, window):
    hold = held(0)

    def script(call, windows, rows):
        hold(call, windows, rows)
        if call == 1:
            raise RuntimeError("mat1 and mat2 shapes\ncannot be multiplied")
        return rows

    inference = lane(double(script))
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(1), window(1, "b"), window(2)])
    hold.let_go()
    out = inference.all()
    assert reasons(out) == ["stored", "model", "model", "model"]
    (failure,) = failures(out)
    assert out.index(failure) == 1  # before the windows it is about
    assert (failure.stream, failure.stage, failure.reason) == ("a", "infer", "model")
    assert failure.detail == (
        "double: a batch of 3 windows failed: "
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied"
    )
    assert "weights" in failure.remedy
    assert failure.start_s == 0.5
    assert not failure.fatal_source


def test_a_model_that_ends_its_thread_is_only_a_failed_batch(lane, double, window):
    def script(call, windows, rows):
        raise SystemExit(3)

    inference = lane(double(script))
    assert reasons(one_by_one(inference, [window(0), window(1)])) == ["model", "model"]


def allocate_too_much(_: str) -> Exception:
    """What torch really raises on the processor: a bare RuntimeError."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**15)
    return raised.value


@pytest.mark.parametrize(
    "error", [MemoryError, torch.OutOfMemoryError, torch.AcceleratorError, allocate_too_much]
)
def test_out_of_memory_halves_the_batch_until_it_fits_and_loses_nothing(
    lane, double, held, window, error
):
    hold = held(0)

    def script(call, windows, rows):
        if len(windows) > 2:
            raise error("CUDA error: out of memory")
        return hold(call, windows, rows)

    model = double(script)
    inference = lane(model, InferenceConfig(max_batch=16, growth_calls=2))
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(k) for k in range(1, 11)])
    hold.let_go()
    out = inference.all()
    assert reasons(out) == ["stored"] * 11
    assert [item.vector[0] for item in out] == list(range(11))
    assert failures(out) == []
    assert changes(out) == []  # a batch too large is not held against the model
    # 10 -> 5 -> 2 fits; after two full batches 3 is tried, does not fit, and 2 is remembered.
    assert model.sizes == [1, 10, 5, 2, 2, 3, 2, 2, 2]
    assert inference.batch_cap == 2


def test_the_cap_grows_back_slowly_to_the_maximum(lane, double, held, window):
    hold = held(0)

    def script(call, windows, rows):
        if call == 1:
            raise MemoryError
        return hold(call, windows, rows)

    model = double(script)
    inference = lane(model, InferenceConfig(max_batch=4, growth_calls=2))
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(k) for k in range(1, 20)])
    hold.let_go()
    inference.all()
    assert model.sizes == [1, 4, 2, 2, 3, 3, 4, 4, 1]
    assert inference.batch_cap == 4


def test_a_single_window_that_does_not_fit_is_dead_and_said_so(lane, double, window):
    def script(call, windows, rows):
        if call == 0:
            raise MemoryError("Unable to allocate 7 GiB")
        return rows

    inference = lane(double(script))
    out = one_by_one(inference, [window(0), window(1)])
    assert reasons(out) == ["memory", "stored"]
    (failure,) = failures(out)
    assert failure.detail.endswith("MemoryError: Unable to allocate 7 GiB")
    assert "batch size" in failure.remedy


def test_a_bad_row_costs_only_its_own_window(lane, double, held, window):
    hold = held(0)

    def script(call, windows, rows):
        hold(call, windows, rows)
        if call == 0:
            return rows
        answer = [row.astype(np.float64) for row in rows]
        answer[1][2] = np.nan
        answer[2][0] = 1e300  # beyond float32
        answer[3] = answer[3][:2]
        answer[4][:] = 0.0
        return answer

    inference = lane(double(script))
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(k) for k in range(1, 7)])
    hold.let_go()
    out = inference.all()
    assert reasons(out) == [
        "stored",
        "stored",
        "not_finite",
        "not_finite",
        "wrong_shape",
        "zero_vector",
        "stored",
    ]
    (failure,) = failures(out)
    assert failure.reason == "validation"
    assert failure.start_s == 1.0  # at the first of them
    assert failure.detail == (
        "double: 4 of 6 windows got no usable vector: 2 not_finite, 1 wrong_shape, 1 zero_vector"
    )


@pytest.mark.parametrize("answer", [np.zeros((3, 4), np.float32), None, 5.0])
def test_an_answer_that_cannot_be_attributed_fails_the_whole_batch(lane, double, window, answer):
    inference = lane(double(lambda call, windows, rows: answer))
    out = one_by_one(inference, [window(0)])
    assert reasons(out) == ["validation"]
    assert len(failures(out)) == 1


def test_a_model_that_only_answers_nan_opens_the_breaker(lane, double, window):
    def script(call, windows, rows):
        return np.full_like(rows, np.nan)

    breaker = BreakerConfig(minimum_number_of_calls=2)
    inference = lane(double(script), InferenceConfig(breaker=breaker))
    out = one_by_one(inference, [window(0), window(1), window(2)])
    assert reasons(out) == ["not_finite", "not_finite", "breaker_open"]
    assert changes(out) == ["open"]
    assert "last: no usable vector in a batch of 1 window" in failures(out)[-1].detail


def test_an_open_breaker_refuses_at_once_tells_each_stream_once_and_tries_again(
    lane, double, clock, window, end
):
    """Raises for calls 2 to 22, as a model does while its device is away."""

    def script(call, windows, rows):
        if 2 <= call < 22:
            raise RuntimeError("device is away")
        return rows

    config = InferenceConfig(
        breaker=BreakerConfig(
            sliding_window_calls=4,
            minimum_number_of_calls=2,
            wait_duration_in_open_s=10.0,
            wait_growth=1.0,
            permitted_calls_in_half_open=2,
        )
    )
    model = double(script)
    inference = lane(model, config, utc=clock)
    out = one_by_one(inference, [window(0), window(1), window(2), window(3)])
    assert reasons(out) == ["stored", "stored", "model", "model"]
    assert changes(out) == ["open"]
    assert inference.breaker_state == "open"

    clock.now += 4.0
    refused = one_by_one(inference, [window(4), window(4, "b"), window(5), window(5, "b"), end()])
    assert reasons(refused) == ["breaker_open"] * 4
    assert isinstance(refused[-1], StreamEnd)
    assert [failure.stream for failure in failures(refused)] == ["a", "b"]
    told = failures(refused)[0]
    assert told.reason == "breaker_open"
    assert told.detail == (
        "double: breaker open, it keeps failing; last: RuntimeError: device is away"
    )
    assert told.remedy.startswith("it is tried again in 6 s; ")
    assert len(model.sizes) == 4  # refused windows never reach the model

    reopened = 0
    index = 6
    while inference.breaker_state == "open":
        clock.now += 10.0
        out = one_by_one(inference, [window(index), window(index + 1), window(index + 2)])
        index += 3
        if changes(out) == ["half_open", "open"]:
            reopened += 1
            assert reasons(out)[0] == "model"
            assert reasons(out)[-1] == "breaker_open"
            assert "breaker_open" in [failure.reason for failure in failures(out)]
    assert reopened == 9
    assert changes(out) == ["half_open", "closed"]
    assert reasons(out) == ["stored"] * 3
    assert len(model.sizes) == 2 + 20 + 3


def test_a_call_past_its_deadline_is_abandoned_and_trips_the_breaker_at_once(
    lane, double, held, clock, window
):
    hold = held(0)
    model = double(hold)
    inference = lane(model, InferenceConfig(deadline_s=30.0), clock=clock, utc=clock)
    inference.submit([window(0), window(1, samples=3)])
    hold.wait_until_in(0)
    clock.now += 30.0
    assert inference.poll() == []  # exactly the deadline is not past it
    clock.now += 0.1
    out = inference.poll()
    assert reasons(out) == ["timeout", "breaker_open"]
    (transition,) = (item for item in out if isinstance(item, BreakerTransition))
    assert (transition.from_state, transition.to_state) == ("closed", "open")
    assert transition.reason == "timeout"
    failure = failures(out)[0]
    assert failure.detail == (
        "double: a batch of 1 window failed: no answer within the deadline of 30 s"
    )
    assert "deadline" in failure.remedy


def test_after_a_call_that_hangs_another_thread_goes_on(lane, double, held, clock, window):
    hold = held(0)
    model = double(hold)
    inference = lane(model, clock=clock, utc=clock)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    clock.now += 30.1
    assert reasons(inference.poll()) == ["timeout"]
    clock.now += 10.0
    inference.submit([window(1)])
    assert reasons(inference.all()) == ["stored"]
    hold.let_go()
    model.threads[0].join(20)
    assert not model.threads[0].is_alive()
    assert model.threads[0] is not model.threads[1]
    assert inference.poll() == []  # what it returned after all is thrown away
    assert not inference.needs_restart


def test_an_answer_that_was_late_counts_as_late_even_if_nobody_looked_in_between(
    lane, double, clock, window
):
    def script(call, windows, rows):
        clock.now += 31.0
        return rows

    inference = lane(double(script), clock=clock, utc=clock)
    inference.submit([window(0)])
    inference.wait_until_settled()  # so the answer was taken, and nobody has polled
    out = inference.poll()
    assert reasons(out) == ["timeout"]
    assert changes(out) == ["open"]
    assert len(failures(out)) == 1


def test_an_error_that_is_called_a_time_out_within_the_deadline_trips_nothing(lane, double, window):
    def script(call, windows, rows):
        raise TimeoutError("a remote model gave up")

    assert changes(one_by_one(lane(double(script)), [window(0)])) == []


def test_too_many_hanging_calls_ask_for_a_restart_clearly_and_lose_nothing(
    lane, double, held, clock, window, end
):
    hold = held(0, 1)
    inference = lane(double(hold), InferenceConfig(max_abandoned=2), clock=clock, utc=clock)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    clock.now += 31.0
    inference.poll()
    clock.now += 10.0
    inference.submit([window(1), window(2, samples=3)])
    hold.wait_until_in(1)
    assert inference.hanging == ""
    clock.now += 31.0
    out = inference.poll()
    assert inference.needs_restart
    assert inference.hanging == "double"
    assert reasons(out) == ["timeout", "restart_needed"]
    report = next(each for each in failures(out) if each.reason == "restart_needed")
    assert report.detail == "double: 2 calls hang past their deadline of 30 s"
    assert report.remedy.startswith("restart grym")
    inference.submit([window(3), end()])
    later = inference.poll()
    assert reasons(later) == ["restart_needed"]
    assert isinstance(later[-1], StreamEnd)
    assert failures(later) == []
    assert inference.paid == 4
    hold.let_go()


def test_a_hanging_call_that_comes_back_no_longer_counts(lane, double, held, clock, window):
    hold = held(0, 1, 2)
    model = double(hold)
    inference = lane(model, InferenceConfig(max_abandoned=2), clock=clock, utc=clock)
    for call in range(3):
        inference.submit([window(call)])
        hold.wait_until_in(call)
        clock.now += 31.0
        assert reasons(inference.poll()) == ["timeout"]
        assert inference.rungs[0].hanging == 1
        hold.let_go(call)
        model.threads[call].join(20)
        assert inference.rungs[0].hanging == 0
        clock.now += 300.0
    assert not inference.needs_restart
