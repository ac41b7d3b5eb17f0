import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from operators.records import (
    ANALYSIS_RATE_HZ,
    Centroid,
    Embedding,
    Occurrence,
    Pattern,
    PatternStatus,
    Relation,
)

ROOT = Path(__file__).resolve().parents[2]
SPACE = "logmel-0a1b2c3d-16"
DIMENSION = 16


class Make:
    """Records as the flow would make them."""

    space = SPACE
    dimension = DIMENSION

    @staticmethod
    def vector(seed: int) -> np.ndarray:
        vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
        return vector / np.linalg.norm(vector)

    def embedding(
        self, start_s: float, *, stream: str = "mic", seed: int | None = None, delivered_ns: int = 0
    ) -> Embedding:
        index = round(start_s * ANALYSIS_RATE_HZ)
        vector = self.vector(round(start_s * 1000) if seed is None else seed)
        start_ns = round(start_s * 1e9)
        return Embedding(
            stream, index, start_ns, 1.0, False, -20.0, SPACE, vector, delivered_ns, "00-trace"
        )

    @staticmethod
    def occurrence(
        pattern: str,
        start_s: float,
        *,
        stream: str = "mic",
        score: float = 0.9,
        long_s: float = 0.5,
    ) -> Occurrence:
        end_s, start_ns = start_s + long_s, round(start_s * 1e9)
        return Occurrence(stream, pattern, start_s, end_s, start_ns, score, end_s + 0.25, False)

    @staticmethod
    def pattern(
        pattern: str,
        *,
        stream: str = "mic",
        first_s: float = 1.0,
        last_s: float = 9.0,
        status: PatternStatus = "confirmed",
        into: str = "",
        origin_ns: int = 0,
        template: bytes = b"\x00\xff",
    ) -> Pattern:
        first_ns, last_ns = (origin_ns + round(s * 1e9) for s in (first_s, last_s))
        return Pattern(
            *(stream, pattern, "", 4, first_s, last_s, first_ns, last_ns, 0.5, status, into),
            template,
        )

    @staticmethod
    def relation(
        source: str, target: str, *, support: int = 5, withdrawn: bool = False, last_s: float = 9.0
    ) -> Relation:
        return Relation(
            *("mic", "sequential", source, target, support),
            lag_s=0.5,
            q=0.001,
            first_s=1.0,
            last_s=last_s,
            withdrawn=withdrawn,
        )

    def centroid(self, pattern: str) -> Centroid:
        return Centroid("mic", pattern, SPACE, self.vector(1), 3)


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


@pytest.fixture
def ended() -> Callable[[int], bool]:
    """Whether a process ends within ten seconds, seen by the kernel, not by polling."""

    def wait(pid: int) -> bool:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([descriptor], [], [], 10)[0])
        finally:
            os.close(descriptor)

    return wait


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], bool]:
    """Whether a condition comes true within ten seconds."""

    def wait(condition: Callable[[], object]) -> bool:
        deadline_s = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            os.sched_yield()
        return True

    return wait


@pytest.fixture
def program() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Runs Python source in a process of its own, killed at the end of the test."""
    running: list[subprocess.Popen[str]] = []

    def run(source: str, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", source, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()
