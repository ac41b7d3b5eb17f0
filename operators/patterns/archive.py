"""The last minutes of activity, one byte a cell, for looking back when a sound is new.

A sound is known from its second occurrence at the earliest, often later, when others covered it.
What was heard before is searched again whenever a template is founded or has become better.

Invariant: at most ``archive_frames`` rows, the oldest go first; silence takes no room. Which
cells were accounted for is kept with them, so that nothing is explained twice.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.patterns.canvas import NOTHING, Canvas, View
from operators.patterns.propose import print_rows
from operators.patterns.residue import NEAR_DB, pooled_usable
from operators.patterns.template import PRINT_BANDS, PRINT_FRAMES
from operators.records import BANDS, Floats

STEP_DB = 0.5
GAP = np.zeros((PRINT_FRAMES, PRINT_BANDS), dtype=np.float32)


@dataclass(slots=True)
class Span:
    """One decided stretch of activity.

    Attributes:
        start: absolute frame of row 0.
        codes: (rows, BANDS) uint8, level = top_db - (255 - code) / 2.
        floor, noise: (BANDS,) float32 dB.
        explained: (rows, BANDS) cells accounted for.
        onsets: absolute frames.
        prints, usable: (rows, PRINT_BANDS) derived.
    """

    start: int
    codes: NDArray[np.uint8]
    top_db: float
    floor: Floats
    noise: Floats
    explained: NDArray[np.bool_]
    onsets: list[int]
    origin_ns: int
    prints: Floats = field(init=False)
    usable: Floats = field(init=False)
    _plain: dict[str, Any] | None = field(init=False, default=None, repr=False)
    _plain_of: NDArray[np.bool_] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        level = self.level
        self.prints = print_rows(level, np.broadcast_to(self.floor, level.shape))
        self.usable = pooled_usable(self.explained)

    @property
    def end(self) -> int:
        """Absolute frame just after the last row."""
        return self.start + len(self.codes)

    @property
    def level(self) -> Floats:
        """(rows, BANDS) dB."""
        return self.decoded(slice(None))

    def decoded(self, rows: slice) -> Floats:
        """Levels of some rows in dB."""
        decoded = self.top_db - (255.0 - self.codes[rows].astype(np.float32)) * STEP_DB
        return decoded.astype(np.float32)

    def view(self, pad: int) -> View:
        """Padded view; what is accounted for counts as known at its own level."""
        return View.of(self.canvas(), pad, followed=False)

    def canvas(self) -> Canvas:
        """The rows as a canvas; what is accounted for counts as known at its own level."""
        level = self.level
        shape = level.shape
        return Canvas(
            start=self.start,
            level=level,
            floor=np.broadcast_to(self.floor, shape).astype(np.float32),
            noise=np.broadcast_to(self.noise, shape).astype(np.float32),
            known=np.where(self.explained, level, NOTHING).astype(np.float32),
            onsets=self.onsets,
            due=self.start,
            open=False,
            origin_ns=self.origin_ns,
        )

    def claim(self, row: int, claims: NDArray[np.bool_]) -> None:
        """Mark cells from ``row`` on (may lie partly outside) as accounted for."""
        first, last = max(0, row), min(len(self.codes), row + len(claims))
        # A snapshot may share what was there before.
        explained = self.explained.copy()
        explained[first:last] |= claims[first - row : last - row]
        self.account(explained)

    def account(self, explained: NDArray[np.bool_]) -> None:
        """From now on these cells (rows, BANDS) are accounted for."""
        self.explained = explained
        self.usable = pooled_usable(explained)

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``), to be read only: made anew only when ``explained`` is."""
        if self._plain is None or self._plain_of is not self.explained:
            self._plain_of = self.explained
            self._plain = {
                "start": self.start,
                "codes": self.codes,
                "top_db": self.top_db,
                "floor": self.floor,
                "noise": self.noise,
                "explained": np.packbits(self.explained, axis=1),
                "onsets": self.onsets,
                "origin_ns": self.origin_ns,
            }
        return self._plain

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Span":
        """The span that ``snapshot`` described."""
        return cls(
            start=int(state["start"]),
            codes=np.array(state["codes"], dtype=np.uint8),
            top_db=float(state["top_db"]),
            floor=np.array(state["floor"], dtype=np.float32),
            noise=np.array(state["noise"], dtype=np.float32),
            explained=np.unpackbits(state["explained"], axis=1, count=BANDS).astype(np.bool_),
            onsets=[int(o) for o in state["onsets"]],
            origin_ns=int(state["origin_ns"]),
        )


def span_of(canvas: Canvas, first: int, last: int) -> Span:
    """Remember the rows [first, last) (absolute frames) of a canvas; at least one."""
    rows = slice(first - canvas.start, last - canvas.start)
    level = canvas.level[rows]
    top = float(np.float32(np.ceil(level.max() / STEP_DB) * STEP_DB))
    return Span(
        start=first,
        codes=np.clip(np.rint(255 - (top - level) / STEP_DB), 0, 255).astype(np.uint8),
        top_db=top,
        floor=canvas.floor[rows].mean(axis=0),
        noise=canvas.noise[rows].mean(axis=0),
        explained=canvas.known[rows] > level - NEAR_DB,
        onsets=[o for o in canvas.onsets if first <= o < last],
        origin_ns=canvas.origin_ns,
    )


