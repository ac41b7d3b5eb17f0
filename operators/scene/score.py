"""What was found of what was planted.

The rules are kept to the letter: a sound is found if its pattern's event F1 is above one half; a
relation is found if its kind and both ends (in the reported direction, unless the kind has none)
are the planted ones. Everything else that was reported counts as false, ends that stand for no
sound included, except what says itself that it is ``indirect``, and ``similar``, which states no
order in time. So a ``composite`` reported for sounds planted as overlapping is both a miss and a
false relation, and the other way round. ``absent`` restates a beat, so it is false only where no
beat was planted.

Invariant: pure; the order of the reports matters only in that the last state of a key holds.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

from operators.records import Occurrence, Pattern, Relation
from operators.scene.matching import Matching, match
from operators.scene.truth import PlantedRelation, Truth

KINDS = ("sequential", "overlapping", "composite", "periodic")
_SYMMETRIC = frozenset({"overlapping", "similar", "variant", "same"})
FOUND_F1 = 0.5


@dataclass(frozen=True, slots=True)
class KindScore:
    """Relations of one kind."""

    planted: int
    found: int


@dataclass(frozen=True, slots=True)
class Score:
    """Counts, and the figures of the discovery benchmark.

    Attributes:
        patterns_planted: sounds that recur.
        patterns_found: of these, mapped to a pattern with an event F1 above one half.
        patterns_merged: of these, sharing a pattern that covers at least half of each.
        relations_planted, relations_found, relations_false: see the module.
        by_kind: planted and found relations of every kind that can be planted.
        patterns_extra: reported patterns with occurrences that stand for no sound.
        event_f1: strict: hits within mapped pairs against all planted and all reported events.
        b_cubed_f: B-cubed F over all events (Bagga and Baldwin, 1998); what was missed is alone.
        onset_error_ms: median distance of the hits' onsets; None without a hit.
        lag_error_ms: median error of found fixed lags; None without any.
        sounds: every planted sound with its pattern ("" if none) and its event F1.
    """

    patterns_planted: int
    patterns_found: int
    patterns_merged: int
    relations_planted: int
    relations_found: int
    relations_false: int
    by_kind: dict[str, KindScore]
    patterns_extra: int
    event_f1: float
    b_cubed_f: float
    onset_error_ms: float | None
    lag_error_ms: float | None
    sounds: dict[str, tuple[str, float]]

    def as_event(self) -> dict[str, object]:
        """The ``score`` line of the demo."""
        return {
            "event": "score",
            "patterns_planted": self.patterns_planted,
            "patterns_found": self.patterns_found,
            "patterns_merged": self.patterns_merged,
            "relations_planted": self.relations_planted,
            "relations_found": self.relations_found,
            "relations_false": self.relations_false,
            "by_kind": {
                kind: {"planted": score.planted, "found": score.found}
                for kind, score in self.by_kind.items()
            },
            "patterns_extra": self.patterns_extra,
            "event_f1": round(self.event_f1, 4),
            "b_cubed_f": round(self.b_cubed_f, 4),
            "onset_error_ms": _rounded(self.onset_error_ms),
            "lag_error_ms": _rounded(self.lag_error_ms),
        }


def score(
    truth: Truth,
    occurrences: Sequence[Occurrence],
    patterns: Sequence[Pattern],
    relations: Sequence[Relation],
) -> Score:
    """Scores the final results of one stream.

    Args:
        truth: what was planted.
        occurrences: as they stand in the end; of equal keys the last one holds.
        patterns: all states in order; only the aliases of merged ones are taken from them.
        relations: all states in order; withdrawn ones count as not reported.
    """
    into = aliases(patterns)
    heard = resolved(occurrences, into)
    matching = match(truth, heard)
    by_kind, found, false, lag_errors = _judge(truth, matching, _final(relations, into))
    hits = [
        (event, occurrence)
        for event, occurrence in matching.pairs
        if matching.mapping.get(truth.events[event].sound) == heard[occurrence].pattern
    ]
    sounds = truth.planted()
    planted_events = sum(event.sound in set(sounds) for event in truth.events)
    away = [abs(truth.events[e].start_s - heard[o].start_s) for e, o in hits]
    return Score(
        patterns_planted=len(sounds),
        patterns_found=sum(f1 > FOUND_F1 for f1 in matching.f1.values()),
        patterns_merged=len(frozenset().union(*fused(truth, heard, matching))),
        relations_planted=len(truth.relations),
        relations_found=found,
        relations_false=false,
        by_kind=by_kind,
        patterns_extra=len({o.pattern for o in heard} - set(matching.mapping.values())),
        event_f1=2 * len(hits) / max(1, planted_events + len(heard)),
        b_cubed_f=_b_cubed(truth, heard, matching),
        onset_error_ms=1000 * median(away) if away else None,
        lag_error_ms=1000 * median(lag_errors) if lag_errors else None,
        sounds={s: (matching.mapping.get(s, ""), matching.f1.get(s, 0.0)) for s in sounds},
    )


def aliases(patterns: Sequence[Pattern]) -> dict[str, str]:
    """Survivor of every merged pattern, through chains of merges."""
    last = {pattern.pattern: pattern for pattern in patterns}
    direct = {p.pattern: p.into for p in last.values() if p.status == "merged" and p.into}
    resolved = {}
    for name in direct:
        target, seen = name, {name}
        while target in direct and direct[target] not in seen:
            target = direct[target]
            seen.add(target)
        resolved[name] = target
    return resolved


def resolved(occurrences: Sequence[Occurrence], into: Mapping[str, str]) -> list[Occurrence]:
    """Occurrences under their survivors' names, each once; earliest first."""
    unique: dict[tuple[str, int], Occurrence] = {}
    for heard in occurrences:
        name = into.get(heard.pattern, heard.pattern)
        unique[name, heard.start_ns] = replace(heard, pattern=name)
    return sorted(unique.values(), key=lambda heard: (heard.start_s, heard.pattern))


