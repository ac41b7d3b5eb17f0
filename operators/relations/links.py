"""Which pairs of patterns are linked: significant among all pairs, and not too small a share.

Three windows are tried for each pair: a narrow one at any lag, and one as wide as either pattern
leaves room for the other inside it. Invariant: the links of a ledger are the same in any order of
arrival; what kind they are is decided in ``kinds``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from operators.relations.companions import sharpened
from operators.relations.config import RelationConfig
from operators.relations.false_discovery import q_values
from operators.relations.kinds import Company, LinkKind, Sound, kind_of
from operators.relations.lag_peak import Peak, extent_peaks, histograms, narrow_peaks
from operators.relations.ledger import Ledger, Pair

_MARGIN_BINS = 1
"""The most surprising window is a narrow one: its edges cut off the tails of the lags."""
_HOPELESS = 0.9


@dataclass(frozen=True, slots=True)
class Link:
    """A significant link, directed from ``source`` to ``target``; lags in seconds."""

    kind: LinkKind
    source: str
    target: str
    support: int
    lag_s: float
    lag_sd_s: float
    probability: float
    lift: float
    q: float
    first_s: float
    last_s: float


def find_links(
    ledger: Ledger, members: list[str], now_s: float, config: RelationConfig
) -> list[Link]:
    """All links between ``members`` that chance does not explain, sorted by their ends.

    Args:
        ledger: the evidence.
        members: the patterns that take part, sorted.
        now_s: how long the stream has been heard.
        config: windows, floors and the false discovery rate.
    """
    sounds = {name: Sound.of(ledger.patterns[name]) for name in members}
    pairs = [
        pair
        for pair in sorted(ledger.pairs)
        if pair[0] in sounds
        and pair[1] in sounds
        and ledger.pairs[pair].total >= config.min_support
    ]
    peaks, narrow = _best_peaks(ledger, pairs, sounds, now_s, config)
    tests = len(members) * (len(members) - 1) // 2
    found = []
    for pair, q in zip(peaks, q_values([p.p for p in peaks.values()], tests), strict=True):
        rarer, often = sorted(sounds[name].count for name in pair)
        least = max(config.min_share * rarer, config.min_share_often * often)
        if q <= config.fdr and peaks[pair].support >= least:
            found.append(_link(pair, ledger, sounds, peaks[pair], q, config))
            if found[-1].kind == "overlapping" and pair in narrow:
                # Anywhere inside may be likelier still; but it may have its place there.
                placed = _link(pair, ledger, sounds, narrow[pair], q, config)
                if placed.kind == "composite":
                    found[-1] = placed
    return found


def _best_peaks(
    ledger: Ledger,
    pairs: list[Pair],
    sounds: dict[str, Sound],
    now_s: float,
    config: RelationConfig,
) -> tuple[dict[Pair, Peak], dict[Pair, Peak]]:
    """The least likely of the three windows of each pair: narrow, b within a, a within b.

    Half of what may go wrong is spent on the narrow ones, a quarter on either of the others.

    Returns:
        These, and such narrow ones as would do by themselves.
    """
    if not pairs:
        return {}, {}
    counts = histograms([ledger.pairs[pair] for pair in pairs], config)
    scale = config.bin_s / max(now_s, config.max_lag_s)
    chance = np.array([sounds[a].count * sounds[b].count * scale for a, b in pairs])
    length = [(sounds[a].duration_s, sounds[b].duration_s) for a, b in pairs]
    room_b = np.array([_room(a_s, b_s) for a_s, b_s in length])
    room_a = np.array([_room(b_s, a_s) for a_s, b_s in length])
    tries = (
        (2.0, narrow_peaks(counts, chance, config)),
        (4.0, extent_peaks(counts, room_b, True, chance, config)),
        (4.0, extent_peaks(counts, room_a, False, chance, config)),
    )
    judged = [_judged(ledger, pairs, peaks, share, config) for share, peaks in tries]
    best: dict[Pair, Peak] = {}
    for each in judged:
        for pair, peak in each.items():
            if pair not in best or peak.p < best[pair].p:
                best[pair] = peak
    return best, {pair: peak for pair, peak in judged[0].items() if peak.p <= config.fdr}


def _judged(
    ledger: Ledger,
    pairs: list[Pair],
    peaks: Sequence[Peak | None],
    share: float,
    config: RelationConfig,
) -> dict[Pair, Peak]:
    """The windows of one kind that are not hopeless, with p by single occurrences."""
    judged: dict[Pair, Peak] = {}
    for pair, peak in zip(pairs, peaks, strict=True):
        if peak is None or peak.p >= _HOPELESS:
            continue
        a, b = ledger.patterns[pair[0]], ledger.patterns[pair[1]]
        p = min(1.0, share * sharpened(peak, a, b, round(config.bin_s * 1e6)))
        judged[pair] = replace(peak, p=p)
    return judged


def _room(whole_s: float, part_s: float) -> float:
    """Lags at which a part can begin so as to lie inside (or, if too long, to overlap)."""
    return whole_s - part_s + 0.1 if part_s < 0.75 * whole_s else whole_s


def _link(
    pair: Pair,
    ledger: Ledger,
    sounds: dict[str, Sound],
    peak: Peak,
    q: float,
    config: RelationConfig,
) -> Link:
    margin = _MARGIN_BINS
    veto_bins = round(config.veto_lag_s / config.bin_s)
    company = Company.of(ledger.pairs[pair], peak.low - margin, peak.high + margin, veto_bins)
    kind, flipped = kind_of(sounds[pair[0]], sounds[pair[1]], company, config)
    source, target = (pair[1], pair[0]) if flipped else pair
    return Link(
        kind=kind,
        source=source,
        target=target,
        support=company.support,
        lag_s=-company.lag_s if flipped else company.lag_s,
        lag_sd_s=company.lag_sd_s,
        probability=min(1.0, company.support / sounds[source].count),
        lift=peak.support / peak.expected,
        q=q,
        first_s=company.first_s,
        last_s=company.last_s,
    )
