"""The inference operator of one lane: submit windows, poll results, never wait for a model.

A lane is a ladder of models, often of one. The first whose breaker is closed embeds, in its own
vector space; the next ones stand in while it is away. Batches are natural: whatever waited while
the model was busy, across streams, up to a cap; an idle model starts at once. Each model is called
by a daemon thread of its own, started when it is first needed. A call past its deadline is
abandoned with its thread, and its windows go down the ladder; a new thread goes on, until too many
hang at once, and then only a restart helps.

Invariant: every open window leaves exactly once, as an embedding or a verdict, in the order of
submission. Outcomes depend on the audio and the models, not on the machine's speed: only batch
composition does (and deadlines and breakers, which are there for when something is wrong). What is
in flight is part of the state. No method but ``drain`` waits.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from operators import metering, tracing
from operators.breaker import Clock, State
from operators.inference import outcomes, reports
from operators.inference.batch import Call, Rows, attempt
from operators.inference.config import InferenceConfig
from operators.inference.dispatch import Dispatch
from operators.inference.interface import Embedder, Item, Output
from operators.inference.rung import RungState
from operators.recovery import Diagnosis

_TICK_S = 0.05
"""Longest sleep of ``drain`` between two looks at the deadlines."""


def _never_live(_stream: str) -> bool:
    return False


def _no_credit(_windows: int) -> None:
    return None


class Inference:
    """One lane.

    Args:
        models: one model, or the rungs of a ladder, first choice first; each is called from one
            thread at a time.
        config: bounds, of each rung alike.
        is_live: whether a stream's windows may be shed; replayable sources wait for credit.
        on_done: told, on the caller's thread, how much credit was given back.
        utc: epoch seconds, for the breakers and for spans.
        clock: monotonic seconds, for durations and deadlines.

    Attributes:
        models: the rungs.
        model: the first of them.
        name: its name, and the lane's.

    Raises:
        ValueError: there is no model, or one of them stands on two rungs.
    """

    def __init__(
        self,
        models: Embedder | Sequence[Embedder],
        config: InferenceConfig | None = None,
        *,
        is_live: Callable[[str], bool] = _never_live,
        on_done: Callable[[int], None] = _no_credit,
        utc: Clock = time.time,
        clock: Clock = time.monotonic,
    ) -> None:
        self.models = tuple(models) if isinstance(models, Sequence) else (models,)
        self.config = config or InferenceConfig()
        self._dispatch = Dispatch(self.models, self.config, is_live=is_live, utc=utc, clock=clock)
        self.model = self.models[0]
        self.name = self.model.name
        self._on_done = on_done
        self._clock = clock
        self._lock = threading.Condition()
        self._threads: list[threading.Thread | None] = [None] * len(self.models)
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether something is queued, in flight or ready: poll again in about 2 ms."""
        with self._lock:
            return self._dispatch.unfinished

    @property
    def probing(self) -> bool:
        """Whether a model is tried beside the one that serves: poll again, but wait for nothing."""
        with self._lock:
            return self._dispatch.probing

    @property
    def needs_restart(self) -> bool:
        """Whether too many calls of a model hang; it is not called again in this process."""
        return bool(self.hanging)

    @property
    def hanging(self) -> str:
        """Name of the first such model; "" where there is none."""
        return self._dispatch.ladder.hanging

    @property
    def open_windows(self) -> int:
        """Open windows that came in and have not gone out and hold credit (live ones do not)."""
        return self._dispatch.backlog.open_windows

    @property
    def windows(self) -> int:
        """Windows, gated ones included, that came in and have not gone out."""
        return self._dispatch.backlog.windows

    @property
    def queue_depth(self) -> int:
        """Open windows that wait for a call."""
        return self._dispatch.backlog.waiting

    @property
    def serving(self) -> str:
        """Name of the model that serves; "" while no breaker is closed."""
        return self._dispatch.ladder.serving

    @property
    def rungs(self) -> tuple[RungState, ...]:
        """How each model is doing, first choice first."""
        with self._lock:
            return self._dispatch.states

    @property
    def breaker_state(self) -> State:
        """State of the first model's breaker as last decided."""
        return self._dispatch.ladder.rungs[0].breaker.state

    @property
    def batch_cap(self) -> int:
        """Windows a call of the first model may hold at present."""
        return self._dispatch.ladder.rungs[0].cap.size

    def submit(self, items: Sequence[Item]) -> None:
        """Queue windows and ends of streams; returns at once.

        Raises:
            RuntimeError: it was closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(f"inference {self.name}: closed, nothing can be submitted")
            self._dispatch.add(items)
            self._wake()

    def poll(self) -> list[Output]:
        """What is ready, in order; notices a call past its deadline. Returns at once."""
        with self._lock:
            for number in self._dispatch.expire():
                self._threads[number] = None
                self._wake()
            out, opened = self._dispatch.release()
        return self._pay(out, opened)

    def drain(self, timeout_s: float) -> list[Output]:
        """Wait until everything that was submitted has gone out, at most ``timeout_s``.

        What is still missing then stays queued (``busy`` says so).
        """
        until_s = self._clock() + timeout_s
        out = self.poll()
        while self.busy and (left_s := until_s - self._clock()) > 0.0:
            with self._lock:
                self._lock.wait_for(lambda: self._dispatch.ready, min(_TICK_S, left_s))
            out += self.poll()
        return out

    def close(self) -> list[Output]:
        """Stop for good. What is undecided is dead ("shutdown") and goes out with what is ready.

        Where those windows shall be embedded after a restart instead, take the snapshot first
        and discard what this returns.
        """
        with self._lock:
            self._closed = True
            self._dispatch.shut()
            self._lock.notify_all()
            out, opened = self._dispatch.release()
        return self._pay(out, opened)

    def snapshot(self) -> dict[str, Any]:
        """Versioned plain state: all that has not gone out, in flight included.

        Records and arrays are shared, not copied.
        """
        with self._lock:
            return self._dispatch.save()

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot, on a fresh instance; what was in flight is called again.

        The flow takes credit again for ``open_windows`` of them.

        Raises:
            ValueError: the snapshot has another version.
        """
        with self._lock:
            self._dispatch.load(state)
            self._wake()

    def _pay(self, out: list[Output], opened: int) -> list[Output]:
        if opened:
            self._on_done(opened)
        return out

    def _wake(self) -> None:
        """See to it that threads work on what waits (under the lock)."""
        for number, model in enumerate(self.models):
            if self._threads[number] is None and self._dispatch.wants(number):
                # A daemon: a model that hangs must not keep the process from ending.
                thread = threading.Thread(
                    target=self._work, args=(number,), name=f"grym-{model.name}", daemon=True
                )
                self._threads[number] = thread
                thread.start()
        self._lock.notify_all()

    def _work(self, number: int) -> None:
        """A rung's thread: one call after the other, until closed or abandoned."""
        model = self.models[number]
        while (call := self._next_call(number)) is not None:
            with tracing.current(call.span):
                answer = attempt(model, call.windows)
                if not self._finish(call, answer, model):
                    return

    def _next_call(self, number: int) -> Call | None:
        with self._lock:
            self._lock.wait_for(lambda: self._closed or self._dispatch.wants(number))
            if self._closed:
                return None
            call = self._dispatch.begin(number)
            self._wake()  # other rungs may have something to do by this
            return call

    def _finish(self, call: Call, answer: Rows | Diagnosis, model: Embedder) -> bool:
        """Settle a call that returned; False where it had been abandoned."""
        with self._lock:
            if not self._dispatch.claim(call):
                self._wake()
                return False
        took_s = self._clock() - call.started_s
        if took_s > self.config.deadline_s:
            # Also when nobody had noticed yet: the outcome must not depend on who looked first.
            answer = reports.late(self.config.deadline_s)
        # Records, spans and metrics are made outside the lock: the caller must not wait for them.
        metering.record(metering.BATCH_SIZE, len(call.taken), {"model": model.name})
        metering.record(metering.STAGE_DURATION, took_s, {"stage": "infer", "model": model.name})
        outcomes.trace_failure(call, answer, model.name)
        fates = outcomes.settle(call, answer, model, took_s=took_s)
        with self._lock:
            counts = self._dispatch.finish(call, answer, fates, took_s)
            self._wake()
        return counts
