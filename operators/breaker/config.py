"""When a breaker opens, how long it refuses, what it takes to close it again."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When to open and when to try again; rates are shares in (0, 1].

    Attributes:
        sliding_window_calls: how many of the last calls the rates are taken over.
        minimum_number_of_calls: below that many recorded calls nothing opens.
        failure_rate_threshold: opens at or above this share of failed calls.
        slow_call_rate_threshold: opens at or above this share of slow calls.
        slow_call_duration_s: a call longer than this is slow. The default lies above any
            deadline grym uses, so slowness alone opens nothing: results must not depend on
            the machine's speed.
        wait_duration_in_open_s: how long to refuse before trying again.
        wait_growth: factor on the wait with each reopening (1 = constant).
        wait_cap_s: the wait never grows beyond this.
        permitted_calls_in_half_open: trial calls that decide between closed and open.
        trial_timeout_s: a trial that has not reported by then counts as failed.
    """

    sliding_window_calls: int = 20
    minimum_number_of_calls: int = 5
    failure_rate_threshold: float = 0.5
    slow_call_rate_threshold: float = 1.0
    slow_call_duration_s: float = 60.0
    wait_duration_in_open_s: float = 10.0
    wait_growth: float = 2.0
    wait_cap_s: float = 300.0
    permitted_calls_in_half_open: int = 2
    trial_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what could never open or never close.

        Raises:
            ValueError: names the setting, its value and the expected range.
        """
        counts = ("sliding_window_calls", "minimum_number_of_calls", "permitted_calls_in_half_open")
        for key in counts:
            if getattr(self, key) < 1:
                raise ValueError(f"breaker {key} = {getattr(self, key)}: expected 1 or more")
        if self.minimum_number_of_calls > self.sliding_window_calls:
            raise ValueError(
                f"breaker minimum_number_of_calls = {self.minimum_number_of_calls}: expected at "
                f"most sliding_window_calls = {self.sliding_window_calls}, or it never opens"
            )
        for key in ("failure_rate_threshold", "slow_call_rate_threshold"):
            if not 0.0 < getattr(self, key) <= 1.0:
                raise ValueError(f"breaker {key} = {getattr(self, key)}: expected within (0, 1]")
        for key in ("slow_call_duration_s", "wait_duration_in_open_s", "trial_timeout_s"):
            if not getattr(self, key) > 0.0:
                raise ValueError(f"breaker {key} = {getattr(self, key)}: expected above 0 s")
        if not 1.0 <= self.wait_growth < math.inf:
            raise ValueError(f"breaker wait_growth = {self.wait_growth}: expected 1 or more")
        if not self.wait_duration_in_open_s <= self.wait_cap_s < math.inf:
            raise ValueError(
                f"breaker wait_cap_s = {self.wait_cap_s}: expected at least "
                f"wait_duration_in_open_s = {self.wait_duration_in_open_s}"
            )
