"""Which planted event is which reported occurrence, and which pattern stands for which sound.

Two steps. First every sound is held against every pattern: how many of their onsets pair up one to
one within ``TOLERANCE_S`` gives an F1 each, and the assignment with the largest sum maps patterns
to sounds one to one. Then all events and all occurrences are paired one to one: as many as possible
within mapped pairs, then as many as possible at all, then as close as possible. What a pattern
covers of a sound that is not its own shows in the second step only.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from operators.records import Occurrence
from operators.scene.assignment import assign
from operators.scene.truth import PlantedEvent, Truth

TOLERANCE_S = 0.5
# Any number of the lesser weighs less than one of the greater.
_MAPPED, _ANY = 1e8, 1e4


@dataclass(frozen=True, slots=True)
class Matching:
    """Result of holding reports against the truth.

    Attributes:
        mapping: pattern of every sound that has one.
        f1: event F1 of every mapped sound with its pattern.
        pairs: (event, occurrence) matched one to one; positions in the sequences handed in.
    """

    mapping: dict[str, str]
    f1: dict[str, float]
    pairs: tuple[tuple[int, int], ...]


def match(truth: Truth, occurrences: Sequence[Occurrence]) -> Matching:
    """Matches occurrences (aliases resolved, each once) with the planted events."""
    by_sound: dict[str, list[float]] = defaultdict(list)
    by_pattern: dict[str, list[float]] = defaultdict(list)
    recurring = set(truth.planted())
    for event in truth.events:
        if event.sound in recurring:
            by_sound[event.sound].append(event.start_s)
    for occurrence in occurrences:
        by_pattern[occurrence.pattern].append(occurrence.start_s)
    sounds, patterns = sorted(by_sound), sorted(by_pattern)
    f1 = np.zeros((len(sounds), len(patterns)))
    for row, sound in enumerate(sounds):
        for column, pattern in enumerate(patterns):
            both = len(by_sound[sound]) + len(by_pattern[pattern])
            f1[row, column] = 2 * paired(by_sound[sound], by_pattern[pattern]) / both
    mapped = assign(f1)
    mapping = {sounds[row]: patterns[column] for row, column in mapped}
    scores = {sounds[row]: float(f1[row, column]) for row, column in mapped}
    return Matching(mapping, scores, _pairs(truth.events, occurrences, mapping))


def paired(left_s: Sequence[float], right_s: Sequence[float]) -> int:
    """Largest number of one-to-one pairs within the tolerance.

    Pairing in order of time is optimal on a line: whenever the two earliest unpaired onsets fit,
    some optimal pairing contains that pair; where they do not, the earlier one fits nothing.
    """
    left, right = sorted(left_s), sorted(right_s)
    count = i = j = 0
    while i < len(left) and j < len(right):
        if abs(left[i] - right[j]) <= TOLERANCE_S:
            count, i, j = count + 1, i + 1, j + 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    return count


def _pairs(
    events: Sequence[PlantedEvent], occurrences: Sequence[Occurrence], mapping: Mapping[str, str]
) -> tuple[tuple[int, int], ...]:
    """One assignment over a stretch of time after another: what lies apart cannot interact."""
    pairs: list[tuple[int, int]] = []
    for rows, columns in _clusters(events, occurrences):
        started = np.array([events[row].start_s for row in rows])
        heard = np.array([occurrences[column].start_s for column in columns])
        away = np.abs(np.subtract.outer(started, heard))
        own = [
            [mapping.get(events[row].sound) == occurrences[column].pattern for column in columns]
            for row in rows
        ]
        worth = np.where(own, _MAPPED, 0.0) + _ANY + 1 - away
        chosen = assign(np.where(away <= TOLERANCE_S, worth, 0.0))
        pairs += [(rows[row], columns[column]) for row, column in chosen]
    return tuple(sorted(pairs))


def _clusters(
    events: Sequence[PlantedEvent], occurrences: Sequence[Occurrence]
) -> list[tuple[list[int], list[int]]]:
    """Positions of events and occurrences, cut where nothing starts for the tolerance."""
    onsets = [(event.start_s, 0, number) for number, event in enumerate(events)]
    onsets += [(heard.start_s, 1, number) for number, heard in enumerate(occurrences)]
    clusters: list[tuple[list[int], list[int]]] = []
    last_s = -np.inf
    for start_s, side, number in sorted(onsets):
        if start_s - last_s > TOLERANCE_S:
            clusters.append(([], []))
        clusters[-1][side].append(number)
        last_s = start_s
    return [(rows, columns) for rows, columns in clusters if rows and columns]
