"""Constructed band levels: sounds, the background they lie in, and the regions cut from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from operators.patterns.levels import EMPTY
from operators.patterns.template import Template
from operators.records import BANDS, Floats, Region

FLOOR_DB = -60.0


@dataclass(frozen=True)
class World:
    """Builds sounds and regions; everything from explicit seeds."""

    def sound(self, seed: int, frames: int = 24) -> Floats:
        """(frames, BANDS) dB relative to the loudest cell: a few partials with envelopes."""
        rng = np.random.default_rng(seed)
        time = np.arange(frames)[:, None]
        band = np.arange(BANDS)[None, :]
        level = np.full((frames, BANDS), -90.0)
        for _ in range(5):
            centre = rng.uniform(3, 44) + rng.uniform(-6, 6) * time / frames
            start = 0 if rng.uniform() < 0.6 else rng.integers(0, frames // 2)
            decay = rng.uniform(0.1, 12.0 / frames)
            partial = -rng.uniform(0, 9) - decay * (time - start) - 2.5 * (band - centre) ** 2 / 4
            level = np.maximum(level, np.where(time >= start, partial, -90.0))
        return (level - level.max()).astype(np.float32)

    def phrase(self, seed: int, notes: int = 6) -> Floats:
        """A sequence of different short sounds."""
        return np.concatenate([self.sound(1000 * seed + note, 10) for note in range(notes)])

    def region(
        self,
        start: int,
        placed: Sequence[tuple[int, Floats, float]],
        frames: int,
        *,
        seed: int = 0,
        onsets: Sequence[int] | None = None,
        cut: bool = False,
        floor_db: float = FLOOR_DB,
    ) -> Region:
        """A region of ``frames`` rows: sounds (row, levels, dB above the floor) in noise."""
        rng = np.random.default_rng([seed, start])
        power = 10 ** ((floor_db + rng.normal(0, 1.5, (frames, BANDS))) / 10)
        for row, levels, snr in placed:
            lo, hi = max(0, row), min(frames, row + len(levels))
            power[lo:hi] += 10 ** ((floor_db + snr + levels[lo - row : hi - row]) / 10)
        rows = [row for row, _, _ in placed if 0 <= row < frames] if onsets is None else onsets
        return Region(
            stream="s",
            start_frame=start,
            patch_db=(10 * np.log10(power)).astype(np.float32),
            floor_db=np.full(BANDS, floor_db, dtype=np.float32),
            deviation_db=np.full(BANDS, 2.0, dtype=np.float32),
            onsets=tuple(sorted({start + row for row in rows})),
            origin_ns=0,
            cut=cut,
        )

    def alone(self, at: int, levels: Floats, snr: float = 30.0, seed: int = 0) -> Region:
        """A region with one sound whose onset is at absolute frame ``at``."""
        return self.region(at - 3, [(3, levels, snr)], len(levels) + 12, seed=seed)


def template_of(levels: Floats, number: int = 0, **more: Any) -> Template:
    """A template of levels (frames, BANDS); the faintest cells are left empty."""
    return Template(
        number=number,
        pattern=f"p{number}",
        level=np.where(levels > -28, levels, EMPTY).astype(np.float32),
        floor=np.full(BANDS, -30.0, dtype=np.float32),
        lead=0,
        origin_ns=0,
        **more,
    )


@pytest.fixture(scope="session")
def world() -> World:
    return World()


Speed = Callable[[Floats, float], Floats]


@pytest.fixture(scope="session")
def stretched() -> Speed:
    """Plays levels ``tempo`` times as long."""

    def play(levels: Floats, tempo: float) -> Floats:
        rows = np.arange(round(len(levels) * tempo)) / tempo
        return levels[np.minimum(np.rint(rows).astype(int), len(levels) - 1)]

    return play
