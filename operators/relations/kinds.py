"""Of which kind a significant link is, and which way it points.

``sequential``: b follows a. ``overlapping``: they sound at once. ``composite``: one is a part of
the other at its own place in it, and at least one of them also occurs without the other.
``fragments``: pieces of one sound (rigid lag, hardly a gap, always together). ``twins``: one
event claimed by two patterns. The last two are never reported; they tell which relations are
second-hand.

It decides on what was heard, extents included: where a detector cuts a sound short, its parts
are fewer.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from operators.relations.config import RelationConfig
from operators.relations.pair_evidence import (
    A_IN_B,
    B_IN_A,
    COUNT,
    FIRST,
    LAG,
    LAG_SQUARED,
    LAST,
    OVERLAP,
    PairEvidence,
)
from operators.relations.pattern_evidence import PatternEvidence

LinkKind = Literal["sequential", "overlapping", "composite", "fragments", "twins"]
UNREPORTED = frozenset({"fragments", "twins"})

_PLACED = 0.25
"""A part has its place in the whole if its lag spreads by less than this share of what it would
spread by if it lay anywhere inside (a uniform distribution) ..."""
_PLACED_SHARE = 0.8
"""... and of all that is ever heard inside, this share lies there: a few that lie anywhere are
always close together somewhere."""
_EXACT, _EXACT_SHARE = 0.1, 0.7
"""The closer together, the less likely by chance: less than that share will do."""
_AT_ONCE_S, _AT_ONCE_SD_S = 0.25, 0.1
"""Sounds that begin this close together, by much the same lag, are one event claimed twice ..."""
_AT_ONCE = 0.5
"""... if this share of the rarer one does."""
_PIECE_SD_S, _PIECE = 0.02, 0.8
"""A piece may be missed: as rigid as this it needs no more than this share of the rarer one,
or of the one that is clearly shorter."""
_TOUCHING_S = 0.25
_INSEPARABLE, _INSEPARABLE_SD_S = 0.9, 0.2
"""Of both: sounds never heard apart, in order and with hardly a gap, are one sound."""
_MOSTLY_INSIDE = 0.6
_SHORTER = 0.75
_STANDS_OUT = 1 / 3
"""Of the part's length: ends are blurred, and the end of a long sound is the first to be lost."""


@dataclass(frozen=True, slots=True)
class Sound:
    """How often a pattern was heard and how long it lasts."""

    count: int
    duration_s: float

    @classmethod
    def of(cls, evidence: PatternEvidence) -> "Sound":
        """The sound behind the evidence."""
        return cls(evidence.count, evidence.duration_us() / 1e6)


@dataclass(frozen=True, slots=True)
class Company:
    """What two patterns have in common within a window of lags (b - a, in seconds).

    Attributes:
        support: co-occurrences.
        lag_s, lag_sd_s: mean and (unbiased) deviation of their lags.
        at_once: co-occurrences at no lag to speak of, inside the window or not.
        overlapping, b_in_a, a_in_b: of the support.
        first_s, last_s: earliest and latest onset that took part.
        b_in_a_ever, a_in_b_ever: at any lag, in the window or not.
    """

    support: int
    lag_s: float
    lag_sd_s: float
    at_once: int
    overlapping: int
    b_in_a: int
    a_in_b: int
    first_s: float
    last_s: float
    b_in_a_ever: int = 0
    a_in_b_ever: int = 0

    @classmethod
    def of(cls, evidence: PairEvidence, low: int, high: int, veto_bins: int) -> "Company":
        """What the bins low <= bin < high hold (at least one co-occurrence)."""
        fields = evidence.window(low, high)
        support = fields[COUNT]
        mean = fields[LAG] / support
        variance = (fields[LAG_SQUARED] / support - mean**2) * support / max(1, support - 1)
        return cls(
            support=support,
            lag_s=mean / 1e6,
            lag_sd_s=math.sqrt(max(variance, 0.0)) / 1e6,
            at_once=evidence.window(-veto_bins, veto_bins)[COUNT],
            overlapping=fields[OVERLAP],
            b_in_a=fields[B_IN_A],
            a_in_b=fields[A_IN_B],
            first_s=fields[FIRST] / 1e6,
            last_s=fields[LAST] / 1e6,
            b_in_a_ever=evidence.ever(B_IN_A),
            a_in_b_ever=evidence.ever(A_IN_B),
        )

    def turned(self) -> "Company":
        """The same with a and b exchanged."""
        return replace(
            self,
            lag_s=-self.lag_s,
            b_in_a=self.a_in_b,
            a_in_b=self.b_in_a,
            b_in_a_ever=self.a_in_b_ever,
            a_in_b_ever=self.b_in_a_ever,
        )


