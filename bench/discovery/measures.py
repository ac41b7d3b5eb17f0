"""How close what was said comes to what was planted.

Strict figures hold everything reported against the sounds that recur: patterns are mapped to them
one to one, and what is reported of an unmapped pattern counts as false. Events of classes are
nobody's business there: they, and what was reported for them, are left out. As a rule for every
candidate alike, a pattern is reported once it has three occurrences.

Invariant: pure; see ``operators/scene/score.py`` for the rules it shares with ``grym demo``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from operators.records import Occurrence, Pattern, Relation
from operators.revision import Revision, settled
from operators.scene.matching import TOLERANCE_S, Matching, match
from operators.scene.score import Score, aliases, resolved, score
from operators.scene.truth import Truth

REPORTED = 3
FROZEN_AFTER_S = 120.0
LIVE_WITHIN_S = 10.0
BINS = 10


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures of one candidate on one scene.

    Attributes:
        b_cubed, ari: agreement of the labels of events; what was missed is alone.
        event_f1: strict.
        found: share of the sounds with an F1 above one half.
        extra: reported patterns that stand for no sound.
        one_offs: how many of the sounds heard once were taken for one of a pattern.
        onset_ms: median distance of the onsets of hits.
        relation_precision, relation_recall: 1.0 where nothing was reported; NaN where nothing
            of the sort is told.
    """

    b_cubed: float
    ari: float
    event_f1: float
    found: float
    extra: float
    one_offs: float
    onset_ms: float
    relation_precision: float = float("nan")
    relation_recall: float = float("nan")


def standing(said: Iterable[object], frozen_after_s: float | None = None) -> list[Occurrence]:
    """The occurrences that stand at the end, or that stood a while after each event.

    Args:
        said: occurrences, patterns and revisions in order.
        frozen_after_s: only what was said until so long after the onset counts.
    """
    listed = list(said)
    known = listed if frozen_after_s is None else [x for x in listed if _by(x, frozen_after_s)]
    return resolved(settled(known), _aliases_of(listed))


def _by(item: object, after_s: float) -> bool:
    """Whether it was said within so long after the onset that it speaks of."""
    return not isinstance(item, Occurrence | Revision) or item.emitted_s - item.start_s <= after_s


def _aliases_of(said: Iterable[object]) -> dict[str, str]:
    return aliases([item for item in said if isinstance(item, Pattern)])


def reported(
    occurrences: Sequence[Occurrence], confirmed: set[str] | None = None
) -> list[Occurrence]:
    """Of patterns with three occurrences or more (and confirmed, where that is said)."""
    counts = Counter(o.pattern for o in occurrences)
    return [
        o
        for o in occurrences
        if counts[o.pattern] >= REPORTED and (confirmed is None or o.pattern in confirmed)
    ]


def confirmed_of(said: Iterable[object]) -> set[str]:
    """Patterns whose last state is confirmed."""
    last = {item.pattern: item.status for item in said if isinstance(item, Pattern)}
    return {name for name, status in last.items() if status == "confirmed"}


@dataclass(frozen=True, slots=True)
class Strict:
    """The strict view of a scene: classes left out on both sides."""

    truth: Truth
    heard: list[Occurrence]
    matching: Matching
    score: Score


def strict(
    truth: Truth,
    classes: Iterable[str],
    heard: Sequence[Occurrence],
    relations: Sequence[Relation] = (),
) -> Strict:
    """Leaves out the events of classes and what was reported for them, then scores."""
    of_class = set(classes)
    everything = match(truth, heard)
    ignored = {
        occurrence
        for event, occurrence in everything.pairs
        if truth.events[event].sound in of_class
    }
    kept_truth = Truth(tuple(e for e in truth.events if e.sound not in of_class), truth.relations)
    kept = [o for number, o in enumerate(heard) if number not in ignored]
    return Strict(kept_truth, kept, match(kept_truth, kept), score(kept_truth, kept, (), relations))


