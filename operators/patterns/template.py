"""The spectral template of one recurring sound and what a comparison needs of it.

A template holds levels relative to its loudest cell. A cell in which the sound was never audible
is EMPTY: it predicts nothing, so noise or another sound there is no evidence against the match
(that is left to the explained share).

Invariant: levels are float16 numbers, so that a snapshot holds exactly what matching uses; all
derived arrays are functions of ``level`` and ``floor`` alone.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.patterns.clip import Clip
from operators.patterns.levels import EMPTY, half, loudness_weight
from operators.patterns.pitch import SPEEDS, played, tonal
from operators.records import BANDS, FRAME_S, HOP_SAMPLES, Floats, PatternStatus

PRINT_FRAMES = 24
PRINT_BANDS = 24
TEMPI = (1.0, 0.95, 1.05)
TEMPO_FROM_FRAMES = 20
COARSE_CELLS = 160
SILENT_WEIGHT = 0.5
"""A row whose cells weigh less than this together is silent."""
QUIET_FRAMES = 14
"""A sound silent for longer (0.3 s) pauses; activity, and its region, have ended by then."""
RECENT = 32
PLAIN = (
    "number", "pattern", "lead", "origin_ns", "tail", "count", "score_sum", "first_sample",
    "last_sample", "salience", "touched", "refits", "status", "turn", "apart",
)  # fmt: skip


def fingerprint(height: Floats) -> Floats:
    """(PRINT_FRAMES * PRINT_BANDS,) square root of dB above floor of the first frames.

    Args:
        height: (frames, BANDS) dB above the floor, from the template's first row on.
    """
    rows = np.zeros((PRINT_FRAMES, BANDS), dtype=np.float32)
    rows[: len(height)] = np.sqrt(np.clip(height[:PRINT_FRAMES], 0, 40))
    pooled = rows.reshape(PRINT_FRAMES, PRINT_BANDS, 2).mean(axis=2)
    return np.asarray(pooled.reshape(-1))


@cache
def tempo_rows(frames: int, tempo: float) -> NDArray[np.intp]:
    """Template row that each observed row corresponds to when played ``tempo`` times as long.

    Kept for every length and tempo there can be; to be read only.
    """
    stretched = max(1, round(frames * tempo))
    return np.minimum(np.rint(np.arange(stretched) / tempo), frames - 1).astype(np.intp)


@dataclass(frozen=True, slots=True)
class Shape:
    """Derived arrays of a template.

    Attributes:
        level: (T, BANDS) dB that they are derived from.
        weight: (T, BANDS), 0 where empty.
        density: share of cells that are not empty.
        print_, print_mask: fingerprint and the cells of it that are compared.
        coarse_row, coarse_band, coarse_level, coarse_weight: up to COARSE_CELLS loud cells.
        paused: it falls silent and goes on, perhaps in the next region.
    """

    level: Floats
    weight: Floats
    density: float
    print_: Floats
    print_mask: Floats
    coarse_row: NDArray[np.intp]
    coarse_band: NDArray[np.intp]
    coarse_level: Floats
    coarse_weight: Floats
    paused: bool

    @classmethod
    def of(cls, level: Floats, floor: Floats) -> "Shape":
        """Derive the arrays from levels (T, BANDS) and the floor (BANDS,), relative dB."""
        audible = level > EMPTY + 5
        weight = np.where(audible, loudness_weight(level), 0).astype(np.float32)
        height = np.where(audible, level - np.maximum(floor, -45.0), 0)
        print_ = fingerprint(height.astype(np.float32))
        mask = (print_ > 1.0).astype(np.float32)
        sounding = np.flatnonzero(weight.sum(axis=1) >= SILENT_WEIGHT)
        rows, bands = np.nonzero(weight > 0.1)
        if len(rows) > COARSE_CELLS:
            chosen = np.linspace(0, len(rows) - 1, COARSE_CELLS).astype(np.intp)
            rows, bands = rows[chosen], bands[chosen]
        spare = COARSE_CELLS - len(rows)
        return cls(
            level=level,
            weight=weight,
            density=float(audible.mean()) if level.size else 1.0,
            print_=print_ * mask,
            print_mask=mask,
            coarse_row=np.pad(rows, (0, spare)),
            coarse_band=np.pad(bands, (0, spare)),
            coarse_level=np.pad(level[rows, bands], (0, spare)).astype(np.float32),
            coarse_weight=np.pad(weight[rows, bands], (0, spare)).astype(np.float32),
            paused=bool((np.diff(sounding) > QUIET_FRAMES).any()),
        )


def _normalised(level: Floats, floor: Floats) -> tuple[Floats, Floats]:
    """Both relative to the loudest cell, rounded."""
    peak = float(level.max()) if level.size else 0.0
    level = np.where(level > EMPTY + 5, level - peak, EMPTY).astype(np.float32)
    return half(level), half((floor - peak).astype(np.float32))


@dataclass(slots=True)
class Template:
    """One recurring sound.

    Attributes:
        number: order of birth; ``pattern`` its id.
        level: (T, BANDS) dB relative to the loudest cell.
        floor: (BANDS,) mean background in the same units.
        lead: rows before the onset.
        tail: how much sound usually goes on after the end (0-1).
        count: occurrences.
        score_sum: sum of their acceptances.
        first_sample, last_sample: starts of the first and the latest occurrence.
        salience: seconds of sound explained, halved every six hours since ``touched`` (frame).
        refits: how often it was rebuilt from its exemplars.
        turn: how many of the planned refits are behind it.
        apart: number of the template that it was parted from, -1 if of none.
    """

    number: int
    pattern: str
    level: Floats
    floor: Floats
    lead: int
    origin_ns: int
    tail: float = 0.0
    count: int = 0
    score_sum: float = 0.0
    first_sample: int = 0
    last_sample: int = 0
    salience: float = 0.0
    touched: int = 0
    refits: int = 0
    status: PatternStatus = "born"
    exemplars: list[Clip] = field(default_factory=list)
    recent: list[int] = field(default_factory=list)
    turn: int = 0
    apart: int = -1
    shape: Shape = field(init=False)
    _speeds: tuple[float, ...] = field(init=False, default=(), compare=False, repr=False)
    _played: dict[float, Shape] = field(init=False, default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.level, self.floor = _normalised(self.level, self.floor)
        self.shape = Shape.of(self.level, self.floor)

    @property
    def speeds(self) -> tuple[float, ...]:
        """At which it is looked for, as it is first."""
        if not self._speeds:
            self._speeds = SPEEDS if tonal(self.level, self.shape.weight) else SPEEDS[:1]
        return self._speeds

    def shape_at(self, speed: float) -> Shape:
        """Derived arrays as if it were played ``speed`` (one of ``speeds``) times as fast."""
        if speed == 1.0:
            return self.shape
        if speed not in self._played:
            self._played[speed] = Shape.of(played(self.level, speed), self.floor)
        return self._played[speed]

    def reshape(self, level: Floats, floor: Floats, lead: int) -> None:
        """Take new levels: normalise to the loudest cell, round, derive what changed."""
        self.lead = lead
        level, floor = _normalised(level, floor)
        if np.array_equal(level, self.level) and np.array_equal(floor, self.floor):
            return
        self.level, self.floor = level, floor
        self.shape = Shape.of(level, floor)
        self._speeds, self._played = (), {}

    def heard_at(self, row: int) -> None:
        """Note where row 0 lay (absolute frame); the latest RECENT are kept."""
        self.recent = sorted([*self.recent, row])[-RECENT:]

    def credit(self, onset: int, frames: int, score: float) -> None:
        """Count an occurrence of the past: its onset (absolute frame), length and acceptance."""
        sample = max(0, onset) * HOP_SAMPLES
        self.count += 1
        self.score_sum += score
        self.first_sample = min(self.first_sample, sample)
        self.last_sample = max(self.last_sample, sample)
        self.salience += frames * FRAME_S * score

    @property
    def frames(self) -> int:
        """Rows of the template."""
        return len(self.level)

    @property
    def mean_score(self) -> float:
        """Mean acceptance of its occurrences."""
        return self.score_sum / max(self.count, 1)

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``)."""
        plain = {name: getattr(self, name) for name in PLAIN}
        plain["recent"] = list(self.recent)
        plain["level"] = self.level.astype(np.float16)
        plain["floor"] = self.floor.astype(np.float16)
        plain["exemplars"] = [clip.snapshot() for clip in self.exemplars]
        return plain

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Template":
        """The template that ``snapshot`` described."""
        plain = dict(state)
        plain["recent"] = list(plain["recent"])
        plain["exemplars"] = [Clip.restore(clip) for clip in plain["exemplars"]]
        for name in ("level", "floor"):
            plain[name] = np.array(plain[name]).astype(np.float32)
        template = cls(**plain)
        # Rounding twice could shift the loudest cell: what was stored is what counts.
        template.level, template.floor = plain["level"], plain["floor"]
        template.shape = Shape.of(template.level, template.floor)
        return template
