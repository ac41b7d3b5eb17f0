"""Which templates keep claiming the same sound, and at which lag.

Two templates that are plausible for the same stretch again and again are one sound twice, or one
is a part of the other: at no lag they are merged; a shorter one that is hardly ever heard outside
of a longer one, always at the same place in it, is a fragment and is retired.

Invariant: bounded number of pairs, the least seen go first.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from operators.patterns.cells import agreement, mode_gain
from operators.patterns.levels import EMPTY
from operators.patterns.template import Shape, Template
from operators.records import BANDS, Floats

MERGE_LAG = 4
RIGID_FRAMES = 1.6


@dataclass(slots=True)
class Rivals:
    """Counts and lags (frames, onset of the second minus onset of the first) by pair of numbers."""

    pairs_max: int
    pairs: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    claims: dict[int, int] = field(default_factory=dict)

    def claim(self, number: int) -> None:
        """A template was plausible somewhere."""
        self.claims[number] = self.claims.get(number, 0) + 1

    def meet(self, a: int, b: int, lag: int) -> None:
        """Two templates were plausible for the same sound."""
        key, signed = ((a, b), lag) if a < b else ((b, a), -lag)
        entry = self.pairs.setdefault(key, [0.0, 0.0, 0.0])
        entry[0] += 1
        entry[1] += signed
        entry[2] += signed * signed
        if len(self.pairs) > self.pairs_max:
            self.pairs.pop(min(self.pairs, key=lambda k: (self.pairs[k][0], k)))

    def lag(self, a: int, b: int) -> tuple[int, float, float]:
        """Meetings, mean lag and its standard deviation in frames (of b after a)."""
        key = (a, b) if a < b else (b, a)
        n, total, squares = self.pairs.get(key, [0.0, 0.0, 0.0])
        if n == 0:
            return 0, 0.0, 0.0
        mean = total / n
        spread = float(np.sqrt(max(squares / n - mean * mean, 0)))
        return int(n), mean if a < b else -mean, spread

    def met(self, number: int) -> list[int]:
        """Templates that a template has met, ascending."""
        return sorted({a + b - number for a, b in self.pairs if number in (a, b)})

    def forget(self, number: int) -> None:
        """A template is gone."""
        self.claims.pop(number, None)
        for key in [k for k in self.pairs if number in k]:
            del self.pairs[key]

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``)."""
        return {
            "pairs": [[*key, *value] for key, value in self.pairs.items()],
            "claims": [[number, n] for number, n in self.claims.items()],
        }

    @classmethod
    def restore(cls, state: dict[str, Any], pairs_max: int) -> "Rivals":
        """The ledger that ``snapshot`` described."""
        pairs = {(int(p[0]), int(p[1])): [float(v) for v in p[2:]] for p in state["pairs"]}
        return cls(pairs_max, pairs, {int(k): int(n) for k, n in state["claims"]})


@dataclass(frozen=True, slots=True)
class Resemblance:
    """How well ``a`` is found in ``b`` and ``b`` in ``a`` (0-1), b's row 0 at a's row ``lag``.

    ``gain`` = dB by which b's loudest cell lies above a's when both sound alike.
    """

    a_in_b: float
    b_in_a: float
    lag: int
    gain: float


def resemblance(a: Template, b: Template, lag: int, played: Shape | None = None) -> Resemblance:
    """Hold two templates against each other around a lag (frames).

    What lies outside of the other counts as disagreement, so only equals resemble each other both
    ways. Best of a few frames around the lag. ``played``: b at another speed.
    """
    best = Resemblance(0.0, 0.0, lag, 0.0)
    for shift in (0, -1, 1, -2, 2):
        both = _overlaid(a, b, lag + shift, played or b.shape)
        if both.a_in_b + both.b_in_a > best.a_in_b + best.b_in_a:
            best = both
    return best


def _overlaid(a: Template, b: Template, lag: int, shape: Shape) -> Resemblance:
    first, last = max(0, lag), min(a.frames, lag + b.frames)
    if last - first < 4:
        return Resemblance(0.0, 0.0, lag, 0.0)
    level_a, level_b = a.level[first:last], shape.level[first - lag : last - lag]
    weight_a, weight_b = a.shape.weight[first:last], shape.weight[first - lag : last - lag]
    common = (weight_a > 0) & (weight_b > 0)
    if common.sum() < 12:
        return Resemblance(0.0, 0.0, lag, 0.0)
    difference = (level_b - level_a).reshape(1, -1)
    weight = np.where(common, np.sqrt(weight_a * weight_b), 0).reshape(1, -1)
    gain = float(mode_gain(difference, weight)[0])
    in_b = _found(level_a + gain, level_b, b.floor, weight_a)
    in_a = _found(level_b - gain, level_a, a.floor, weight_b)
    return Resemblance(
        in_b / max(float(a.shape.weight.sum()), 1e-6),
        in_a / max(float(shape.weight.sum()), 1e-6),
        lag,
        gain,
    )


def _found(predicted: Floats, level: Floats, floor: Floats, weight: Floats) -> float:
    """Weight of the cells that agree; those the other's background would hide count as such."""
    hidden = (level <= EMPTY + 5) & (predicted < np.broadcast_to(floor, (len(level), BANDS)) + 4.0)
    agreed = np.where(hidden, 1.0, agreement(level - predicted))
    return float((weight * agreed).sum())
