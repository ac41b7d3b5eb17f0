"""A linear map from one model's space into another's, to search there with this one's vectors.

Two models that heard the same windows give pairs of vectors; ridge regression (Hoerl and Kennard,
"Ridge regression: biased estimation for nonorthogonal problems", Technometrics 1970) finds the
affine map that turns the one into the other with the least squared error. How good it is, is
measured on blocks of time that had no part in fitting it or in choosing its penalty: neighbouring
windows overlap and sound alike, and would flatter it.

Invariant: spaces stay apart. A projected vector asks a question in the other space and is never
stored there. The same pairs give the same map, bit for bit on one machine.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.records import Floats

Doubles: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]

VERSION = 1
FOLDS = 5
LEAST_PAIRS = 64
NEIGHBOURS = 10
PENALTIES = tuple(float(10.0**exponent) for exponent in np.arange(-4.0, 1.25, 0.5))
"""Of the ridge, relative to the mean variance of a dimension of the inputs."""
_MOST_QUESTIONS = 512
_TINY = 1e-12


class ProjectionError(Exception):
    """No map can be fitted or used; the message is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How good a map is on windows from blocks of time it was not fitted on.

    Attributes:
        pairs, blocks: what it was fitted and judged on, in turn.
        cosine: mean cosine of a projected vector with the true one.
        baseline_cosine: the same for the mean of the space, which knows nothing of the window.
        recall: share of a window's true nearest neighbours (in other blocks) among as many that
            its projected vector finds.
        neighbours: how many those are: 10, or fewer where there are not as many.
        chance: that share for vectors drawn blindly.
    """

    pairs: int
    blocks: int
    cosine: float
    baseline_cosine: float
    recall: float
    neighbours: int
    chance: float


@dataclass(frozen=True, slots=True)
class Projection:
    """An affine map between two spaces.

    Attributes:
        from_space, to_space: names of the spaces, with fingerprints: weights that change make
            another space, for which this map says nothing.
        matrix: (a, b) float32.
        offset: (b,) float32.
        penalty: of the ridge, relative to the inputs' mean variance.
        held_out: how good it is.
    """

    from_space: str
    to_space: str
    matrix: Floats
    offset: Floats
    penalty: float
    held_out: HeldOut

    def apply(self, vectors: Floats) -> Floats:
        """(n, a) vectors of ``from_space`` -> (n, b) unit vectors, to search ``to_space`` with.

        Raises:
            ProjectionError: vectors of another length.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.matrix):
            raise ProjectionError(
                f"vectors of shape {vectors.shape}: the map from {self.from_space} takes "
                f"(n, {len(self.matrix)}): use vectors of that space"
            )
        projected = vectors.astype(np.float64) @ self.matrix + self.offset
        return _unit(projected).astype(np.float32)


