"""How surprising is it, and how many surprises does chance allow: tails and their correction.

Sources: tails by their own series; Benjamini & Hochberg (1995), "Controlling the false
discovery rate", J. R. Statist. Soc. B 57.
"""

import math
from collections.abc import Sequence


def poisson_tail(count: int, expected: float) -> float:
    """P(X >= count) for X ~ Poisson(expected), exact to rounding also where it is tiny.

    Args:
        count: what was seen, >= 0.
        expected: what chance would bring, >= 0.
    """
    if count <= 0:
        return 1.0
    if expected <= 0.0:
        return 0.0
    term = math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))
    if term == 0.0:
        return 0.0 if count > expected else 1.0
    total = 0.0
    at = count
    while term > total * 1e-17:
        total += term
        at += 1
        term *= expected / at
        if at > expected and term < 1e-300:
            break
    return min(1.0, total)


def binomial_tail(count: int, trials: int, chance: float) -> float:
    """P(X >= count) for X ~ Binomial(trials, chance), exact to rounding also where it is tiny.

    Args:
        count: what was seen, 0 to ``trials``.
        trials: how many could have been seen.
        chance: of each, below 1.
    """
    if count <= 0:
        return 1.0
    if chance <= 0.0:
        return 0.0
    odds = chance / (1.0 - chance)
    term = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(chance)
        + (trials - count) * math.log1p(-chance)
    )
    total = 0.0
    for at in range(count, trials + 1):
        total += term
        term *= odds * (trials - at) / (at + 1)
    return min(1.0, total)


def q_values(p_values: Sequence[float], tests: int) -> list[float]:
    """Benjamini-Hochberg q of each p among ``tests`` tests, in the order given.

    Args:
        p_values: of the tests that were looked at.
        tests: how many there were in all; those not listed count as p = 1.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    total = max(tests, len(p_values))
    q = [1.0] * len(p_values)
    least = 1.0
    for rank in range(len(order), 0, -1):
        at = order[rank - 1]
        least = min(least, p_values[at] * total / rank)
        q[at] = least
    return q
