"""A clock to turn by hand, and a breaker's configuration with small numbers."""

from operators.breaker import BreakerConfig


class FakeClock:
    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


CONFIG = BreakerConfig(
    sliding_window_calls=4,
    minimum_number_of_calls=2,
    failure_rate_threshold=0.5,
    slow_call_duration_s=1.0,
    slow_call_rate_threshold=0.75,
    wait_duration_in_open_s=10.0,
    wait_growth=2.0,
    wait_cap_s=30.0,
    permitted_calls_in_half_open=2,
    trial_timeout_s=5.0,
)
