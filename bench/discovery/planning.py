"""What is heard when in a scene of the benchmark: onsets by role, before any audio.

Eighteen sounds and two classes, some 330 events in 900 s, a third of them touched by another one.
A draw in which chance alone made a relation is thrown away (``operators/scene/chance.py``), so that
what is not in the truth is not in the audio either; the decoys are the exception: they share bursts
and nothing else, which no relation must be made of.

Invariant: the plan is a function of seed, duration, preset and extents alone.
"""

from collections.abc import Callable, Mapping

import numpy as np

from operators.scene.chance import looks_related
from operators.scene.plan import PlannedEvent, Spacing, Timetable, beat, timed, variation
from operators.scene.presets import Preset

FOLLOW_B, FOLLOW_X, CONTAIN_E, CONTAIN_H = 0.8, 0.75, 0.85, 0.9
NEW_FROM = 0.55
BURSTS, BURST_S = 4, 30.0
_LEAD_S, _TAIL_S = 4.0, 1.5
_DRAWS, _TRIES = 400, 400
_REFERENCE_S = 900.0
_OWN = {"A": (12, 16), "B": (4, 6), "X": (8, 12), "D": (11, 15), "E": (4, 6), "G": (10, 13)}
_OWN |= {"H": (4, 6), "F": (8, 16), "F2": (8, 14), "K": (12, 24), "V": (8, 12), "V2": (8, 12)}
_OWN |= {"N": (8, 10), "L": (10, 14), "M": (10, 14), "Y": (10, 12), "Z": (10, 12)}


def plan(
    seed: int, duration_s: float, preset: Preset, extents: Mapping[str, float]
) -> tuple[Spacing, tuple[PlannedEvent, ...]]:
    """Draws a plan.

    Args:
        seed: of the scene.
        duration_s: at least 300.
        preset: how occurrences vary.
        extents: length in seconds of every role; recordings of a class as ``L.1``, ...

    Raises:
        ValueError: no plan could be drawn.
    """
    for draw in range(_DRAWS):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 13, draw])))
        spacing = _spacing(rng, seed, extents)
        starts = _place(rng, duration_s, spacing, extents)
        if starts is not None and not _accidental(starts, spacing, duration_s, extents):
            break
    else:
        raise ValueError(f"seed {seed}: no plan of {duration_s:g} s found; take another seed")
    ordered = sorted((start, role) for role, onsets in starts.items() for start in onsets)
    return spacing, tuple(
        PlannedEvent(role, start, variation(rng, preset)) for start, role in ordered
    )


def _accidental(
    starts: dict[str, list[float]],
    spacing: Spacing,
    duration_s: float,
    extents: Mapping[str, float],
) -> bool:
    pairs = ["AB", "DE", "GH", "YZ", *(["BX", "AX"] if spacing.lag_x_s is not None else [])]
    strict = {role: onsets for role, onsets in starts.items() if role[0] not in "LM"}
    return looks_related(strict, extents, duration_s, frozenset(frozenset(p) for p in pairs))


def _spacing(rng: np.random.Generator, seed: int, extents: Mapping[str, float]) -> Spacing:
    # A follower starts after the leader has ended, or it would be an overlap.
    lag_b, lag_x = (float(rng.uniform(max(0.8, extents[r] + 0.25), 3.0)) for r in ("A", "B"))
    room = extents["G"] - extents["H"]
    offset = float(rng.uniform(0.1 * extents["G"], room - 0.1))
    return Spacing(lag_b, lag_x if seed % 2 else None, float(rng.uniform(9, 17)), offset)


def _place(
    rng: np.random.Generator, duration_s: float, spacing: Spacing, extents: Mapping[str, float]
) -> dict[str, list[float]] | None:
    table = Timetable(_LEAD_S, duration_s - _TAIL_S, extents)
    scale = duration_s / _REFERENCE_S
    own = {
        role: max(6, round(int(rng.integers(low, high + 1)) * scale))
        for role, (low, high) in _OWN.items()
    }
    table.starts["C"] = beat(rng, _LEAD_S, table.last_s - extents["C"], spacing.period_s)
    once = [[role] for role in extents if role.startswith("once")]
    bursts = rng.uniform(0.02, 0.98, BURSTS) * (duration_s - BURST_S)
    for group in sorted(_groups(rng, spacing, own, extents), key=len, reverse=True) + once:
        drawn = _when(rng, group[0], duration_s, bursts)
        for _ in range(_TRIES):
            if table.admit(timed(rng, group, drawn(), spacing, extents)):
                break
        else:
            return None
    return table.starts


def _when(
    rng: np.random.Generator, role: str, duration_s: float, bursts: np.ndarray[tuple[int]]
) -> Callable[[], float]:
    """Where a group may begin: anywhere, late, or in a burst."""
    if role in ("Y", "Z"):
        return lambda: float(rng.choice(bursts) + rng.uniform(0, BURST_S))
    first = NEW_FROM * duration_s if role == "N" else _LEAD_S
    return lambda: float(rng.uniform(first, duration_s - _TAIL_S))


def _groups(
    rng: np.random.Generator, spacing: Spacing, own: dict[str, int], extents: Mapping[str, float]
) -> list[list[str]]:
    """Who comes with whom: exactly the stated share is followed, which ones is chance."""

    def split(leader: str, follower: str, share: float) -> list[list[str]]:
        followed = rng.permutation(own[leader]) < round(share * own[leader])
        return [[leader, follower] if yes else [leader] for yes in followed]

    groups = split("A", "B", FOLLOW_B) + [["B"]] * own["B"]
    if spacing.lag_x_s is None:
        groups += [["X"]] * own["X"]
    else:
        leading = [number for number, group in enumerate(groups) if group[-1] == "B"]
        chosen = rng.permutation(leading)[: round(FOLLOW_X * len(leading))]
        groups = [[*g, "X"] if number in chosen else g for number, g in enumerate(groups)]
    groups += split("D", "E", CONTAIN_E) + split("G", "H", CONTAIN_H)
    for role in ("E", "H", "F", "F2", "K", "V", "V2", "N", "Y", "Z"):
        groups += [[role]] * own[role]
    for role in ("L", "M"):
        recordings = sorted(name for name in extents if name.startswith(f"{role}."))
        drawn = rng.permutation(np.resize(recordings, own[role]))
        groups += [[str(recording)] for recording in drawn]
    return groups
