"""How many occurrences of one pattern have another one at a given lag, each counted once.

A histogram counts pairs of occurrences: two of a and two of b close together make four. Where the
occurrences themselves are remembered, each is counted once, and what chance would bring is
binomial rather than Poisson: of n occurrences no more than n can have company. That matters for
wide windows and few occurrences (a part anywhere inside its whole), where a Poisson tail is ten
times too long.

Invariant: the result depends on the remembered occurrences only; where some were forgotten it
says so by None.
"""

from operators.relations.false_discovery import binomial_tail
from operators.relations.lag_peak import Peak
from operators.relations.pattern_evidence import PatternEvidence

_LARGEST_CHANCE = 0.5


def companions(a: PatternEvidence, b: PatternEvidence, low_us: int, high_us: int) -> int | None:
    """Largest number of one-to-one pairs with low <= onset of b - onset of a < high.

    None if occurrences of either were forgotten. Taking the earliest b that fits each a in turn
    is optimal, because all windows have the same width.
    """
    if a.count != len(a.extents) or b.count != len(b.extents):
        return None
    pairs = at = 0
    for onset_us, _ in a.extents:
        while at < len(b.extents) and b.extents[at][0] < onset_us + low_us:
            at += 1
        if at < len(b.extents) and b.extents[at][0] < onset_us + high_us:
            pairs += 1
            at += 1
    return pairs


def sharpened(peak: Peak, a: PatternEvidence, b: PatternEvidence, bin_us: int) -> float:
    """The p of a peak by single occurrences; as it was where these cannot tell."""
    pairs = companions(a, b, peak.low * bin_us, peak.high * bin_us)
    rarer = min(a.count, b.count)
    chance = peak.expected / rarer
    if pairs is None or chance > _LARGEST_CHANCE:
        return peak.p
    return min(1.0, binomial_tail(pairs, rarer, chance) * peak.tries)
