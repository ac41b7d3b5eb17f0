"""All checks beside one another, told in their order as soon as they are known.

Invariant: it ends within ``MOST_S``, whoever does not answer, and leaves no process behind.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

from connectors.doctor.apart import late, make_apart
from connectors.doctor.asked import Asked
from connectors.doctor.background import begin
from connectors.doctor.checks import APART, CHECKS, make
from connectors.doctor.finding import Finding

PATIENCE_S = 3.0
"""In which a broker, a store or a collector has to answer."""
APART_S = 8.0
"""In which a group of checks in a process of its own has to be done."""
MOST_S = 9.0


def examine(
    asked: Asked,
    *,
    patience_s: float = PATIENCE_S,
    apart_s: float = APART_S,
    most_s: float = MOST_S,
) -> Iterator[Finding]:
    """What every check found; touches nothing."""
    deadline_s = time.monotonic() + most_s
    under_way: dict[str, Future[dict[str, tuple[Finding, ...]]]] = {}
    for group in APART:
        work = begin(partial(make_apart, group, asked, patience_s, apart_s))
        under_way |= dict.fromkeys(group, work)
    for name, target in CHECKS.items():
        if name not in under_way:
            under_way[name] = begin(partial(_alone, name, target, asked, patience_s))
    for name in CHECKS:
        try:
            yield from under_way[name].result(max(0.0, deadline_s - time.monotonic()))[name]
        except TimeoutError:
            yield late(name, asked, most_s)


def _alone(
    name: str, target: str, asked: Asked, patience_s: float
) -> dict[str, tuple[Finding, ...]]:
    return {name: make(name, target, asked, patience_s)}
