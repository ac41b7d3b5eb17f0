"""Models that misbehave on purpose, and the windows to feed them."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from operators.inference import Inference, Output
from operators.records import ANALYSIS_RATE_HZ, Floats, StreamEnd, Window

DIMENSION = 4
WAIT_S = 20.0
"""Upper bound of every wait; only a failing test ever waits that long."""


class FakeClock:
    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Double:
    """Answers with a row that names its window; ``script`` may change or refuse the answer.

    ``script(call, windows, rows)`` gets the number of the call (from 0) and the good rows.
    """

    name = "double"
    space = "double-00000000-4"
    dimension = DIMENSION

    def __init__(self, script: Callable[[int, Floats, Floats], Floats] | None = None) -> None:
        self.sizes: list[int] = []
        self.rates: list[int | None] = []
        self.threads: list[threading.Thread] = []
        self.script = script

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        call = len(self.sizes)
        self.sizes.append(len(windows))
        self.rates.append(rate_hz)
        self.threads.append(threading.current_thread())
        rows = np.zeros((len(windows), DIMENSION), np.float32)
        rows[:, 0] = windows[:, 0]
        rows[:, 1] = 1.0
        return rows if self.script is None else self.script(call, windows, rows)


class Held:
    """A script that holds the given calls until they are let go."""

    def __init__(self, *calls: int) -> None:
        self.entered = {call: threading.Event() for call in calls}
        self.go = {call: threading.Event() for call in calls}

    def __call__(self, call: int, windows: Floats, rows: Floats) -> Floats:
        if call in self.go:
            self.entered[call].set()
            if not self.go[call].wait(WAIT_S):
                raise AssertionError(f"call {call} was never let go")
        return rows

    def wait_until_in(self, call: int) -> None:
        assert self.entered[call].wait(WAIT_S)

    def let_go(self, *calls: int) -> None:
        for call in calls or self.go:
            self.go[call].set()


class Lane(Inference):
    """A lane that keeps count of the credit it gave back, and drains without patience for bugs."""

    def __init__(self, model: Any, *args: Any, **kwargs: Any) -> None:
        self.paid = 0
        super().__init__(model, *args, on_done=self._count, **kwargs)

    def _count(self, windows: int) -> None:
        self.paid += windows

    def wait_until_settled(self) -> None:
        """Wait, without polling, until a call has taken effect and something can go out."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._dispatch.ready, WAIT_S)

    def wait_until_answered(self) -> None:
        """Wait until the oldest window is decided (events alone do not count)."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._dispatch.backlog.ready, WAIT_S)

    def wait_for_trials(self) -> None:
        """Wait until no model is tried, or about to be tried, beside the one that serves."""
        with self._lock:
            rungs = range(len(self.models))
            assert self._lock.wait_for(
                lambda: not self._dispatch.probing and not any(map(self._dispatch.wants, rungs)),
                WAIT_S,
            )

    def all(self) -> list[Output]:
        until_s = time.monotonic() + WAIT_S
        out = self.drain(1.0)
        while self.busy:  # the lane's own clock may be a fake that jumps
            assert time.monotonic() < until_s
            out += self.drain(1.0)
        return out


def _window(
    index: int, stream: str = "a", *, gate: str = "open", samples: int = 8, traceparent: str = ""
) -> Window:
    """A window whose first sample is its number."""
    audio = np.full(samples if gate == "open" else 0, index, np.float32)
    audio.setflags(write=False)
    position = index * ANALYSIS_RATE_HZ // 2
    return Window(
        stream=stream,
        index=position,
        start_ns=index * 500_000_000,
        samples=audio,
        duration_s=1.0,
        onset=False,
        rms_db=-20.0,
        gate=gate,  # type: ignore[arg-type]  # the tests' own literals
        delivered_ns=index,
        traceparent=traceparent,
    )


def _end(stream: str = "a", index: int = 1_000_000) -> StreamEnd:
    return StreamEnd(stream, index, 0)


@pytest.fixture(scope="session")
def window() -> Callable[..., Window]:
    return _window


@pytest.fixture(scope="session")
def end() -> Callable[..., StreamEnd]:
    return _end


@pytest.fixture(scope="session")
def double() -> type[Double]:
    return Double


@pytest.fixture(scope="session")
def held() -> type[Held]:
    return Held


@pytest.fixture(scope="session")
def lane_type() -> type[Lane]:
    return Lane


@pytest.fixture
def named() -> Callable[..., Double]:
    """Builds a model of this name that fails the calls it is told to fail."""

    def build(name: str, *, fails: Any = (), script: Any = None) -> Double:
        def own(call: int, windows: Floats, rows: Floats) -> Floats:
            if call in fails:
                raise RuntimeError("device is away")
            return rows

        model = Double(script or own)
        model.name, model.space = name, f"{name}-00000000-4"
        return model

    return build


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lane() -> Iterator[Callable[..., Lane]]:
    """Builds lanes and closes them."""
    lanes: list[Lane] = []

    def build(*args: Any, **kwargs: Any) -> Lane:
        lanes.append(Lane(*args, **kwargs))
        return lanes[-1]

    yield build
    for each in lanes:
        each.close()