def _final(relations: Sequence[Relation], into: Mapping[str, str]) -> list[Relation]:
    """Last state of every relation that still holds, its ends resolved, each once."""
    last = {relation.key: relation for relation in relations}
    unique: dict[tuple[str, str, str], Relation] = {}
    for relation in last.values():
        if relation.withdrawn:
            continue
        source, target = (into.get(end, end) for end in (relation.source, relation.target))
        if relation.kind in _SYMMETRIC:
            source, target = sorted((source, target))
        # A direct statement outweighs an indirect one about the same pair.
        key = (relation.kind, source, target)
        if key not in unique or not relation.indirect:
            unique[key] = replace(relation, source=source, target=target)
    return list(unique.values())


def _key(kind: str, source: str, target: str) -> tuple[str, str, str]:
    ends = sorted((source, target)) if kind in _SYMMETRIC else [source, target]
    return kind, ends[0], ends[1]


def _judge(
    truth: Truth, matching: Matching, relations: Sequence[Relation]
) -> tuple[dict[str, KindScore], int, int, list[float]]:
    """Found relations by kind and in all, the false ones, errors of the found lags in seconds."""
    planted = {_key(r.kind, r.source, r.target): r for r in truth.relations}
    beats = {r.source for r in truth.relations if r.kind == "periodic"}
    sound = {pattern: name for name, pattern in matching.mapping.items()} | {"": ""}
    found: dict[tuple[str, str, str], Relation] = {}
    false = 0
    for relation in relations:
        ends = sound.get(relation.source, "?"), sound.get(relation.target, "?")
        key = _key(relation.kind, *ends)
        if relation.indirect or relation.kind in ("similar", "variant"):
            continue
        if key in planted:
            found[key] = relation
        elif not (relation.kind == "absent" and ends[0] in beats):
            false += 1
    by_kind = {
        kind: KindScore(
            planted=sum(r.kind == kind for r in truth.relations),
            found=sum(key[0] == kind for key in found),
        )
        for kind in KINDS
    }
    errors = [_lag_error(planted[key], relation) for key, relation in found.items()]
    return by_kind, len(found), false, [error for error in errors if error is not None]


def _lag_error(planted: PlantedRelation, reported: Relation) -> float | None:
    if planted.lag_s is None or reported.lag_s is None:
        return None
    return abs(planted.lag_s - reported.lag_s)


def fused(truth: Truth, heard: Sequence[Occurrence], matching: Matching) -> set[frozenset[str]]:
    """Pairs of planted sounds that share a pattern which covers at least half of each."""
    sizes = Counter(event.sound for event in truth.events)
    covered = Counter(
        (truth.events[event].sound, heard[occurrence].pattern)
        for event, occurrence in matching.pairs
    )
    by_pattern: dict[str, list[str]] = defaultdict(list)
    for (sound, pattern), count in covered.items():
        if sizes[sound] > 1 and 2 * count >= sizes[sound]:
            by_pattern[pattern].append(sound)
    return {frozenset(pair) for sounds in by_pattern.values() for pair in combinations(sounds, 2)}


def _b_cubed(truth: Truth, heard: Sequence[Occurrence], matching: Matching) -> float:
    """Harmonic mean of B-cubed precision and recall; events without an occurrence are alone."""
    cluster = {event: heard[occurrence].pattern for event, occurrence in matching.pairs}
    labels = [
        (event.sound, cluster.get(number, f"|{number}"))
        for number, event in enumerate(truth.events)
    ]
    if not labels:
        return 0.0
    both = Counter(labels)
    of_sound = Counter(sound for sound, _ in labels)
    of_cluster = Counter(pattern for _, pattern in labels)
    precision = sum(both[label] / of_cluster[label[1]] for label in labels) / len(labels)
    recall = sum(both[label] / of_sound[label[0]] for label in labels) / len(labels)
    return 2 * precision * recall / (precision + recall)


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
