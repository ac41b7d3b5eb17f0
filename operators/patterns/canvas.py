"""The stretch of sound under decision: the ring of frames a detector looks at.

Regions that were cut by force are joined here, so that a sound that runs across the cut is seen
whole. A canvas also knows which cells accepted templates already account for.

Invariant: at most ``ring_frames`` rows; what leaves at the front was decided.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.records import BANDS, Floats, Region

NOTHING = -200.0
"""Level of a cell that no accepted template accounts for."""
LOUDEST_DB = 40.0


def finite(levels: Floats, instead: float) -> Floats:
    """Levels as float32 within a sane range, whatever was handed over."""
    clean = np.nan_to_num(np.asarray(levels, dtype=np.float32), nan=instead, posinf=90, neginf=-120)
    return np.clip(clean, -120, 90).astype(np.float32)


@dataclass(slots=True)
class Canvas:
    """Rows of band levels with what is known about them.

    Attributes:
        start: absolute spectral frame of row 0.
        level, floor, noise: (rows, BANDS) dB; ``noise`` = level below which a cell is background.
        known: (rows, BANDS) dB that accepted templates predict, NOTHING elsewhere.
        onsets: absolute frames still to be decided.
        due: absolute frame up to which everything was decided.
        open: the sound goes on in the next region.
    """

    start: int
    level: Floats
    floor: Floats
    noise: Floats
    known: Floats
    onsets: list[int]
    due: int
    open: bool
    origin_ns: int

    @property
    def end(self) -> int:
        """Absolute frame just after the last row."""
        return self.start + len(self.level)

    def continued_by(self, region: Region) -> bool:
        """Whether the region is the rest of the sound that was cut here."""
        return (
            self.open
            and region.origin_ns == self.origin_ns
            and self.start < region.start_frame <= self.end
            and region.start_frame + len(region.patch_db) > self.end
        )

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``)."""
        return {
            "start": self.start,
            "level": self.level.copy(),
            "floor": self.floor.copy(),
            "noise": self.noise.copy(),
            "known": self.known.copy(),
            "onsets": list(self.onsets),
            "due": self.due,
            "open": self.open,
            "origin_ns": self.origin_ns,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Canvas":
        """The canvas that ``snapshot`` described."""
        arrays = {
            k: np.array(state[k], dtype=np.float32) for k in ("level", "floor", "noise", "known")
        }
        return cls(
            start=int(state["start"]),
            onsets=[int(o) for o in state["onsets"]],
            due=int(state["due"]),
            open=bool(state["open"]),
            origin_ns=int(state["origin_ns"]),
            **arrays,
        )


def from_region(region: Region, rows_max: int) -> Canvas:
    """A canvas of one region; a patch of odd width is refused by giving no rows.

    Args:
        region: what the segmenter delivered; values may be anything.
        rows_max: rows beyond this are left out (a segmenter cuts long before).
    """
    patch = np.asarray(region.patch_db)
    if patch.ndim != 2 or patch.shape[1] != BANDS:
        patch = np.zeros((0, BANDS), dtype=np.float32)
    level = finite(patch[:rows_max], -90.0)
    floor = finite(np.broadcast_to(region.floor_db, (BANDS,)), -90.0)
    spread = np.clip(finite(np.broadcast_to(region.deviation_db, (BANDS,)), 3.0), 1.5, 9.0)
    shape = level.shape
    onsets = sorted({int(o) for o in region.onsets})
    return Canvas(
        start=int(region.start_frame),
        level=level,
        floor=np.broadcast_to(floor, shape).astype(np.float32),
        noise=np.broadcast_to(floor + np.maximum(3.0, 1.5 * spread), shape).astype(np.float32),
        known=np.full(shape, NOTHING, dtype=np.float32),
        onsets=[o for o in onsets if region.start_frame <= o < region.start_frame + shape[0]],
        due=int(region.start_frame),
        open=region.cut,
        origin_ns=region.origin_ns,
    )


def joined(canvas: Canvas, more: Canvas, rows_max: int) -> Canvas:
    """The canvas followed by the rows of ``more`` it did not have, shortened at the front."""
    new = canvas.end - more.start

    def rows(a: Floats, b: Floats) -> Floats:
        return np.concatenate([a, b[new:]])[-rows_max:]

    level = rows(canvas.level, more.level)
    start = more.end - len(level)
    onsets = sorted({*canvas.onsets, *(o for o in more.onsets if o >= canvas.end)})
    return Canvas(
        start=start,
        level=level,
        floor=rows(canvas.floor, more.floor),
        noise=rows(canvas.noise, more.noise),
        known=rows(canvas.known, more.known),
        onsets=[o for o in onsets if o >= start],
        due=max(canvas.due, start),
        open=more.open,
        origin_ns=canvas.origin_ns,
    )


@dataclass(frozen=True, slots=True)
class View:
    """A canvas with quiet rows on both sides, so that every index a match needs exists.

    Rows outside are background when the sound has ended, unseen while it goes on. A sound with a
    pause may go on after the end of its region, too: ``so_far`` are the rows seen by now.
    """

    level: Floats
    floor: Floats
    noise: Floats
    known: Floats
    seen: NDArray[np.bool_]
    so_far: NDArray[np.bool_]
    pad: int

    @classmethod
    def of(cls, canvas: Canvas, pad: int, *, followed: bool = True) -> "View":
        """The padded view of a non-empty canvas; ``followed``: what comes after it is known."""
        floor = _padded(canvas.floor, pad)
        level = floor.copy()
        level[pad:-pad] = canvas.level
        known = np.full_like(floor, NOTHING)
        known[pad:-pad] = canvas.known
        seen = np.ones(len(floor), dtype=np.bool_)
        seen[-pad:] = not canvas.open
        so_far = seen.copy()
        so_far[-pad:] &= followed
        return cls(
            level=level,
            floor=floor,
            noise=_padded(canvas.noise, pad),
            known=known,
            seen=seen,
            so_far=so_far,
            pad=pad,
        )


def _padded(rows: Floats, pad: int) -> Floats:
    """The first and the last row repeated ``pad`` times."""
    padded = np.empty((len(rows) + 2 * pad, rows.shape[1]), dtype=rows.dtype)
    padded[:pad], padded[pad:-pad], padded[-pad:] = rows[0], rows, rows[-1]
    return padded
