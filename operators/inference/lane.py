"""The inference operator of one model: submit windows, poll results, never wait for the model.

Batches are natural: whatever waited while the model was busy, across streams, up to a cap; an idle
model starts at once. One daemon thread calls the model. A call past its deadline is abandoned with
its thread and its windows are dead; a new thread goes on, until too many hang at once, and then
only a restart helps.

Invariant: every open window leaves exactly once, as an embedding or a verdict, in the order of
submission. Outcomes depend on the audio and the model, not on the machine's speed: only batch
composition does (and deadlines and breakers, which are there for when something is wrong). What is
in flight is part of the state. No method but ``drain`` waits.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from operators import tracing
from operators.breaker import Clock, State
from operators.inference import outcomes, reports
from operators.inference.batch import Call, Rows, attempt
from operators.inference.config import InferenceConfig
from operators.inference.dispatch import Dispatch
from operators.inference.interface import Embedder, Item, Output
from operators.recovery import Diagnosis

_TICK_S = 0.05
"""Longest sleep of ``drain`` between two looks at the deadlines."""


def _never_live(_stream: str) -> bool:
    return False


def _no_credit(_windows: int) -> None:
    return None


class Inference:
    """One model's lane.

    Args:
        model: the model; called from one thread at a time.
        config: bounds.
        is_live: whether a stream's windows may be shed; replayable sources wait for credit.
        on_done: told, on the caller's thread, how much credit was given back.
        utc: epoch seconds, for the breaker and for spans.
        clock: monotonic seconds, for durations and deadlines.
    """

    def __init__(
        self,
        model: Embedder,
        config: InferenceConfig | None = None,
        *,
        is_live: Callable[[str], bool] = _never_live,
        on_done: Callable[[int], None] = _no_credit,
        utc: Clock = time.time,
        clock: Clock = time.monotonic,
    ) -> None:
        self.model = model
        self.config = config or InferenceConfig()
        self._dispatch = Dispatch(model, self.config, is_live=is_live, utc=utc, clock=clock)
        self._on_done = on_done
        self._clock = clock
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether something is queued, in flight or ready: poll again in about 2 ms."""
        with self._lock:
            return self._dispatch.unfinished

    @property
    def needs_restart(self) -> bool:
        """Whether too many calls hang; every window is dead ("restart_needed") from then on."""
        return self._dispatch.stuck

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
    def breaker_state(self) -> State:
        """State of the breaker as last decided."""
        return self._dispatch.breaker.state

    @property
    def batch_cap(self) -> int:
        """Windows a call may hold at present."""
        return self._dispatch.cap.size

    def submit(self, items: Sequence[Item]) -> None:
        """Queue windows and ends of streams; returns at once.

        Raises:
            RuntimeError: it was closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(f"inference {self.model.name}: closed, nothing can be submitted")
            self._dispatch.add(items)
            self._wake()

    def poll(self) -> list[Output]:
        """What is ready, in order; notices a call past its deadline. Returns at once."""
        with self._lock:
            if self._dispatch.expire():
                self._thread = None
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
        """See to it that a thread works on what waits (under the lock)."""
        if not self._dispatch.backlog.waiting or self._dispatch.stuck:
            return
        if self._thread is None:
            name = f"grym-{self.model.name}"
            # A daemon: a model that hangs must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()
        self._lock.notify_all()

    def _work(self) -> None:
        """The thread: one call after the other, until closed or abandoned."""
        while (call := self._next_call()) is not None:
            with tracing.current(call.span):
                answer = attempt(self.model, call.windows)
                if not self._finish(call, answer):
                    return

    def _next_call(self) -> Call | None:
        with self._lock:
            while True:
                self._lock.wait_for(lambda: self._closed or self._dispatch.backlog.waiting)
                if self._closed:
                    return None
                if (call := self._dispatch.begin()) is not None:
                    return call
                self._lock.notify_all()

    def _finish(self, call: Call, answer: Rows | Diagnosis) -> bool:
        """Settle a call that returned; False where it had been abandoned."""
        took_s = self._clock() - call.started_s
        if took_s > self.config.deadline_s:
            # Also when nobody had noticed yet: the outcome must not depend on who looked first.
            answer = reports.late(self.config.deadline_s)
        # Records and spans are made outside the lock: the caller must not wait for them.
        settled = outcomes.settle(call, answer, self.model, took_s=took_s)
        with self._lock:
            counts = self._dispatch.finish(call, answer, settled, took_s)
            self._lock.notify_all()
        return counts
