"""A circuit breaker as a pure state model: closed, open, half-open; every change is an event.

Terms and rules are those of resilience4j's CircuitBreaker with a count-based sliding window
(https://resilience4j.readme.io/docs/circuitbreaker), with three departures. A permission
belongs to the state that gave it: what a call reports after the state has changed is ignored
rather than held against the new state. A trial that never reports counts as failed after
``trial_timeout_s``, so that a half-open breaker cannot be wedged. The wait may grow with each
reopening.

Time is UTC in epoch seconds, because a wait must survive a restart and monotonic clocks do not.
Invariant: what is left to wait never exceeds the configured wait, and a clock set back does not
lengthen it. The breaker calls nothing and starts no thread; it is not thread-safe.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from operators.records import BreakerTransition

Clock: TypeAlias = Callable[[], float]
State: TypeAlias = Literal["closed", "open", "half_open"]

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half_open"
_VERSION = 1


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


@dataclass(frozen=True, slots=True)
class Permission:
    """Leave to make one call, or the refusal; to be handed back to ``record`` or ``release``.

    Attributes:
        allowed: whether the call may be made.
        state: of the breaker once the question was answered.
        wait_s: when refused by an open breaker, what is left to wait; else 0.
        transitions: changes that asking brought about (open to half-open, or a trial that
            timed out).
        epoch: number of the state that gave it.
        trial: number of the trial call in half-open; 0 for a call in closed.
    """

    allowed: bool
    state: State
    wait_s: float
    transitions: tuple[BreakerTransition, ...]
    epoch: int
    trial: int


class _Calls:
    """The last ``size`` calls as a ring, with running counts of the failed and the slow."""

    __slots__ = ("failed", "ring", "slow")

    def __init__(self, size: int, calls: list[tuple[bool, bool]] | None = None) -> None:
        self.ring: deque[tuple[bool, bool]] = deque(calls or (), maxlen=size)
        self.failed = sum(failed for failed, _ in self.ring)
        self.slow = sum(slow for _, slow in self.ring)

    def add(self, failed: bool, slow: bool) -> None:
        if len(self.ring) == self.ring.maxlen:
            old_failed, old_slow = self.ring[0]
            self.failed -= old_failed
            self.slow -= old_slow
        self.ring.append((failed, slow))
        self.failed += failed
        self.slow += slow

    @property
    def rates(self) -> tuple[float, float]:
        count = len(self.ring) or 1
        return self.failed / count, self.slow / count


class Breaker:
    """The state of one breaker; ``name`` is what its events carry (a model, a store)."""

    def __init__(self, name: str, config: BreakerConfig | None = None, *, clock: Clock) -> None:
        self.name = name
        self.config = config or BreakerConfig()
        self._clock = clock
        self._state: State = CLOSED
        self._calls = _Calls(self.config.sliding_window_calls)
        self._epoch = 0
        self._wait_s = self.config.wait_duration_in_open_s
        self._until_s = 0.0
        self._trials: dict[int, float] = {}
        self._trials_given = 0
        self._last_s = -math.inf

    @property
    def state(self) -> State:
        """The state as last decided; an open one turns half-open only when asked for leave."""
        return self._state

    def acquire(self) -> Permission:
        """Ask for leave to make a call now."""
        now = self._now()
        transitions = self._expire_trials(now)
        if self._state == OPEN and now >= self._until_s:
            transitions.append(self._change(HALF_OPEN, now, "wait_elapsed"))
        allowed, trial, wait_s = self._state == CLOSED, 0, 0.0
        if self._state == OPEN:
            wait_s = self._until_s - now
        elif self._state == HALF_OPEN:
            used = len(self._trials) + len(self._calls.ring)
            if allowed := used < self.config.permitted_calls_in_half_open:
                self._trials_given += 1
                trial = self._trials_given
                self._trials[trial] = now + self.config.trial_timeout_s
        return Permission(allowed, self._state, wait_s, tuple(transitions), self._epoch, trial)

    def record(
        self, permission: Permission, duration_s: float, ok: bool
    ) -> list[BreakerTransition]:
        """Report how a permitted call went.

        Args:
            permission: what ``acquire`` gave; one of another state, or one already reported,
                released or timed out, is ignored.
            duration_s: how long the call took.
            ok: False for a call that failed (a time-out included).

        Returns:
            The changes of state that followed: none or one.
        """
        now = self._now()
        if not self._take_back(permission):
            return []
        self._calls.add(not ok, duration_s > self.config.slow_call_duration_s)
        return self._judge(now)

    def release(self, permission: Permission) -> None:
        """Hand a permission back unused, or one whose call says nothing about the model."""
        self._now()
        self._take_back(permission)

    def remaining_s(self) -> float:
        """What is left to wait while open; 0 otherwise."""
        now = self._now()  # first: it may move the deadline
        return max(0.0, self._until_s - now) if self._state == OPEN else 0.0

    def snapshot(self) -> dict[str, Any]:
        """Versioned plain state. Trials under way are left out: a restart ended their calls."""
        return {
            "version": _VERSION,
            "state": self._state,
            "calls": list(self._calls.ring),
            "epoch": self._epoch,
            "wait_s": self._wait_s,
            "until_s": self._until_s,
            "last_s": self._now(),
            "trials_given": self._trials_given,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot: an open breaker goes on waiting what is left.

        Raises:
            ValueError: the snapshot has another version.
        """
        if state.get("version") != _VERSION:
            raise ValueError(
                f"breaker {self.name}: state version {state.get('version')}, expected {_VERSION}"
            )
        self._state = state["state"]
        half_open = self._state == HALF_OPEN
        size = self.config.permitted_calls_in_half_open
        self._calls = _Calls(
            size if half_open else self.config.sliding_window_calls, state["calls"]
        )
        self._epoch = state["epoch"]
        # The configuration may have been changed between the runs: its cap holds at once.
        self._wait_s = min(state["wait_s"], self.config.wait_cap_s)
        self._last_s = state["last_s"]
        self._until_s = min(state["until_s"], self._last_s + self._wait_s)
        self._trials = {}
        self._trials_given = state["trials_given"]

    def _now(self) -> float:
        """The clock; where it was set back, deadlines move with it (what is left stays left)."""
        now = self._clock()
        if now < self._last_s:
            back = self._last_s - now
            self._until_s -= back
            self._trials = {trial: at_s - back for trial, at_s in self._trials.items()}
        self._last_s = now
        return now

    def _take_back(self, permission: Permission) -> bool:
        """Whether the permission still counts; a trial is ended by this."""
        if not permission.allowed or permission.epoch != self._epoch:
            return False
        return not permission.trial or self._trials.pop(permission.trial, None) is not None

    def _expire_trials(self, now: float) -> list[BreakerTransition]:
        late = [trial for trial, at_s in self._trials.items() if now >= at_s]
        for trial in late:
            del self._trials[trial]
            self._calls.add(True, True)
        return self._judge(now) if late else []

    def _judge(self, now: float) -> list[BreakerTransition]:
        """Open, close or stay, by the rates over enough calls."""
        config = self.config
        trying = self._state == HALF_OPEN
        enough = config.minimum_number_of_calls
        if trying:
            enough = min(enough, config.permitted_calls_in_half_open)
        if len(self._calls.ring) < enough:
            return []
        failure_rate, slow_call_rate = self._calls.rates
        if failure_rate >= config.failure_rate_threshold:
            return [self._change(OPEN, now, "failure_rate")]
        if slow_call_rate >= config.slow_call_rate_threshold:
            return [self._change(OPEN, now, "slow_call_rate")]
        return [self._change(CLOSED, now, "trials_passed")] if trying else []

    def _change(self, to: State, now: float, reason: str) -> BreakerTransition:
        config, came_from = self.config, self._state
        failure_rate, slow_call_rate = self._calls.rates
        attributes = {
            "calls": float(len(self._calls.ring)),
            "failure_rate": failure_rate,
            "slow_call_rate": slow_call_rate,
        }
        if to == OPEN:
            again = came_from == HALF_OPEN
            grown = self._wait_s * config.wait_growth if again else config.wait_duration_in_open_s
            self._wait_s = min(config.wait_cap_s, grown)
            self._until_s = now + self._wait_s
            attributes["wait_s"] = self._wait_s
        trying = to == HALF_OPEN
        size = config.permitted_calls_in_half_open if trying else config.sliding_window_calls
        self._calls = _Calls(size)
        self._trials = {}
        self._epoch += 1
        self._state = to
        return BreakerTransition(self.name, came_from, to, now, reason, attributes)
