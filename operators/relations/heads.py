"""Beats of sounds that come in pieces or in company: told of the head, not of what hangs on it.

Where a detector cuts one sound into two patterns, either may be missed where the other is heard:
the head's beat is looked for in the onsets of both. What then beats with the same period only
because it hangs on the head is second-hand.
"""

from bisect import bisect_left

from operators.relations.ledger import Ledger
from operators.relations.links import Link
from operators.relations.periodic import Beat

_SAME_US = 250_000
_SAME_PERIOD = 0.03


def whole_onsets(ledger: Ledger, members: list[str], links: list[Link]) -> dict[str, list[int]]:
    """Ascending onsets (microseconds) of each member, a head's completed by its pieces'."""
    onsets = {name: [onset for onset, _ in ledger.patterns[name].extents] for name in members}
    completed = dict(onsets)
    for link in links:
        if link.kind != "fragments":
            continue
        lag_us = round(link.lag_s * 1e6)
        heard = completed[link.source]
        missed = [at - lag_us for at in onsets[link.target] if not _near(heard, at - lag_us)]
        completed[link.source] = sorted([*heard, *missed])
    return completed


def inherited_beats(beats: dict[str, Beat], links: list[Link]) -> set[str]:
    """Patterns that owe their beat to one they are linked to with the same period.

    A piece owes it to its head; of two that only keep company the one heard less does.
    """
    inherited = set()
    for link in links:
        if link.source in beats and link.target in beats:
            ours, theirs = beats[link.source], beats[link.target]
            if abs(ours.period_s - theirs.period_s) <= _SAME_PERIOD * ours.period_s:
                head = link.kind == "fragments" or ours.support >= theirs.support
                inherited.add(link.target if head else link.source)
    return inherited


def _near(onsets: list[int], at: int) -> bool:
    place = bisect_left(onsets, at - _SAME_US)
    return place < len(onsets) and onsets[place] <= at + _SAME_US
