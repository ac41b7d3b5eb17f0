import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from connectors.chunks import Chunk, Clock, RawItem, ReadOptions
from connectors.microphone import MicOptions, Microphone
from operators.records import Failure, SourceState
from tests.plugins.sound import SoundServer

RATE_HZ = 16_000
_PATIENCE_S = 30.0


class Ears:
    """Microphones that are listened to in turn, as the flow does, and what came of each."""

    def __init__(self) -> None:
        self.heard: dict[str, list[RawItem]] = defaultdict(list)
        self._open: dict[str, Microphone] = {}
        self._never = threading.Event()

    def open(
        self,
        target: str,
        name: str = "",
        options: MicOptions | None = None,
        clock: Clock | None = None,
    ) -> Microphone:
        own = {"mic": options or MicOptions(rate_hz=RATE_HZ)}
        microphone = Microphone(
            name or target, f"mic:{target}", ReadOptions(own=own, clock=clock or Clock()), None
        )
        self._open[name or target] = microphone
        return microphone

    def until(self, condition: Callable[[], object]) -> None:
        """Listen until a condition holds."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, dict(self.heard)
            for name, microphone in self._open.items():
                self.heard[name] += microphone.next()
            wait_ns = min(microphone.wait_ns for microphone in self._open.values())
            self._never.wait(wait_ns / 1e9)

    def chunks(self, name: str) -> list[Chunk]:
        return [item for item in self.heard[name] if isinstance(item, Chunk)]

    def failures(self, name: str) -> list[Failure]:
        return [item for item in self.heard[name] if isinstance(item, Failure)]

    def states(self, name: str) -> list[str]:
        return [item.state for item in self.heard[name] if isinstance(item, SourceState)]

    def samples(self, name: str) -> np.ndarray:
        """(n, channels) of all chunks, one after the other."""
        chunks = self.chunks(name)
        return np.concatenate([chunk.samples for chunk in chunks]) if chunks else np.empty((0, 1))

    def close(self) -> None:
        for microphone in self._open.values():
            microphone.close()


@pytest.fixture
def ears(sound: SoundServer) -> Iterator[Ears]:
    del sound
    listening = Ears()
    yield listening
    listening.close()


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., tuple[Path, np.ndarray]]:
    """Writes noise (16 bit, 16 kHz) after half a second of silence: the file and its samples."""

    def make(long_s: float = 2.0, channels: int = 1, seed: int = 1) -> tuple[Path, np.ndarray]:
        shape = (round(long_s * RATE_HZ), channels)
        noise = np.random.default_rng(seed).integers(-32_768, 32_767, shape, endpoint=True)
        samples = noise.astype(np.int16)
        samples[: RATE_HZ // 2] = 0
        samples[RATE_HZ // 2] = 1  # so that it is plain where the noise begins
        path = tmp_path / f"noise-{seed}.wav"
        soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
        return path, samples

    return make
