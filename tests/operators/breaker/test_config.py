"""What a breaker refuses to be told."""

import math

import pytest

from operators.breaker import BreakerConfig


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sliding_window_calls": 0}, "sliding_window_calls = 0: expected 1 or more"),
        ({"minimum_number_of_calls": 21}, "at most sliding_window_calls = 20"),
        ({"failure_rate_threshold": 0.0}, "failure_rate_threshold = 0.0: expected within"),
        ({"slow_call_rate_threshold": 1.5}, "slow_call_rate_threshold = 1.5: expected within"),
        ({"wait_duration_in_open_s": 0.0}, "expected above 0 s"),
        ({"trial_timeout_s": math.nan}, "trial_timeout_s = nan"),
        ({"wait_growth": 0.5}, "wait_growth = 0.5: expected 1 or more"),
        ({"wait_cap_s": 5.0}, "wait_cap_s = 5.0: expected at least"),
    ],
)
def test_a_configuration_that_could_not_work_is_refused(
    wrong: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        BreakerConfig(**wrong)  # type: ignore[arg-type]  # the point of the test
