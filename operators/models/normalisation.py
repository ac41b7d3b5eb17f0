"""Standardising features with statistics of synthetic sounds, so that no data has to be shipped.

Features are brought to unit length (what matters is their direction), standardised dimension by
dimension (so that a few large ones do not decide every comparison), and brought to unit length
again. Invariant: the statistics are fixed once fitted; nothing adapts to what is heard, so that
vectors of different days compare.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from operators.models.features import unit

_LEAST_OF_MEDIAN = 0.25


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and scale of every dimension of a kind of feature, both (dimension,) float32."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, features: Tensor) -> "Normalisation":
        """Fits the statistics on (sounds, dimension) raw features.

        A dimension that hardly moved on the synthetic sounds is not allowed to dominate real ones:
        no scale falls below a quarter of the median scale.
        """
        directions = unit(features).to(torch.float64)
        spread = directions.std(dim=0)
        scale = spread.clamp(min=_LEAST_OF_MEDIAN * float(spread.median()))
        return cls(directions.mean(dim=0).to(torch.float32), scale.to(torch.float32))

    def __call__(self, features: Tensor) -> Tensor:
        """(n, dimension) raw features -> standardised rows of unit length."""
        return unit((unit(features) - self.mean) / self.scale)
