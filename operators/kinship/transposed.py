"""Is one template the other one moved in pitch, or played at another pace?

A band is two of 97 equal steps of the mel scale up to 22 kHz: about 2.1 semitones at 1 kHz, 2.8 at
500 Hz and 1.5 at 4 kHz. Between neighbouring bands a transposition is no exact slide, but cells
that agree within a few decibels still tell. Two steps: a glance (cross-correlation along the
bands, at equal fractions of their length, by Fourier transform) is cheap enough for all pairs and
says which slide to look at; then cells are compared at that slide as for templates that keep
claiming the same sound: gain as the mode of the differences, both ways.

Invariant: pure functions of templates, symmetric but for the sign of the slide, and the same
however many other templates there are.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from operators.patterns.cells import agreement, mode_gain
from operators.patterns.codec import decode
from operators.patterns.levels import EMPTY
from operators.patterns.template import Shape, tempo_rows
from operators.records import BANDS, Floats

MOST_BANDS = 8
"""Furthest slide: beyond, what is left of a template is too little to tell."""
_STEPS = 12
_LENGTH = 64
_LAGS = (0, -1, 1, -2, 2)
_LEAST_ROWS, _LEAST_CELLS = 4, 12
_SAME_PACE, _MOST_PACE = 1.08, 1.6


@dataclass(frozen=True, slots=True)
class Look:
    """A template as comparisons need it.

    Attributes:
        level: (rows, BANDS) dB relative to the loudest cell; floor: (BANDS,).
        lead: rows before the onset.
        weight: (rows, BANDS), 0 where empty; density: share of cells that are not.
        spectrum: (12, 33) transform along the bands of its height, of unit norm.
    """

    level: Floats
    floor: Floats
    lead: int
    weight: Floats
    density: float
    spectrum: NDArray[np.complex128]

    @classmethod
    def of(cls, level: Floats, floor: Floats, lead: int) -> "Look":
        """Derive what comparisons need."""
        shape = Shape.of(level, floor)
        return cls(level, floor, lead, shape.weight, shape.density, _spectrum(level, floor))

    @classmethod
    def read(cls, template: bytes) -> "Look | None":
        """From published bytes; None where they are no template with rows."""
        try:
            level, floor, lead = decode(template)
        except ValueError:
            return None
        return cls.of(level, floor, lead) if len(level) >= _LEAST_ROWS else None

    def paced(self, rows: int) -> "Look":
        """The same sound played within so many rows."""
        at = tempo_rows(len(self.level), rows / len(self.level))
        lead = round(self.lead * rows / len(self.level))
        return Look.of(self.level[at], self.floor, lead)


@dataclass(frozen=True, slots=True)
class Fit:
    """How well two templates agree (0-1), the lesser of both ways.

    Attributes:
        score: at the best slide and pace.
        plain: as they are.
        bands: the slide: the second one lies so many bands higher.
        pace: length of the second one over that of the first, where they were brought to one.
    """

    score: float
    plain: float
    bands: int
    pace: float = 1.0


def glance(a: Look, b: Look) -> tuple[float, int]:
    """Largest correlation over all slides (0-1), and that slide in bands."""
    product = np.sum(np.conj(a.spectrum) * b.spectrum, axis=0)
    slides = np.fft.irfft(product, _LENGTH) * _LENGTH / 2.0
    near = np.concatenate([slides[-MOST_BANDS:], slides[: MOST_BANDS + 1]])
    best = int(near.argmax())
    return float(near[best]), best - MOST_BANDS


def compare(a: Look, b: Look) -> Fit:
    """Cell by cell: around the slide that a glance suggests, as they are, and at one length.

    Not slid and brought to one length at once: with so much freedom plain sounds fit each other.
    """
    _, bands = glance(a, b)
    slides = {s for s in (bands - 1, bands, bands + 1) if abs(s) <= MOST_BANDS}
    plain = _best(a, b, 0)
    fit = Fit(plain, plain, 0)
    for slide in sorted(slides - {0}, key=abs):
        score = _best(a, b, slide)
        if score > fit.score:
            fit = Fit(score, plain, slide)
    rows, others = len(a.level), len(b.level)
    if _SAME_PACE * min(rows, others) < max(rows, others) <= _MOST_PACE * min(rows, others):
        paced = b.paced(rows) if others < rows else b
        base = a.paced(others) if others > rows else a
        score = _best(base, paced, 0)
        if score > fit.score:
            fit = Fit(score, plain, 0, others / rows)
    return fit


def _best(a: Look, b: Look, bands: int) -> float:
    return max(_agreeing(a, b, a.lead - b.lead + lag, bands) for lag in _LAGS)


def _agreeing(a: Look, b: Look, lag: int, bands: int) -> float:
    """The lesser share of both that agrees, b's row 0 at a's row ``lag``, b ``bands`` higher.

    What lies outside of the other counts as disagreement.
    """
    first, last = max(0, lag), min(len(a.level), lag + len(b.level))
    if last - first < _LEAST_ROWS:
        return 0.0
    in_a = slice(first, last), slice(max(0, -bands), BANDS - max(0, bands))
    in_b = slice(first - lag, last - lag), slice(max(0, bands), BANDS - max(0, -bands))
    weight = np.sqrt(a.weight[in_a] * b.weight[in_b])
    if np.count_nonzero(weight) < _LEAST_CELLS:
        return 0.0
    difference = b.level[in_b] - a.level[in_a]
    gain = float(mode_gain(difference.reshape(1, -1), weight.reshape(1, -1))[0])
    found_a = _found(a.level[in_a] + gain, b.level[in_b], b.floor[in_b[1]], a.weight[in_a])
    found_b = _found(b.level[in_b] - gain, a.level[in_a], a.floor[in_a[1]], b.weight[in_b])
    return min(
        found_a / max(float(a.weight.sum()), 1e-6), found_b / max(float(b.weight.sum()), 1e-6)
    )


def _found(predicted: Floats, level: Floats, floor: Floats, weight: Floats) -> float:
    """Weight of the cells that agree; those that the other's background hides count as such."""
    hidden = (level <= EMPTY + 5) & (predicted < floor + 4.0)
    return float((weight * np.where(hidden, 1.0, agreement(level - predicted))).sum())


def _spectrum(level: Floats, floor: Floats) -> NDArray[np.complex128]:
    """Transform along the bands of the height above the floor at 12 even steps of the length."""
    height = np.where(level > EMPTY + 5, level - np.maximum(floor, -45.0), 0.0)
    root = np.sqrt(np.clip(height, 0.0, 40.0)).astype(np.float64)
    edges = np.linspace(0, len(root), _STEPS + 1)
    rows = [
        root[int(low) : max(int(np.ceil(high)), int(low) + 1)].mean(axis=0)
        for low, high in pairwise(edges)
    ]
    steps = np.stack(rows)
    norm = float(np.sqrt(np.sum(steps * steps)))
    return np.asarray(np.fft.rfft(steps / max(norm, 1e-9), _LENGTH, axis=1) / np.sqrt(_LENGTH / 2))