@dataclass(slots=True)
class Archive:
    """The spans, oldest first."""

    frames_max: int
    spans: list[Span] = field(default_factory=list)
    whole: bool = True
    """Nothing was let go of yet."""

    def add(self, span: Span) -> None:
        """Append one; the oldest go where the bound is reached."""
        self.spans.append(span)
        total = sum(len(s.codes) for s in self.spans)
        while total > self.frames_max and len(self.spans) > 1:
            total -= len(self.spans.pop(0).codes)
            self.whole = False

    def latest(self, frame: int, rows: int, least: int) -> int | None:
        """Where the latest spans begin; None if there are none.

        Args:
            frame: those from this absolute frame on,
            rows: which hold so many rows at most,
            least: but in any case those from this absolute frame on.
        """
        first, total = None, 0
        for span in reversed(self.spans):
            total += len(span.codes)
            if span.start < frame or (total > rows and span.start < least):
                break
            first = span.start
        return first

    def between(self, first: int, last: int, origin_ns: int) -> list[Span]:
        """The spans that hold some of the rows [first, last), oldest first."""
        end = bisect_left(self.spans, last, key=lambda span: span.start)
        at = end
        while at and self.spans[at - 1].end > first:
            at -= 1
        return [span for span in self.spans[at:end] if span.origin_ns == origin_ns]

    def excerpt(self, first: int, last: int, origin_ns: int) -> Canvas | None:
        """The rows [first, last) (absolute frames) as they sounded, nothing accounted for.

        Silence between spans is filled with the background of the span before it. None if nothing
        is remembered there.
        """
        spans = self.between(first, last, origin_ns)
        if not spans:
            return None
        shape = (last - first, BANDS)
        floor = np.broadcast_to(spans[0].floor, shape).astype(np.float32)
        noise = np.broadcast_to(spans[0].noise, shape).astype(np.float32)
        level = floor.copy()
        for span, until in zip(spans, [*(s.start for s in spans[1:]), last], strict=True):
            lo, hi = max(first, span.start), min(last, span.end)
            rows = slice(lo - first, max(lo, until) - first)
            level[rows], floor[rows], noise[rows] = span.floor, span.floor, span.noise
            level[lo - first : hi - first] = span.decoded(slice(lo - span.start, hi - span.start))
        return Canvas(
            start=first,
            level=level,
            floor=floor,
            noise=noise,
            known=np.full(shape, NOTHING, dtype=np.float32),
            onsets=[],
            due=first,
            open=False,
            origin_ns=origin_ns,
        )

    def explain(self, first: int, expected: Floats, origin_ns: int) -> None:
        """Mark what a sound accounts for.

        Args:
            first: absolute frame of its first row.
            expected: (rows, BANDS) its level, far below everything where it has none.
            origin_ns: of the stream it was heard in.
        """
        for span in self.between(first, first + len(expected), origin_ns):
            row = first - span.start
            lo, hi = max(0, row), min(len(span.codes), row + len(expected))
            claims = expected[lo - row : hi - row] > span.level[lo:hi] - NEAR_DB
            span.claim(lo, claims)

    def cosines(self, print_: Floats, mask: Floats, least: float) -> tuple[Floats, list[int]]:
        """Masked cosine of one fingerprint at every row of all spans, laid end to end.

        Args:
            print_: (PRINT_FRAMES * PRINT_BANDS,).
            mask: its cells that are compared, 1 or 0.
            least: share of the fingerprint that must be comparable.

        Returns:
            (rows,) float32 with gaps of PRINT_FRAMES zero rows, and where each span begins in it.
        """
        rows = np.concatenate([part for s in self.spans for part in (s.prints, GAP)] + [GAP])
        usable = np.concatenate([part for s in self.spans for part in (s.usable, GAP + 1)] + [GAP])
        lengths = [len(s.codes) + PRINT_FRAMES for s in self.spans]
        starts = [0, *np.cumsum(lengths).tolist()][: len(self.spans)]
        seen = (rows * usable).T
        shaped, shaped_mask = (a.reshape(PRINT_FRAMES, PRINT_BANDS) for a in (print_, mask))
        dot = _along(shaped, seen)
        energy = _along(shaped_mask, seen * seen)
        own = _along(shaped * shaped, usable.T)
        whole = float((print_ * print_).sum())
        cosine = dot / np.sqrt(np.maximum(energy * own, 1e-6))
        enough = np.where(own >= least * whole, cosine, 0).astype(np.float32)
        return np.asarray(np.round(enough, 4)), starts

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``)."""
        return {"whole": self.whole, "spans": [span.snapshot() for span in self.spans]}

    @classmethod
    def restore(cls, state: dict[str, Any], frames_max: int) -> "Archive":
        """The archive that ``snapshot`` described."""
        return cls(frames_max, [Span.restore(span) for span in state["spans"]], state["whole"])


def _along(print_: Floats, rows: Floats) -> Floats:
    """Sum of products of (PRINT_FRAMES, bands) with as many of the (bands, n) rows from each on."""
    products = print_ @ rows
    n = rows.shape[1] - PRINT_FRAMES
    total = np.zeros(n, dtype=np.float32)
    for f in range(PRINT_FRAMES):
        total += products[f, f : f + n]
    return total
