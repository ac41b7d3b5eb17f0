"""Compiled steps: made by ``torch.compile``, believed only where they compute the same.

Invariant: nothing compiled serves that was not compared with the plain step, on sound, in every
size of batch that it serves.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch

from operators.models.accelerator import Step
from operators.records import Floats

Compiler: TypeAlias = Callable[[Step], Step]

_LEAST_COSINE = {torch.float32: 0.99999}
_LEAST_COSINE_OF_HALF = 0.999


class UnlikeError(Exception):
    """A compiled step computes something else than the plain one."""


def compile_step(step: Step) -> Step:
    """``torch.compile`` for fixed shapes, its versions counted apart from any other model's.

    Were they not, models whose steps are the same Python code would share the eight versions that
    it makes of one function, and the ninth size of batch would quietly run uncompiled.
    """
    compiled: Step = torch.compile(  # type: ignore[call-overload]  # its overloads lag behind it
        step, dynamic=False, isolate_recompiles=True
    )
    return compiled


def least_cosine(dtype: torch.dtype) -> float:
    """What a vector of a compiled step must have with that of the plain step.

    Half precision rounds where values are written, and fusing decides where that is.
    """
    return _LEAST_COSINE.get(dtype, _LEAST_COSINE_OF_HALF)


def compare(found: Floats, plain: Floats, least: float) -> None:
    """Compares vectors row by row, (n, dimension) each.

    Raises:
        UnlikeError: a cosine below ``least``, or none (a vector of zeros or NaN).
    """
    cosine = torch.cosine_similarity(torch.from_numpy(found), torch.from_numpy(plain), dim=1)
    if not bool((cosine >= least).all()):
        raise UnlikeError(
            f"compiled, batches of {len(found)} compute something else (cosine"
            f" {float(cosine.min()):.5f}, at least {least} is expected)"
        )


def probe(count: int, samples: int) -> Floats:
    """(count, samples): noise that swells and fades, each window otherwise, always the same."""
    rng = np.random.default_rng(count)
    time = np.linspace(0.0, 1.0, samples)
    swell = np.sin(np.pi * time * rng.uniform(1.0, 6.0, (count, 1))) ** 2
    level = 10.0 ** rng.uniform(-3.0, -0.5, (count, 1))
    windows: Floats = (level * swell * rng.standard_normal((count, samples))).astype(np.float32)
    return windows