def measure(
    truth: Truth,
    classes: Iterable[str],
    heard: Sequence[Occurrence],
    relations: Sequence[Relation] | None = None,
) -> Measures:
    """All figures of what a candidate reports in the end."""
    view = strict(truth, classes, heard, relations or ())
    scored = view.score
    once = [
        number for number, event in enumerate(view.truth.events) if event.sound.startswith("once")
    ]
    taken = {event for event, _ in view.matching.pairs} & set(once)
    figures = Measures(
        b_cubed=scored.b_cubed_f,
        ari=_adjusted_rand(view),
        event_f1=scored.event_f1,
        found=scored.patterns_found / max(1, scored.patterns_planted),
        extra=scored.patterns_extra,
        one_offs=len(taken),
        onset_ms=scored.onset_error_ms if scored.onset_error_ms is not None else float("nan"),
    )
    if relations is None:
        return figures
    reported_ = scored.relations_found + scored.relations_false
    return replace(
        figures,
        relation_precision=scored.relations_found / reported_ if reported_ else 1.0,
        relation_recall=scored.relations_found / max(1, scored.relations_planted),
    )


def recognised_from(truth: Truth, said: Sequence[object], view: Strict) -> float:
    """Median over the mapped sounds: the how-manieth occurrence was the first recognised live."""
    live = [
        item
        for item in said
        if isinstance(item, Occurrence)
        and not item.backfilled
        and item.emitted_s - item.end_s <= LIVE_WITHIN_S
    ]
    at: dict[str, list[float]] = defaultdict(list)
    for item in resolved(live, _aliases_of(said)):
        at[item.pattern].append(item.start_s)
    firsts = []
    for sound, pattern in view.matching.mapping.items():
        starts = [event.start_s for event in truth.events if event.sound == sound]
        onsets = np.array(at.get(pattern, ()))
        near = [n + 1 for n, s in enumerate(starts) if np.any(np.abs(onsets - s) <= TOLERANCE_S)]
        firsts.append(near[0] if near else len(starts) + 1)
    return float(median(firsts)) if firsts else float("nan")


def onset_recall(truth: Truth, onsets_s: Sequence[float], within_s: float = 0.2) -> float:
    """Share of all events near which an onset was detected: the ceiling of all that follows."""
    onsets = np.sort(np.asarray(onsets_s))
    starts = np.array([event.start_s for event in truth.events])
    at = np.searchsorted(onsets, starts)
    left = np.abs(starts - onsets[np.clip(at - 1, 0, len(onsets) - 1)])
    right = np.abs(starts - onsets[np.clip(at, 0, len(onsets) - 1)])
    return float(np.mean(np.minimum(left, right) <= within_s))


def judged(view: Strict) -> list[tuple[float, bool]]:
    """Score of every reported occurrence, and whether it is what it is said to be."""
    right = {
        occurrence
        for event, occurrence in view.matching.pairs
        if view.matching.mapping.get(view.truth.events[event].sound)
        == view.heard[occurrence].pattern
    }
    return [(o.score, number in right) for number, o in enumerate(view.heard)]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Claimed against observed: bins of scores, and the expected calibration error.

    Attributes:
        rows: (lower edge, count, mean score, share right) of every bin with something in it.
        ece: mean distance of claim and observation, weighted by count (Guo et al., 2017).
    """

    rows: tuple[tuple[float, int, float, float], ...]
    ece: float


def reliability(pairs: Sequence[tuple[float, bool]]) -> Reliability:
    """Holds scores against what was right."""
    claimed = np.array([score for score, _ in pairs])
    right = np.array([ok for _, ok in pairs], dtype=float)
    number = np.minimum((claimed * BINS).astype(int), BINS - 1)
    rows = []
    for bin_ in range(BINS):
        inside = number == bin_
        if inside.any():
            rows.append(
                (
                    bin_ / BINS,
                    int(inside.sum()),
                    float(claimed[inside].mean()),
                    float(right[inside].mean()),
                )
            )
    total = max(1, len(claimed))
    ece = sum(n * abs(mean - share) for _, n, mean, share in rows) / total
    return Reliability(tuple(rows), float(ece))


def _adjusted_rand(view: Strict) -> float:
    """Adjusted Rand index (Hubert and Arabie, 1985); what was missed is alone."""
    cluster = {event: view.heard[o].pattern for event, o in view.matching.pairs}
    labels = [(e.sound, cluster.get(n, f"|{n}")) for n, e in enumerate(view.truth.events)]

    def pairs(counts: Iterable[int]) -> float:
        return sum(n * (n - 1) / 2 for n in counts)

    both = pairs(Counter(labels).values())
    rows = pairs(Counter(a for a, _ in labels).values())
    columns = pairs(Counter(b for _, b in labels).values())
    total = pairs([len(labels)])
    expected = rows * columns / total if total else 0.0
    most = (rows + columns) / 2
    return float((both - expected) / (most - expected)) if most > expected else 1.0
