"""Is this match the sound? A logistic function of the evidence.

Dense templates (noise) resemble everything, hence the term for the density; few audible cells
prove little, hence the logarithm of their number.
"""

import math

from operators.patterns.config import Acceptance
from operators.patterns.match import Fit
from operators.patterns.template import Template

LEAST_CELLS = 12
"""Fewer prove nothing."""


def acceptance(
    fit: Fit, template: Template, weights: Acceptance, *, explained: float | None = None
) -> float:
    """Probability-like acceptance of a match, 0-1.

    Args:
        fit: the evidence.
        template: what was compared.
        weights: coefficients.
        explained: share of the sound to assume as accounted for (of a part of a known whole);
            None = as measured.
    """
    if fit.cells < LEAST_CELLS or fit.audible < 0.2:
        return 0.0
    score = (
        weights.raw * fit.raw
        + weights.explained * (fit.explained if explained is None else explained)
        + weights.cells * math.log(fit.cells + 1)
        + weights.density * template.shape.density
        + weights.audible * fit.audible
        + (weights.onset if fit.place.on_onset else 0.0)
        + weights.energy * math.log(fit.energy + 1)
        + weights.tail * fit.tail
        + weights.offset
    )
    return 1.0 / (1.0 + math.exp(-min(max(score, -30.0), 30.0)))
