"""Sounds of one kind: are their patterns joined by ``variant``, rather than fused into one?

Planted are F with F2 (transposed), V with V2 (one voice) and every two recordings of one class.
Only pairs whose two sounds were found can be joined; a join of anything else is false. No model is
asked: only what the templates themselves say is scored, ``similar`` is not.

Invariant: pure, and apart from every other figure; no floor depends on it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from operators.kinship.config import KinshipConfig
from operators.kinship.variants import Variants
from operators.records import Occurrence, Pattern, Relation
from operators.scene.matching import match
from operators.scene.score import FOUND_F1, fused
from operators.scene.truth import Truth

TRANSPOSED, VOICE, CLASS = "transposed", "voice", "class"
SORTS = (TRANSPOSED, VOICE, CLASS)

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Counts, so that they can be added up over scenes.

    Attributes:
        planted: pairs of one kind, by sort.
        both_found: of these, each sound found as a pattern of its own.
        joined: of these, told to be variants.
        fused: pairs of which one pattern covers at least half of each sound.
        told, right: joins told between reported patterns, and how many of them are planted.
    """

    planted: dict[str, int]
    both_found: dict[str, int]
    joined: dict[str, int]
    fused: dict[str, int]
    told: int
    right: int


def variants_of(said: Iterable[object], config: KinshipConfig | None = None) -> list[Relation]:
    """The ``variant`` relations among the patterns as they are in the end."""
    last: dict[str, Pattern] = {}
    for item in said:
        if isinstance(item, Pattern):
            before = last.get(item.pattern)
            template = item.template or (before.template if before is not None else b"")
            last[item.pattern] = replace(item, template=template)
    variants = Variants("scene", config if config is not None else KinshipConfig())
    for pattern in last.values():
        variants.learn(pattern)
    return variants.tell(final=True)


def kinds(
    truth: Truth,
    similar: Sequence[Pair],
    classes: Mapping[str, str],
    heard: Sequence[Occurrence],
    variants: Sequence[Relation],
) -> Kinds:
    """Holds the joins among reported patterns against the planted kinds.

    Args:
        truth: with the events of classes.
        similar: the transposed pair, then the pair of one voice.
        classes: sound -> class.
        heard: occurrences of reported patterns, as they stand.
        variants: relations between patterns; those of patterns that are not reported are left out.
    """
    matching = match(truth, heard)
    found = {s: p for s, p in matching.mapping.items() if matching.f1[s] > FOUND_F1}
    reported = {occurrence.pattern for occurrence in heard}
    told = {frozenset((v.source, v.target)) for v in variants if not v.withdrawn}
    told = {pair for pair in told if pair <= reported}
    together = fused(truth, heard, matching)
    planted = planted_pairs(similar, classes)
    counts = {name: dict.fromkeys(SORTS, 0) for name in ("planted", "found", "joined", "fused")}
    right = set()
    for (first, second), sort in planted.items():
        counts["planted"][sort] += 1
        counts["fused"][sort] += frozenset((first, second)) in together
        if first in found and second in found:
            join = frozenset((found[first], found[second]))
            counts["found"][sort] += 1
            counts["joined"][sort] += join in told
        if first in matching.mapping and second in matching.mapping:
            right.add(frozenset((matching.mapping[first], matching.mapping[second])))
    return Kinds(
        counts["planted"],
        counts["found"],
        counts["joined"],
        counts["fused"],
        len(told),
        len(told & right),
    )


def planted_pairs(similar: Sequence[Pair], classes: Mapping[str, str]) -> dict[Pair, str]:
    """Every planted pair with its sort."""
    pairs = dict(zip(similar, (TRANSPOSED, VOICE), strict=True))
    for first, second in combinations(sorted(classes), 2):
        if classes[first] == classes[second]:
            pairs[first, second] = CLASS
    return pairs


def added(scenes: Sequence[Kinds]) -> Kinds:
    """The counts of several scenes."""

    def total(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
        listed = list(parts)
        return {sort: sum(part[sort] for part in listed) for sort in SORTS}

    return Kinds(
        total(each.planted for each in scenes),
        total(each.both_found for each in scenes),
        total(each.joined for each in scenes),
        total(each.fused for each in scenes),
        sum(each.told for each in scenes),
        sum(each.right for each in scenes),
    )