def fit(x: Floats, y: Floats, groups: Whole, *, from_space: str, to_space: str) -> Projection:
    """Fits the map from ``x`` to ``y`` and measures it on blocks that were held out.

    The blocks are dealt out to five folds. For each, the penalty is chosen on the next fold and
    the map fitted on all the others, so that nothing of a fold decides anything about it. The map
    that is returned is fitted on everything, with the penalty that was best on average.

    Args:
        x: (n, a) vectors of the first space.
        y: (n, b) vectors of the second space, of the same windows in the same order.
        groups: (n,) which block of time each window belongs to.
        from_space: name of the first space.
        to_space: name of the second space.

    Raises:
        ProjectionError: too few windows or blocks, or vectors that are not finite.
    """
    _check(x, y, groups)
    inputs, targets = x.astype(np.float64), y.astype(np.float64)
    fold = _dealt(groups)
    parts = [_Sums.of(inputs[fold == k], targets[fold == k]) for k in range(fold.max() + 1)]
    whole = _total(parts)
    scores = np.empty((len(parts), len(PENALTIES)))
    predicted, blind = np.empty_like(targets), np.empty_like(targets)
    for k, part in enumerate(parts):
        after = (k + 1) % len(parts)
        there, here = fold == after, fold == k
        choosing = whole.without(part).without(parts[after])
        scores[k] = choosing.scores(inputs[there], targets[there])
        rest = whole.without(part)
        matrix, offset = rest.solve(PENALTIES[int(scores[k].argmax())])
        predicted[here] = inputs[here] @ matrix + offset
        blind[here] = rest.mean_y
    penalty = PENALTIES[int(scores.mean(axis=0).argmax())]
    matrix, offset = whole.solve(penalty)
    held_out = _judged(_unit(predicted), _unit(targets), _unit(blind), groups)
    return Projection(
        from_space,
        to_space,
        matrix.astype(np.float32),
        offset.astype(np.float32),
        penalty,
        held_out,
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """What ridge regression must know of a set of pairs: sums, so that a part can be taken off."""

    count: int
    x: Doubles
    y: Doubles
    xx: Doubles
    xy: Doubles

    @classmethod
    def of(cls, x: Doubles, y: Doubles) -> "_Sums":
        return cls(len(x), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y)

    def without(self, part: "_Sums") -> "_Sums":
        return _Sums(
            self.count - part.count,
            self.x - part.x,
            self.y - part.y,
            self.xx - part.xx,
            self.xy - part.xy,
        )

    @property
    def mean_y(self) -> Doubles:
        return self.y / self.count

    def _spectrum(self) -> tuple[Doubles, Doubles, Doubles]:
        """Eigenvalues and eigenvectors of the inputs' covariance, and these against the targets."""
        x, y = self.x / self.count, self.y / self.count
        values, axes = np.linalg.eigh(self.xx / self.count - np.outer(x, x))
        return np.maximum(values, 0.0), axes, axes.T @ (self.xy / self.count - np.outer(x, y))

    def solve(self, penalty: float) -> tuple[Doubles, Doubles]:
        """Matrix and offset of the map."""
        values, axes, cross = self._spectrum()
        matrix = axes @ (cross / _damped(values, penalty))
        return matrix, self.mean_y - (self.x / self.count) @ matrix

    def scores(self, x: Doubles, y: Doubles) -> Doubles:
        """Mean cosine on other pairs, penalty by penalty."""
        values, axes, cross = self._spectrum()
        turned, targets = (x - self.x / self.count) @ axes, _unit(y)
        found = [
            _unit(turned @ (cross / _damped(values, penalty)) + self.mean_y)
            for penalty in PENALTIES
        ]
        return np.array([(each * targets).sum(axis=1).mean() for each in found])


def _damped(values: Doubles, penalty: float) -> Doubles:
    return np.asarray(values + penalty * max(float(values.mean()), _TINY))[:, None]


def _total(parts: list[_Sums]) -> _Sums:
    return _Sums(
        sum(part.count for part in parts),
        np.sum([part.x for part in parts], axis=0),
        np.sum([part.y for part in parts], axis=0),
        np.sum([part.xx for part in parts], axis=0),
        np.sum([part.xy for part in parts], axis=0),
    )


def _dealt(groups: Whole) -> Whole:
    """The fold of every window: blocks in turn, so that each fold has some of every hour."""
    _, block = np.unique(groups, return_inverse=True)
    return np.asarray(block % min(FOLDS, int(block.max()) + 1), dtype=np.int64)


def _judged(predicted: Doubles, targets: Doubles, blind: Doubles, groups: Whole) -> HeldOut:
    count, blocks = len(targets), len(np.unique(groups))
    asked = np.unique(np.linspace(0, count - 1, min(count, _MOST_QUESTIONS)).round().astype(int))
    shares, chances, fewest = [], [], NEIGHBOURS
    for index in asked:
        elsewhere = np.flatnonzero(groups != groups[index])
        wanted = min(NEIGHBOURS, len(elsewhere))
        near = _nearest(targets[elsewhere] @ targets[index], wanted)
        found = _nearest(targets[elsewhere] @ predicted[index], wanted)
        shares.append(len(near & found) / wanted)
        chances.append(wanted / len(elsewhere))
        fewest = min(fewest, wanted)
    return HeldOut(
        pairs=count,
        blocks=blocks,
        cosine=float((predicted * targets).sum(axis=1).mean()),
        baseline_cosine=float((blind * targets).sum(axis=1).mean()),
        recall=float(np.mean(shares)),
        neighbours=fewest,
        chance=float(np.mean(chances)),
    )


def _nearest(cosines: Doubles, wanted: int) -> set[int]:
    return set(np.argsort(-cosines, kind="stable")[:wanted].tolist())


def _unit(vectors: Doubles) -> Doubles:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, _TINY))


def _check(x: Floats, y: Floats, groups: Whole) -> None:
    if x.ndim != 2 or y.ndim != 2 or not len(x) == len(y) == len(groups):
        raise ProjectionError(
            f"vectors of shapes {x.shape} and {y.shape} for {len(groups)} windows: give one row "
            "of each space a window"
        )
    blocks = len(np.unique(groups))
    if len(x) < LEAST_PAIRS or blocks < 3:
        raise ProjectionError(
            f"{len(x)} windows in {blocks} blocks of time that both models embedded: at least "
            f"{LEAST_PAIRS} in 3 blocks are needed: listen to more audio with both models at once"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ProjectionError("vectors with NaN or infinity: listen again with both models")