def kind_of(a: Sound, b: Sound, company: Company, config: RelationConfig) -> tuple[LinkKind, bool]:
    """The kind, and whether it points from b to a."""
    flipped = company.lag_s < 0
    if _one_event(a, b, company):
        return "twins", a.count < b.count
    if _one_sound(a, b, company, config):
        return "fragments", flipped
    if 2 * company.overlapping < company.support:
        return "sequential", flipped
    if _part_of(a, b, company, config):
        return "composite", False
    if _part_of(b, a, company.turned(), config):
        return "composite", True
    # Whoever starts first is the source; if neither does, the smaller id, so that the key stays.
    directed = company.lag_s**2 * company.support >= (2 * company.lag_sd_s) ** 2
    return "overlapping", flipped and directed


def _one_event(a: Sound, b: Sound, company: Company) -> bool:
    alike = abs(company.lag_s) <= _AT_ONCE_S and company.lag_sd_s < _AT_ONCE_SD_S
    shared = company.support >= _AT_ONCE * min(a.count, b.count)
    overlapping = 2 * company.overlapping >= company.support
    return 2 * company.at_once >= company.support or (alike and shared and overlapping)


def _one_sound(a: Sound, b: Sound, company: Company, config: RelationConfig) -> bool:
    gap_s = abs(company.lag_s) - (b if company.lag_s < 0 else a).duration_s
    of_both = company.support / max(a.count, b.count)
    short, long = sorted((a, b), key=lambda sound: sound.duration_s)
    clearly = short.duration_s < _SHORTER * long.duration_s
    of_piece = company.support / (short.count if clearly else min(a.count, b.count))
    rigid = company.lag_sd_s < config.rigid_sd_s and gap_s < config.rigid_gap_s
    piece = company.lag_sd_s < _PIECE_SD_S and gap_s < _TOUCHING_S
    inseparable = company.lag_sd_s < _INSEPARABLE_SD_S and gap_s < _TOUCHING_S
    return (
        (rigid and of_both >= config.rigid_share)
        or (piece and of_piece >= _PIECE)
        or (inseparable and of_both >= _INSEPARABLE)
    )


def _part_of(whole: Sound, part: Sound, company: Company, config: RelationConfig) -> bool:
    """Shorter, mostly inside, at its place, and not merely what is always heard with it.

    ``company`` with the whole as a.
    """
    if part.duration_s >= _SHORTER * whole.duration_s:
        return False
    fits = _fits(whole, part, company.lag_s)
    inside = company.support if fits else company.b_in_a
    if inside < _MOSTLY_INSIDE * company.support:
        return False
    elsewhere = company.b_in_a_ever - company.b_in_a
    anywhere_s = (whole.duration_s - part.duration_s) / math.sqrt(12)
    placed = company.lag_sd_s <= max(config.veto_lag_s, _PLACED * anywhere_s)
    exact = company.lag_sd_s <= _EXACT * anywhere_s
    share = _EXACT_SHARE if exact else _PLACED_SHARE
    placed = placed and inside >= share * (inside + elsewhere)
    return placed and any(_also_alone(sound.count, company.support) for sound in (whole, part))


def _fits(whole: Sound, part: Sound, lag_s: float) -> bool:
    """Inside by the usual lengths: a sound is often cut short while it is still being learnt."""
    stands_out_s = max(-lag_s, lag_s + part.duration_s - whole.duration_s)
    return stands_out_s <= _STANDS_OUT * part.duration_s


def _also_alone(count: int, together: int) -> bool:
    """Independent evidence: it occurs without the other, more often than by a mishap."""
    return count - together >= max(2, 0.2 * count)
