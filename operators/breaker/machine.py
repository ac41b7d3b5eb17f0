"""A circuit breaker as a pure state model: closed, open, half-open; every change is an event.

Terms and rules are those of resilience4j's CircuitBreaker with a count-based sliding window
(https://resilience4j.readme.io/docs/circuitbreaker), with four departures. A permission
belongs to the state that gave it: what a call reports after the state has changed is ignored
rather than held against the new state. A trial that never reports counts as failed after
``trial_timeout_s``, so that a half-open breaker cannot be wedged. The wait may grow with each
reopening. And a call whose failure cannot be waited out, such as one that hangs, may ``trip`` it:
then it opens whatever the counts say.

Time is UTC in epoch seconds, because a wait must survive a restart and monotonic clocks do not.
Invariant: what is left to wait never exceeds the configured wait, and a clock set back does not
lengthen it. The breaker calls nothing and starts no thread; it is not thread-safe.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from operators.breaker.config import BreakerConfig
from operators.records import BreakerTransition

Clock: TypeAlias = Callable[[], float]
State: TypeAlias = Literal["closed", "open", "half_open"]
STATES: Final[tuple[State, ...]] = get_args(State)

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half_open"
_VERSION = 1


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

    @property
    def permits(self) -> bool:
        """Whether ``acquire`` gives leave now (trials that are out may yet report); pure."""
        if self._state == HALF_OPEN:
            return self._trial_left
        return self._state == CLOSED or self.remaining_s() <= 0.0

    def acquire(self) -> Permission:
        """Ask for leave to make a call now."""
        now = self._now()
        transitions = self._expire_trials(now)
        if self._state == OPEN and now >= self._until_s:
            transitions.append(self._change(HALF_OPEN, now, "wait_elapsed"))
        allowed, trial, wait_s = self._state == CLOSED, 0, 0.0
        if self._state == OPEN:
            wait_s = self._until_s - now
        elif self._state == HALF_OPEN and (allowed := self._trial_left):
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

    def trip(self, permission: Permission, reason: str = "timeout") -> list[BreakerTransition]:
        """Report a permitted call that hangs: open at once, also from half-open.

        Args:
            permission: what ``acquire`` gave; ignored where ``record`` would ignore it.
            reason: of the transition.

        Returns:
            The change of state: none or one.
        """
        now = self._now()
        if not self._take_back(permission):
            return []
        self._calls.add(True, True)
        return [self._change(OPEN, now, reason)]

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
        calls = state["calls"]
        if self._state == HALF_OPEN and len(calls) >= self._enough:
            calls = []  # fewer trials are asked for than before: they would never be judged
        self._calls = _Calls(self._size, calls)
        self._epoch = state["epoch"]
        # The configuration may have been changed between the runs: its cap holds at once.
        self._wait_s = min(state["wait_s"], self.config.wait_cap_s)
        self._last_s = state["last_s"]
        self._until_s = min(state["until_s"], self._last_s + self._wait_s)
        self._trials = {}
        self._trials_given = state["trials_given"]

    @property
    def _size(self) -> int:
        """How many calls the present state keeps."""
        trying = self._state == HALF_OPEN
        config = self.config
        return config.permitted_calls_in_half_open if trying else config.sliding_window_calls

    @property
    def _enough(self) -> int:
        """How many calls the present state is judged by."""
        return min(self.config.minimum_number_of_calls, self._size)

    @property
    def _trial_left(self) -> bool:
        return len(self._trials) + len(self._calls.ring) < self._size

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
        if len(self._calls.ring) < self._enough:
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
        self._state = to
        self._calls = _Calls(self._size)
        self._trials = {}
        self._epoch += 1
        return BreakerTransition(self.name, came_from, to, now, reason, attributes)
