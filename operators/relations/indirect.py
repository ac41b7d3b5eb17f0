"""Which links are second-hand: A -> X where A -> B -> X adds up.

Variances add up, so that of three such lags the derived one spreads most. Where B is often missed,
A -> X is heard more often than its steps: it goes first, if it is heard no less often than A -> B
and spreads most. Of the others the strongest are taken first; a link is indirect if links kept
before lead from one of its ends to the other in two or three steps whose lags add up to its own.
That covers the chain (A -> B -> X), the common cause (A -> B and A -> X, hence B -> X) and whatever
hangs on a piece of a sound rather than on its head.

Source: the greedy graph spanner (Althofer et al. 1993, "On sparse spanners of weighted graphs"),
with agreement of lags in place of the stretch.
"""

import math

from operators.relations.kinds import UNREPORTED
from operators.relations.links import Link

_TOLERANCE_S = 0.3
_STEPS = 3
_RELAYED, _SPREADS = 0.5, 0.95
"""Both steps of a relay have this share of the support; the sum spreads no less,
or hardly."""
_USUAL_SD_S, _USUAL_WEIGHT = 0.1, 4
"""The deviation of a few lags is uncertain: it counts as if this many usual ones had been heard."""


def indirect_links(links: list[Link]) -> set[tuple[str, str]]:
    """The (source, target) of every link that stronger ones explain."""
    explained = _relayed([link for link in links if link.kind == "sequential"])
    direct = [link for link in links if (link.source, link.target) not in explained]
    kept: dict[str, dict[str, float]] = {}
    for link in sorted(direct, key=_strength):
        if link.kind not in UNREPORTED and _leads(kept, link, _STEPS):
            explained.add((link.source, link.target))
            continue
        kept.setdefault(link.source, {})[link.target] = link.lag_s
        kept.setdefault(link.target, {})[link.source] = -link.lag_s
    return explained


def _relayed(links: list[Link]) -> set[tuple[str, str]]:
    """The (source, target) of every link that two links, one after the other in time, make up."""
    after: dict[str, dict[str, Link]] = {}
    for link in links:
        after.setdefault(link.source, {})[link.target] = link
    return {
        (whole.source, whole.target)
        for whole in links
        for middle, first in after[whole.source].items()
        if (second := after.get(middle, {}).get(whole.target)) and _adds_up(whole, first, second)
    }


def _adds_up(whole: Link, first: Link, second: Link) -> bool:
    """Whether a link is the sum of two others: its lag, the widest spread, heard no less often."""
    support = min(first.support, second.support)
    return (
        min(first.lag_s, second.lag_s) > 0
        and whole.support >= first.support
        and abs(first.lag_s + second.lag_s - whole.lag_s) <= _TOLERANCE_S
        and support >= _RELAYED * whole.support
        and _spread_s(whole) >= _SPREADS * max(_spread_s(first), _spread_s(second))
    )


def _strength(link: Link) -> tuple[bool, float, float, str, str]:
    """Pieces of one sound first, then by support, tightness and nearness.

    Of three links whose lags add up, the derived one has the least support and the largest
    spread (variances add up); with few occurrences neither tells alone.
    """
    weight = link.support / math.sqrt(_spread_s(link)) / (1.0 + 0.05 * abs(link.lag_s))
    return (link.kind not in UNREPORTED, -weight, abs(link.lag_s), link.source, link.target)


def _spread_s(link: Link) -> float:
    """The deviation of its lags; of a few, drawn towards the usual one."""
    usual = _USUAL_WEIGHT * _USUAL_SD_S**2
    return math.sqrt((link.support * link.lag_sd_s**2 + usual) / (link.support + _USUAL_WEIGHT))


def _leads(kept: dict[str, dict[str, float]], link: Link, steps: int) -> bool:
    """Whether kept links lead from source to target with lags that add up."""
    fronts: list[tuple[str, float, tuple[str, ...]]] = [(link.source, 0.0, (link.source,))]
    for _ in range(steps):
        reached = []
        for name, lag_s, path in fronts:
            for other, step_s in sorted(kept.get(name, {}).items()):
                if other == link.target:
                    if abs(lag_s + step_s - link.lag_s) <= _TOLERANCE_S:
                        return True
                elif other not in path:
                    reached.append((other, lag_s + step_s, (*path, other)))
        fronts = reached[:4096]
    return False
