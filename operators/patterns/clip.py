"""A remembered stretch of sound: one unassigned event, or one exemplar of a pattern.

Invariant: levels are kept in steps of half a decibel (one byte a cell; 0 = not to be compared,
because another sound accounts for the cell or nobody heard it), so a snapshot holds exactly what
the detector computes with.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.patterns.canvas import Canvas
from operators.records import Floats

STEP_DB = 0.5
CODES = 254


@dataclass(frozen=True, slots=True)
class Clip:
    """Levels around one event.

    Attributes:
        codes: (rows, BANDS) uint8; 0 = unknown, else level = top_db - (255 - code) * 0.5 dB.
        top_db: level of code 255.
        floor: (BANDS,) float32 level below which a cell was background.
        first: absolute spectral frame of row 0.
        anchor: row of the onset (of the template's row 0 for an exemplar).
        score: how well an exemplar fitted; 0 for an event.
        gain: dB of the template's loudest cell in an exemplar.
    """

    codes: NDArray[np.uint8]
    top_db: float
    floor: Floats
    first: int
    anchor: int
    origin_ns: int
    score: float = 0.0
    gain: float = 0.0

    @property
    def onset(self) -> int:
        """Absolute frame of the anchor."""
        return self.first + self.anchor

    @property
    def level(self) -> Floats:
        """(rows, BANDS) float32 dB; unknown cells read as far below everything."""
        decoded = self.top_db - (255.0 - self.codes.astype(np.float32)) * STEP_DB
        return decoded.astype(np.float32)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(rows, BANDS) cells that may be compared."""
        return self.codes > 0

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``); its arrays are shared, because they never change."""
        return {
            "codes": self.codes,
            "top_db": self.top_db,
            "floor": self.floor,
            "first": self.first,
            "anchor": self.anchor,
            "origin_ns": self.origin_ns,
            "score": self.score,
            "gain": self.gain,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Clip":
        """The clip that ``snapshot`` described."""
        return cls(
            codes=np.array(state["codes"], dtype=np.uint8),
            top_db=float(state["top_db"]),
            floor=np.array(state["floor"], dtype=np.float32),
            first=int(state["first"]),
            anchor=int(state["anchor"]),
            origin_ns=int(state["origin_ns"]),
            score=float(state["score"]),
            gain=float(state["gain"]),
        )


def cut_clip(
    canvas: Canvas,
    anchor: int,
    before: int,
    after: int,
    *,
    mask: bool,
    score: float = 0.0,
    gain: float = 0.0,
) -> Clip:
    """Remember the rows around an absolute frame.

    Args:
        canvas: where they are.
        anchor: absolute frame of the event.
        before: rows wanted before it; fewer where the canvas has fewer.
        after: rows wanted from it on.
        mask: leave out cells that accepted templates account for.
        score: of an exemplar.
        gain: of an exemplar, dB.
    """
    first = max(canvas.start, anchor - before)
    last = min(canvas.end, anchor + after)
    rows = slice(first - canvas.start, max(last, first) - canvas.start)
    level = canvas.level[rows]
    top = float(np.float32(np.ceil(level.max() / STEP_DB) * STEP_DB)) if level.size else 0.0
    codes = np.clip(np.rint(255 - (top - level) / STEP_DB), 1, 255).astype(np.uint8)
    if mask:
        codes[canvas.known[rows] > level - 6.0] = 0
    floor = canvas.floor[rows].mean(axis=0) if level.size else np.full(level.shape[1], -90.0)
    return Clip(
        codes=codes,
        top_db=top,
        floor=np.rint(floor / STEP_DB).astype(np.float32) * np.float32(STEP_DB),
        first=first,
        anchor=anchor - first,
        origin_ns=canvas.origin_ns,
        score=score,
        gain=gain,
    )
