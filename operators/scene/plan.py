"""What is heard when: the symbolic plan of a scene, before any audio.

Ten sounds recur: A -> B (on odd seeds B -> X), the beat C, D with E anywhere inside it, G with its
part H at a fixed place, F and K free; B, E and H are also heard on their own. Distractors come
once. Free occurrences are placed uniformly at random, whatever else is sounding; only two onsets of
one sound keep ``APART_S``. A draw in which chance alone made a relation (chance.py) is thrown away
and the next one taken, so that what is not in the truth is not in the audio either.

Measured at 300 s: some 100 events, half of them touched by another sound, a third of them covered
to at least a half.

Invariant: the plan is a function of seed, duration, preset and extents alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from operators.scene.chance import looks_related
from operators.scene.presets import Preset

APART_S = 0.5
"""Least distance between two onsets of one sound: the tolerance of the score."""
FOLLOW_B, FOLLOW_X, CONTAIN_E, CONTAIN_H = 0.8, 0.75, 0.85, 0.9
LAG_SD_S, OFFSET_SD_S, JITTER_S = 0.1, 0.04, 0.08
MISSING_BEATS = 0.05
SHORTEST_S = 120.0
_LEAD_S, _TAIL_S = 2.5, 1.0
_DRAWS = 200
_REFERENCE_S = 300.0

# Own occurrences of each role in 300 s; B, X, E and H get more by following or lying inside.
_OWN = {"A": (8, 10), "B": (2, 4), "X": (6, 8), "D": (7, 8), "E": (3, 4), "G": (7, 8)}
_OWN |= {"H": (3, 4), "F": (6, 8), "K": (6, 8)}


@dataclass(frozen=True, slots=True)
class Variation:
    """How one occurrence differs from its sound.

    Attributes:
        gain_db: change of level.
        speed: of playing; above 1 is higher and shorter.
        tempo: of playing at the same pitch; above 1 is shorter.
        tilt_db: change of level at the upper end of the spectrum, its negative at the lower end.
        distance: 0 (dry) to 1 (the room as far up as the preset allows).
    """

    gain_db: float = 0.0
    speed: float = 1.0
    tempo: float = 1.0
    tilt_db: float = 0.0
    distance: float = 0.0


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """One occurrence: the role heard, when, and how it is varied."""

    role: str
    start_s: float
    variation: Variation


@dataclass(frozen=True, slots=True)
class Spacing:
    """The numbers that hold throughout a scene: lags, period, offset.

    Attributes:
        lag_b_s, lag_x_s: onset-to-onset lags of A -> B and B -> X; ``lag_x_s`` None on even seeds.
        period_s: of the beat C.
        offset_h_s: where H lies in G.
    """

    lag_b_s: float
    lag_x_s: float | None
    period_s: float
    offset_h_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All occurrences in order of their start, and the numbers they were drawn with."""

    duration_s: float
    spacing: Spacing
    events: tuple[PlannedEvent, ...]


@dataclass(slots=True)
class Timetable:
    """Onsets placed so far; refuses what does not fit.

    Attributes:
        first_s: nothing sets in earlier.
        last_s: nothing sounds later.
        extents: length in seconds of every role.
        starts: onsets by role.
    """

    first_s: float
    last_s: float
    extents: Mapping[str, float]
    starts: dict[str, list[float]] = field(default_factory=dict)

    def admit(self, group: list[tuple[str, float]]) -> bool:
        """Places all of a group or nothing."""
        for role, start in group:
            if not self.first_s <= start <= self.last_s - self.extents[role]:
                return False
            if any(abs(start - other) < APART_S for other in self.starts.get(role, ())):
                return False
        for role, start in group:
            self.starts.setdefault(role, []).append(start)
        return True


def plan(seed: int, duration_s: float, preset: Preset, extents: Mapping[str, float]) -> Plan:
    """Draws the plan of a scene.

    Args:
        seed: of the scene.
        duration_s: at least ``SHORTEST_S``; numbers of occurrences grow with it.
        preset: how occurrences vary.
        extents: length in seconds of every role, one-offs included.

    Raises:
        ValueError: the duration is too short for ten sounds to recur.
    """
    if duration_s < SHORTEST_S:
        message = f"a scene of {duration_s:g} s is too short: ask for {SHORTEST_S:g} s or more"
        raise ValueError(message)
    for draw in range(_DRAWS):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 3, draw])))
        spacing = _spacing(rng, seed, duration_s, extents)
        starts = _place(rng, duration_s, spacing, extents)
        if starts is not None and not looks_related(starts, extents, duration_s, _known(spacing)):
            break
    else:
        message = f"seed {seed}: no free plan of {duration_s:g} s found; take another seed"
        raise ValueError(message)
    ordered = sorted((start, role) for role, onsets in starts.items() for start in onsets)
    events = (PlannedEvent(role, start, variation(rng, preset)) for start, role in ordered)
    return Plan(duration_s, spacing, tuple(events))


