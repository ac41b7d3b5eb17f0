"""The circuit breaker against a naive reference model of its rules."""

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from operators.breaker import Breaker, Permission
from operators.records import BreakerTransition
from tests.operators.breaker.conftest import CONFIG, FakeClock


class Reference:
    """The same rules, written down naively: full history, recounted each time.

    Time is the sum of the clock's steps forward, so a clock set back needs no thought.
    """

    def __init__(self) -> None:
        self.elapsed = 0
        self.state = "closed"
        self.history: list[tuple[bool, bool]] = []
        self.trials: dict[int, int] = {}
        self.valid: set[int] = set()
        self.opened_at = 0
        self.reopenings = 0

    def enter(self, state: str) -> None:
        if state == "open":
            self.reopenings = self.reopenings + 1 if self.state == "half_open" else 0
            self.opened_at = self.elapsed
        self.state, self.history, self.trials, self.valid = state, [], {}, set()

    def wait(self) -> int:
        return min(30, 10 * 2**self.reopenings)

    def judge(self) -> None:
        if len(self.history) < 2:
            return
        last = self.history[-4:] if self.state == "closed" else self.history
        failing = sum(failed for failed, _ in last) * 2 >= len(last)
        crawling = sum(slow for _, slow in last) * 4 >= 3 * len(last)
        if failing or crawling:
            self.enter("open")
        elif self.state == "half_open":
            self.enter("closed")

    def acquire(self, ticket: int) -> bool:
        late = [t for t, at in self.trials.items() if self.elapsed - at >= 5]
        for t in late:
            del self.trials[t]
            self.valid.discard(t)
            self.history.append((True, True))
        if late:
            self.judge()
        if self.state == "open" and self.elapsed - self.opened_at >= self.wait():
            self.enter("half_open")
        if self.state == "open":
            return False
        if self.state == "half_open":
            if len(self.trials) + len(self.history) >= 2:
                return False
            self.trials[ticket] = self.elapsed
        self.valid.add(ticket)
        return True

    def report(self, ticket: int, failed: bool, slow: bool) -> None:
        if ticket in self.valid:
            self.trials.pop(ticket, None)
            if self.state == "half_open":
                self.valid.discard(ticket)
            self.history.append((failed, slow))
            self.judge()

    def trip(self, ticket: int) -> None:
        if ticket in self.valid:
            self.enter("open")

    def release(self, ticket: int) -> None:
        if self.state == "half_open":
            self.trials.pop(ticket, None)
            self.valid.discard(ticket)

    def restart(self) -> None:
        if self.state == "half_open":
            self.trials, self.valid = {}, set()


class BreakerAgainstReference(RuleBasedStateMachine):
    permissions = Bundle("permissions")

    @initialize()
    def start(self) -> None:
        self.clock = FakeClock()
        self.breaker = Breaker("m", CONFIG, clock=self.clock)
        self.reference = Reference()
        self.tickets = 0
        self.seen = "closed"

    @rule(seconds=st.integers(0, 40))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds
        self.reference.elapsed += seconds

    @rule(seconds=st.integers(1, 10_000))
    def clock_is_set_back(self, seconds: int) -> None:
        self.clock.now -= seconds

    @rule(target=permissions)
    def ask(self) -> tuple[int, Permission]:
        self.tickets += 1
        late = any(self.reference.elapsed - at >= 5 for at in self.reference.trials.values())
        expected = self.breaker.permits
        permission = self.breaker.acquire()
        assert late or permission.allowed == expected
        self.follow(list(permission.transitions))
        assert permission.allowed == self.reference.acquire(self.tickets)
        assert permission.state == self.reference.state
        return self.tickets, permission

    @rule(given=consumes(permissions), ok=st.booleans(), slow=st.booleans())
    def report(self, given: tuple[int, Permission], ok: bool, slow: bool) -> None:
        ticket, permission = given
        self.follow(self.breaker.record(permission, 2.0 if slow else 0.5, ok))
        self.reference.report(ticket, not ok, slow)

    @rule(given=consumes(permissions))
    def hang(self, given: tuple[int, Permission]) -> None:
        ticket, permission = given
        self.follow(self.breaker.trip(permission))
        self.reference.trip(ticket)

    @rule(given=consumes(permissions))
    def give_back(self, given: tuple[int, Permission]) -> None:
        ticket, permission = given
        self.breaker.release(permission)
        self.reference.release(ticket)

    @rule()
    def restart(self) -> None:
        resumed = Breaker("m", CONFIG, clock=self.clock)
        resumed.restore(json.loads(json.dumps(self.breaker.snapshot())))
        self.breaker = resumed
        self.reference.restart()

    def follow(self, transitions: list[BreakerTransition]) -> None:
        """Events form an unbroken chain of states."""
        for transition in transitions:
            assert transition.from_state == self.seen
            self.seen = transition.to_state

    @invariant()
    def both_agree(self) -> None:
        assert self.breaker.state == self.reference.state == self.seen

    @invariant()
    def the_wait_is_bounded_and_agreed(self) -> None:
        left = self.breaker.remaining_s()
        expected = 0
        if self.reference.state == "open":
            since = self.reference.elapsed - self.reference.opened_at
            expected = max(0, self.reference.wait() - since)
        assert left == expected
        assert 0 <= left <= CONFIG.wait_cap_s

    @invariant()
    def memory_is_bounded(self) -> None:
        state = self.breaker.snapshot()
        assert len(state["calls"]) <= CONFIG.sliding_window_calls


TestBreakerAgainstReference = BreakerAgainstReference.TestCase
TestBreakerAgainstReference.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
