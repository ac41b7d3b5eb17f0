"""Which centroids are more alike than pairs of them usually are.

What a cosine means differs from model to model (some put everything within .8 of everything), so
a pair is judged against all pairs of the same stream and space: Fisher's z of its cosine, in
robust deviations (median and MAD) from the median pair. The bar rises with the number of pairs,
as the largest of that many normal deviates does.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.kinship.config import KinshipConfig

_LEAST_SPREAD = 0.05
"""Deviation of Fisher's z taken at least: a handful of pairs may agree by accident."""

_SHY = 10.0
"""A median deviation of few pairs is itself a guess: 45 pairs raise the bar by a fifth."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """Rows ``first`` < ``second`` are alike: their cosine, and how far it stands out."""

    first: int
    second: int
    cosine: float
    z: float


def affinities(directions: NDArray[np.float64], config: KinshipConfig) -> list[Affinity]:
    """Pairs of rows that stand out of all pairs.

    Args:
        directions: (n, dimension) unit vectors.
        config: least number of rows, least z and least cosine.

    Returns:
        In order of the rows; empty if there are too few rows for a background.
    """
    rows = len(directions)
    if rows < config.min_patterns:
        return []
    first, second = np.triu_indices(rows, k=1)
    # Row by row, without BLAS: a cosine must not depend on which other patterns there are.
    cosines = np.concatenate(
        [np.sum(directions[row] * directions[row + 1 :], axis=1) for row in range(rows - 1)]
    )
    fisher = np.arctanh(np.clip(cosines, -0.999999, 0.999999))
    middle = float(np.median(fisher))
    spread = max(1.4826 * float(np.median(np.abs(fisher - middle))), _LEAST_SPREAD)
    z = (fisher - middle) / spread
    bar = max(config.min_z, math.sqrt(2.0 * math.log(len(z)))) * (1.0 + _SHY / len(z))
    alike = np.flatnonzero((z >= bar) & (cosines >= config.min_cosine))
    return [
        Affinity(int(first[at]), int(second[at]), float(cosines[at]), float(z[at])) for at in alike
    ]
