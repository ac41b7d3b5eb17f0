import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from operators.describing import DescribeConfig, Describing, Item, Output
from operators.records import (
    ANALYSIS_RATE_HZ,
    BreakerTransition,
    Failure,
    Floats,
    Frame,
    Occurrence,
    Pattern,
    PatternStatus,
)
from operators.remarks import Description

RATE = ANALYSIS_RATE_HZ


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Model:
    """A describer that does what the test asks of it."""

    name = "teller"
    longest_s = 10.0

    def __init__(self) -> None:
        self.heard: list[Floats] = []
        self.say: Callable[[Floats], str] = lambda clip: f"{len(clip)} samples"
        self.entered = threading.Semaphore(0)
        self.released = threading.Event()
        self.released.set()

    def describe(self, clip: Floats, rate_hz: int | None = None) -> str:
        assert rate_hz == RATE
        self.heard.append(clip)
        self.entered.release()
        assert self.released.wait(30)
        return self.say(clip)


class Lane:
    """A lane with everything around it."""

    def __init__(self, model: Model | None, options: dict[str, Any]) -> None:
        known = {k: options.pop(k) for k in ("keep", "is_speech") if k in options}
        self.model = model
        self.clock, self.utc = Clock(), Clock()
        self.lane = Describing(
            model, DescribeConfig(**options), **known, utc=self.utc, clock=self.clock
        )

    def submit(self, *items: Item) -> None:
        self.lane.submit(items)

    def settle(self) -> list[Output]:
        """Everything that comes out until nothing can be begun (real time does not matter)."""
        out = self.lane.poll()
        while self.lane.busy:
            for desk in self.lane._desks:
                if desk.slot._call is not None:
                    assert desk.slot._call.finished.wait(30)
            out += self.lane.poll()
        return out


def texts(out: list[Output]) -> list[tuple[str, str]]:
    return [(o.pattern, o.text) for o in out if isinstance(o, Description)]


def reasons(out: list[Output]) -> list[str]:
    return [o.reason for o in out if isinstance(o, Failure)]


def changes(out: list[Output]) -> list[str]:
    return [o.to_state for o in out if isinstance(o, BreakerTransition)]


def frames(seconds: float, *, stream: str = "mic", start_s: float = 0.0) -> list[Frame]:
    """Audio whose samples count their positions, so that a cut can be recognised."""
    first, count = round(start_s * RATE), round(seconds * RATE)
    size = RATE // 10
    out = []
    for at in range(first, first + count, size):
        positions = np.arange(at, min(at + size, first + count))
        samples = ((positions % 32_768) / 32_768).astype(np.float32)
        out.append(Frame(stream, at, samples, 0))
    return out


def occurrence(
    pattern: str,
    start_s: float,
    *,
    stream: str = "mic",
    long_s: float = 0.5,
    backfilled: bool = False,
) -> Occurrence:
    return Occurrence(
        *(stream, pattern, start_s, start_s + long_s, round(start_s * 1e9), 0.9),
        start_s + long_s,
        backfilled,
    )


def pattern(
    name: str, status: PatternStatus = "confirmed", *, into: str = "", stream: str = "mic"
) -> Pattern:
    return Pattern(stream, name, "P1", 3, 0.0, 1.0, 0, 10**9, 0.5, status, into)


@pytest.fixture
def make() -> Iterator[Callable[..., Lane]]:
    """Makes a lane; every model is let go at the end."""
    models: list[Model] = []

    def made(model: Model | None = None, *, modelless: bool = False, **options: Any) -> Lane:
        model = None if modelless else model or Model()
        if model is not None:
            models.append(model)
        return Lane(model, options)

    yield made
    for model in models:
        model.released.set()
