"""Band levels of a stretch of audio as it grows, on the stream's grid of spectral frames.

Frame k is centred on sample ``HOP_SAMPLES * k`` of the stream, wherever the stretch begins, so its
level is known ``LOOK_AHEAD`` samples later: half a transform and the one frame of blur. The first
and the last frame of a stretch would look beyond its edge: they repeat their neighbour, because
an edge (zeros, or audio mirrored) sounds like a click wherever there is a hum. Frames that touch
samples filled in for missing ones repeat the frame before, for the same reason.

Invariant: a level depends on the samples alone. It does not know activity or windows.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from operators.records import BANDS, HOP_SAMPLES
from operators.segment.audio import AudioTail
from operators.spectrum import Doubles, band_powers, levels_db

LOOK_AHEAD = 2 * HOP_SAMPLES
BLOCK_FRAMES = 64
"""Frames transformed together: bounds the memory a long frame needs (about 4 MB)."""


class BandStream:
    """Levels of the frames centred within one stretch that begins at ``position``."""

    def __init__(self, position: int = 0) -> None:
        self.next_power = -(-position // HOP_SAMPLES) + 1
        self._powers: Doubles = np.zeros((0, BANDS))
        self._filled: list[tuple[int, int]] = []

    @property
    def needs(self) -> int:
        """Audio before this position is not looked at any more."""
        return (self.next_power - 1) * HOP_SAMPLES

    def fill(self, start: int, stop: int) -> None:
        """The samples from ``start`` to ``stop`` stand for missing ones."""
        self._filled.append((start, stop))

    def push(self, tail: AudioTail) -> Iterator[tuple[int, Doubles]]:
        """Levels that the audio so far completes, as (first frame, (n, BANDS) dB)."""
        while (count := tail.end // HOP_SAMPLES - self.next_power) > 0:
            count = min(count, BLOCK_FRAMES)
            first = self.next_power
            audio = tail.read((first - 1) * HOP_SAMPLES, (first + count) * HOP_SAMPLES)
            powers = self._hold(first, band_powers(audio.astype(np.float64)))
            self.next_power += count
            yield self._blur(powers)

    def flush(self, tail: AudioTail) -> Iterator[tuple[int, Doubles]]:
        """The remaining levels of a stretch that ends with the audio so far."""
        yield from self.push(tail)
        if len(self._powers):
            last = self._powers[-1:]
            inside = self.next_power * HOP_SAMPLES < tail.end
            self.next_power += 2 if inside else 1
            yield self._blur(np.concatenate((last, last)) if inside else last)

    def _blur(self, powers: Doubles) -> tuple[int, Doubles]:
        """Levels of all frames but the last, whose successor is not known yet."""
        # The first frame, and what the blur would find before it, repeat the second one.
        known = self._powers if len(self._powers) else powers[[0, 0]]
        stack = np.concatenate((known, powers))
        self._powers = stack[-2:]
        return self.next_power - len(stack) + 1, levels_db(stack)

    def _hold(self, first: int, powers: Doubles) -> Doubles:
        """Repeat the frame before in those that touch filled samples."""
        before = self._powers[-1] if len(self._powers) else powers[0]
        for start, stop in self._filled:
            for row in range(len(powers)):
                centre = (first + row) * HOP_SAMPLES
                if centre - HOP_SAMPLES < stop and start < centre + HOP_SAMPLES:
                    powers[row] = powers[row - 1] if row else before
        end = (first + len(powers) - 1) * HOP_SAMPLES
        self._filled = [span for span in self._filled if span[1] > end]
        return powers

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data."""
        return {
            "version": 1,
            "next_power": self.next_power,
            "powers": self._powers.copy(),
            "filled": [list(span) for span in self._filled],
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "BandStream":
        """The stream of levels as it was at ``snapshot``."""
        bands = cls()
        bands.next_power = state["next_power"]
        bands._powers = np.array(state["powers"])
        bands._filled = [(start, stop) for start, stop in state["filled"]]
        return bands