def _spacing(
    rng: np.random.Generator, seed: int, duration_s: float, extents: Mapping[str, float]
) -> Spacing:
    # A follower starts after the leader has ended, or it would be an overlap.
    lag_b, lag_x = (float(rng.uniform(max(0.8, extents[r] + 0.25), 2.5)) for r in ("A", "B"))
    slowest = min(17.0, duration_s / 7)
    period = rng.uniform(min(max(9.0, duration_s / 19.5), 15.0), slowest)
    room = extents["G"] - extents["H"]
    offset = rng.uniform(0.1 * extents["G"], room - 0.1)
    return Spacing(lag_b, lag_x if seed % 2 else None, float(period), float(offset))


def _known(spacing: Spacing) -> frozenset[frozenset[str]]:
    """Pairs of roles that are meant to be related, or are through a third."""
    pairs = ["AB", "DE", "GH", *(["BX", "AX"] if spacing.lag_x_s is not None else [])]
    return frozenset(frozenset(pair) for pair in pairs)


def _place(
    rng: np.random.Generator, duration_s: float, spacing: Spacing, extents: Mapping[str, float]
) -> dict[str, list[float]] | None:
    """Onsets by role; None where a group found no place."""
    table = Timetable(_LEAD_S, duration_s - _TAIL_S, extents)
    own = {r: _count(rng, low, high, duration_s) for r, (low, high) in _OWN.items()}
    groups = _groups(rng, spacing, own)
    once = [[role] for role in extents if role.startswith("once")]
    table.starts["C"] = beat(rng, _LEAD_S, table.last_s - extents["C"], spacing.period_s)
    # The tightest first: what has company needs more room.
    for group in sorted(groups, key=len, reverse=True) + once:
        for _ in range(_DRAWS):
            start = float(rng.uniform(_LEAD_S, duration_s - _TAIL_S))
            if table.admit(timed(rng, group, start, spacing, extents)):
                break
        else:
            return None
    return table.starts


def _count(rng: np.random.Generator, low: int, high: int, duration_s: float) -> int:
    scale = duration_s / _REFERENCE_S
    return max(min(low, 6), round(int(rng.integers(low, high + 1)) * scale))


def _groups(rng: np.random.Generator, spacing: Spacing, own: dict[str, int]) -> list[list[str]]:
    """Who comes with whom: exactly the stated share is followed, which ones is chance."""

    def split(leader: str, count: int, follower: str, share: float) -> list[list[str]]:
        followed = rng.permutation(count) < round(share * count)
        return [[leader, follower] if yes else [leader] for yes in followed]

    groups = split("A", own["A"], "B", FOLLOW_B) + [["B"]] * own["B"]
    if spacing.lag_x_s is None:
        groups += [["X"]] * own["X"]
    else:
        leading = [number for number, group in enumerate(groups) if group[-1] == "B"]
        chosen = rng.permutation(leading)[: max(6, round(FOLLOW_X * len(leading)))]
        groups = [[*g, "X"] if number in chosen else g for number, g in enumerate(groups)]
    groups += split("D", own["D"], "E", CONTAIN_E) + split("G", own["G"], "H", CONTAIN_H)
    return groups + [[role] for role in "EHFK" for _ in range(own[role])]


def timed(
    rng: np.random.Generator,
    group: list[str],
    start_s: float,
    spacing: Spacing,
    extents: Mapping[str, float],
) -> list[tuple[str, float]]:
    """Onsets of a group that begins at ``start_s``; each member is placed by the one before."""
    placed = [(group[0], start_s)]
    for role in group[1:]:
        before, onset = placed[-1]
        if role == "E":
            lag = float(rng.uniform(0, extents[before] - extents[role]))
        elif role == "H":
            lag = float(rng.normal(spacing.offset_h_s, OFFSET_SD_S))
        else:
            mean = spacing.lag_b_s if role == "B" else spacing.lag_x_s or 0.0
            lag = float(rng.normal(mean, LAG_SD_S))
        placed.append((role, onset + lag))
    return placed


def beat(
    rng: np.random.Generator, earliest_s: float, latest_s: float, period_s: float
) -> list[float]:
    """The beat over the whole scene: jitter about a fixed grid, a few beats left out."""
    reach = 4 * JITTER_S
    first = rng.uniform(earliest_s + reach, period_s)
    grid = np.arange(first, latest_s - reach, period_s)
    missing = 1 + rng.permutation(len(grid) - 2)[: round(MISSING_BEATS * len(grid))]
    kept = np.delete(grid, missing)
    jitter = np.clip(rng.normal(0, JITTER_S, len(kept)), -reach, reach)
    return [float(beat) for beat in kept + jitter]


def variation(rng: np.random.Generator, preset: Preset) -> Variation:
    """Draws how one occurrence differs from its sound."""
    tempo = 1 + float(rng.uniform(-preset.tempo_range, preset.tempo_range))
    return Variation(
        gain_db=float(rng.uniform(*preset.gain_db)),
        speed=1 + float(np.clip(rng.normal(0, preset.speed_sd), -0.1, 0.1)),
        tempo=tempo if rng.uniform() < preset.tempo_share else 1.0,
        tilt_db=float(rng.uniform(-preset.tilt_db, preset.tilt_db)),
        distance=float(rng.uniform()),
    )
