"""The rules of inference without its thread: what to call next, and what a call changes.

Invariant: at most one call is under way that still counts. Each method leaves the state whole, so
it can be saved between any two of them. Not thread-safe: its owner holds the lock.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from opentelemetry.trace import Span

from operators import tracing
from operators.breaker import OPEN, Breaker, Clock
from operators.inference import outcomes, reports
from operators.inference.backlog import Backlog, Waiting, verdict
from operators.inference.batch import Call, Rows
from operators.inference.cap import BatchCap
from operators.inference.config import InferenceConfig
from operators.inference.interface import Embedder, Item, Output
from operators.records import BreakerTransition, Failure
from operators.recovery import Diagnosis

_VERSION = 1


class Dispatch:
    """State of one lane: backlog, breaker, batch cap, the call under way, what was reported."""

    def __init__(
        self,
        model: Embedder,
        config: InferenceConfig,
        *,
        is_live: Callable[[str], bool],
        utc: Clock,
        clock: Clock,
    ) -> None:
        self.model = model
        self.config = config
        self.backlog = Backlog(model.space, config.capacity)
        self.breaker = Breaker(model.name, config.breaker, clock=utc)
        self.cap = BatchCap(config.max_batch, growth_calls=config.growth_calls)
        self.call: Call | None = None
        self.stuck = False
        self._is_live = is_live
        self._utc = utc
        self._clock = clock
        self._events: list[BreakerTransition | Failure] = []
        self._told: set[str] = set()
        self._trouble: Diagnosis | None = None
        self._abandoned = 0

    @property
    def ready(self) -> bool:
        """Whether something can go out now."""
        return self.backlog.ready or bool(self._events)

    @property
    def unfinished(self) -> bool:
        """Whether something has yet to go out."""
        return not self.backlog.empty or bool(self._events)

    def add(self, items: Iterable[Item]) -> None:
        """Take in what was submitted."""
        since_ns = self._now_ns()
        for item in items:
            self.backlog.add(item, live=self._is_live(item.stream), since_ns=since_ns)
        if self.stuck:
            self.refuse("restart_needed")

    def begin(self) -> Call | None:
        """Take the next batch; None where the breaker refuses, and then all that waits is dead."""
        permission = self.breaker.acquire()
        self._note(permission.transitions)
        if not permission.allowed:
            self._refuse_open(permission.wait_s)
            return None
        taken = self.backlog.take(self.cap.size)
        span = tracing.live_span(
            f"{tracing.BATCH} {self.model.name}",
            traceparents=(waiting.window.traceparent for waiting in taken),
            attributes={
                tracing.MODEL_NAME: self.model.name,
                tracing.BATCH_SIZE: len(taken),
                tracing.BREAKER_STATE: permission.state,
            },
        )
        self.call = Call(taken, permission, span, self._clock(), self._now_ns())
        return self.call

    def finish(
        self, call: Call, answer: Rows | Diagnosis, settled: outcomes.Settled, took_s: float
    ) -> bool:
        """Let a call that returned take effect.

        Args:
            call: as ``begin`` gave it.
            answer: what the model returned.
            settled: what becomes of its windows (not used where the batch is to be halved).
            took_s: how long it took.

        Returns:
            False for a call that was abandoned before: it changes nothing.
        """
        if call.abandoned:
            self._abandoned -= 1
            return False
        if outcomes.too_large(call, answer):
            self.cap.out_of_memory(len(call.taken))
            self.breaker.release(call.permission)
            self.backlog.put_back(call.taken)
        else:
            self._settle(settled)
            self._judge(call, answer, took_s)
        self._end(call, answer)
        return True

    def expire(self) -> bool:
        """Abandon the call under way if it is past its deadline; says whether it was."""
        call = self.call
        if call is None or (took_s := self._clock() - call.started_s) <= self.config.deadline_s:
            return False
        call.abandoned = True
        self._abandoned += 1
        diagnosis = reports.late(self.config.deadline_s)
        self._settle(outcomes.failed(call, diagnosis, self.model))
        self._judge(call, diagnosis, took_s)
        self._end(call, diagnosis)
        if self._abandoned >= self.config.max_abandoned and not self.stuck:
            self.stuck = True
            report = reports.restart_needed(
                self.model.name, call.windows[0], self._abandoned, self.config.deadline_s
            )
            self._events.append(report)
            self.refuse("restart_needed")
        return True

    def shut(self) -> None:
        """Decide all that is undecided: dead, because of the shutdown."""
        if (call := self.call) is not None:
            call.abandoned = True
            self._abandoned += 1
            self._bury(call.taken, "shutdown")
            call.span.end()
            self.call = None
        self.refuse("shutdown")

    def release(self) -> tuple[list[Output], int]:
        """What can go out now, events first, and how many open windows are among it."""
        events, self._events = self._events, []
        results, opened = self.backlog.release()
        return [*events, *results], opened

    def refuse(self, reason: str) -> None:
        """Every waiting window is dead for this reason."""
        self._bury(self.backlog.take_all(), reason)

    def save(self) -> dict[str, Any]:
        """Versioned plain state; records and arrays are shared."""
        return {
            "version": _VERSION,
            "entries": self.backlog.save(),
            "events": list(self._events),
            "breaker": self.breaker.snapshot(),
            "batch_cap": self.cap.size,
            "told": sorted(self._told),
            "trouble": asdict(self._trouble) if self._trouble else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state, on a fresh instance.

        Raises:
            ValueError: it has another version.
        """
        if state.get("version") != _VERSION:
            raise ValueError(
                f"inference {self.model.name}: state version {state.get('version')}, "
                f"expected {_VERSION}"
            )
        self.breaker.restore(state["breaker"])
        self.cap.restore(state["batch_cap"])
        self._events = list(state["events"])
        self._told = set(state["told"])
        self._trouble = Diagnosis(**state["trouble"]) if state["trouble"] else None
        self.backlog.load(state["entries"], is_live=self._is_live, since_ns=self._now_ns())

    def _bury(self, taken: Iterable[Waiting], reason: str) -> None:
        for waiting in taken:
            dead = verdict(waiting.window, self.model.space, "dead", reason)
            self.backlog.decide(waiting.entry, dead)

    def _settle(self, settled: outcomes.Settled) -> None:
        for entry, results in settled:
            self.backlog.decide(entry, *results)

    def _judge(self, call: Call, answer: Rows | Diagnosis, took_s: float) -> None:
        """Tell the breaker; a call none of whose rows can be used has failed."""
        if isinstance(answer, Diagnosis):
            ok = False
            self._trouble = answer
        else:
            ok = not all(answer.faults)
            self._trouble = self._trouble if ok else reports.unusable(len(call.taken))
            self.cap.fitted(len(call.taken))
        self._note(self.breaker.record(call.permission, took_s, ok), call.span)

    def _note(self, transitions: Iterable[BreakerTransition], span: Span | None = None) -> None:
        for transition in transitions:
            self._events.append(transition)
            if transition.to_state == OPEN:
                self._told.clear()
            if span is not None:
                tracing.mark_transition(span, transition)

    def _end(self, call: Call, answer: Rows | Diagnosis) -> None:
        if isinstance(answer, Diagnosis):
            tracing.mark_error(call.span, answer.error_class, answer.detail)
        call.span.end()
        self.call = None

    def _refuse_open(self, wait_s: float) -> None:
        """Every waiting window is dead; each stream is told once an opening."""
        for waiting in self.backlog.take_all():
            window = waiting.window
            dead = verdict(window, self.model.space, "dead", "breaker_open")
            if window.stream in self._told:
                self.backlog.decide(waiting.entry, dead)
            else:
                self._told.add(window.stream)
                report = reports.breaker_open(self.model.name, window, wait_s, self._trouble)
                self.backlog.decide(waiting.entry, report, dead)

    def _now_ns(self) -> int:
        return round(self._utc() * 1e9)
