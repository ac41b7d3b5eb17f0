"""What survives a restart: everything that has not gone out, and what was learned."""

import pickle

import numpy as np
import pytest

from operators.breaker import BreakerConfig
from operators.inference import InferenceConfig
from operators.records import BreakerTransition, Embedding, Failure, StreamEnd, Verdict


def numbers(out):
    return [
        "end" if isinstance(item, StreamEnd) else item.start_ns // 500_000_000
        for item in out
        if isinstance(item, Embedding | Verdict | StreamEnd)
    ]


def test_what_is_in_flight_is_part_of_the_state_and_is_called_again(
    lane, double, held, window, end
):
    hold = held(0)
    inference = lane(double(hold))
    items = [window(0), window(1), window(2, gate="silent"), window(3, "b"), end()]
    inference.submit(items)
    hold.wait_until_in(0)
    state = inference.snapshot()
    held_windows = [saved[0] for saved in state["entries"] if saved[0] is not None]
    assert held_windows[0].samples is items[0].samples  # shared, not copied
    resumed = lane(double())
    resumed.restore(pickle.loads(pickle.dumps(state)))  # noqa: S301 - our own bytes
    assert resumed.open_windows == 3  # the flow takes that much credit again
    out = resumed.all()
    assert numbers(out) == [0, 1, 2, 3, "end"]
    assert sum(isinstance(item, Embedding) for item in out) == 3
    assert resumed.paid == 3
    hold.let_go()
    assert numbers(inference.all()) == [0, 1, 2, 3, "end"]  # a snapshot changes nothing


def test_results_that_had_not_gone_out_go_out_after_the_restart_as_they_were(
    lane, double, held, window
):
    hold = held(0)
    first = lane(double(hold), InferenceConfig(capacity=1), is_live=lambda _: True)
    first.submit([window(0)])
    hold.wait_until_in(0)
    first.submit([window(1), window(2)])
    state = first.snapshot()
    resumed = lane(double(), InferenceConfig(capacity=1), is_live=lambda _: True)
    resumed.restore(state)
    out = resumed.all()
    assert numbers(out) == [0, 1, 2]
    assert [type(item).__name__ for item in out] == ["Embedding", "Verdict", "Embedding"]
    assert out[1].reason == "queue_full"
    assert resumed.paid == 0  # live windows hold no credit
    hold.let_go()


def test_restored_live_windows_may_still_be_shed(lane, double, held, window):
    before, after = held(0), held(0)
    first = lane(double(before), is_live=lambda _: True)
    first.submit([window(0), window(1, samples=3), window(2)])
    before.wait_until_in(0)
    resumed = lane(double(after), InferenceConfig(capacity=1), is_live=lambda _: True)
    resumed.restore(first.snapshot())
    after.wait_until_in(0)
    resumed.submit([window(3)])
    after.let_go()
    before.let_go()
    out = resumed.all()
    assert numbers(out) == [0, 1, 2, 3]
    assert [item.reason for item in out if isinstance(item, Verdict)] == ["queue_full"] * 2


def test_an_open_breaker_what_was_told_and_the_batch_cap_survive(lane, double, clock, window):
    def script(call, windows, rows):
        if call == 0:
            raise MemoryError
        raise RuntimeError("away")

    config = InferenceConfig(
        max_batch=8, breaker=BreakerConfig(minimum_number_of_calls=1, wait_duration_in_open_s=10.0)
    )
    inference = lane(double(script), config, utc=clock)
    inference.submit([window(0), window(1)])
    told = [item for item in inference.all() if isinstance(item, Failure)]
    assert [failure.reason for failure in told] == ["model", "breaker_open"]
    state = pickle.loads(pickle.dumps(inference.snapshot()))  # noqa: S301 - our own bytes
    clock.now += 3.0
    model = double()
    resumed = lane(model, config, utc=clock)
    resumed.restore(state)
    assert resumed.breaker_state == "open"
    assert resumed.batch_cap == inference.batch_cap < 8
    resumed.submit([window(3), window(3, "b")])
    out = resumed.all()
    failures = [item for item in out if isinstance(item, Failure)]
    assert [failure.stream for failure in failures] == ["b"]  # "a" was told before the restart
    assert "RuntimeError: away" in failures[0].detail
    assert failures[0].remedy.startswith("it is tried again in 7 s")
    clock.now += 7.0
    resumed.submit([window(4)])
    assert isinstance(resumed.all()[-1], Embedding)


def test_failures_and_events_that_nobody_has_polled_are_not_lost(lane, double, held, clock, window):
    hold = held(1, 2)

    def script(call, windows, rows):
        hold(call, windows, rows)
        if call < 2:
            raise RuntimeError(f"away {call}")
        return rows

    breaker = BreakerConfig(minimum_number_of_calls=2, failure_rate_threshold=0.6)
    config = InferenceConfig(breaker=breaker)
    inference = lane(double(script), config, utc=clock)
    inference.submit([window(0), window(1, samples=3)])
    hold.wait_until_in(1)  # so the first call has failed
    state = inference.snapshot()
    resumed = lane(double(), config, utc=clock)
    resumed.restore(state)
    out = resumed.all()
    assert isinstance(out[0], Failure)
    assert "away 0" in out[0].detail
    assert [item.verdict for item in out if isinstance(item, Verdict)] == ["dead"]
    assert numbers(out) == [0, 1]

    hold.let_go(1)
    assert inference.all()
    clock.now += 10.0
    inference.submit([window(2)])
    hold.wait_until_in(2)
    after = lane(double(), config, utc=clock)
    after.restore(inference.snapshot())
    out = after.all()
    assert isinstance(out[0], BreakerTransition)
    assert out[0].to_state == "half_open"
    hold.let_go(2)


def test_a_smaller_maximum_in_a_new_configuration_holds_at_once(lane, double):
    wide = lane(double(), InferenceConfig(max_batch=32))
    narrow = lane(double(), InferenceConfig(max_batch=4))
    narrow.restore(wide.snapshot())
    assert narrow.batch_cap == 4


def test_a_snapshot_of_another_version_is_refused_by_name(lane, double):
    with pytest.raises(ValueError, match="inference double: state version 7, expected 2"):
        lane(double()).restore({"version": 7})


def test_the_state_is_plain_and_versioned(lane, double, held, window):
    hold = held(0)
    inference = lane(double(hold))
    inference.submit([window(0), window(1, gate="gated")])
    hold.wait_until_in(0)
    state = inference.snapshot()
    hold.let_go()
    assert state["version"] == 2
    (open_one, gated) = state["entries"]
    assert isinstance(open_one[0].samples, np.ndarray)
    assert open_one[1:] == ((), True, 0)
    assert gated[0] is None
    assert gated[1][0].verdict == "gated"
    assert gated[2] is False
