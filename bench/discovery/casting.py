"""Which sound plays which role in a scene of the benchmark, drawn from the seed.

A is followed by B (and B by X on odd seeds), C is the beat, E lies inside D, H is part of G, F and
K go their own way and F2 is F transposed, V and V2 are spoken by one voice, N is new in the second
half, Y and Z are decoys that come in the same bursts only. L and M are *classes*: each occurrence
is one of several recordings of a kind. ``once-1`` ... are heard a single time.

Invariant: no kind plays two roles (but V and V2, F and F2, and one-offs where a small library has
no kind left); the cast is a function of seed, library and number of one-offs.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from bench.discovery.library import Clip
from operators.records import ANALYSIS_RATE_HZ
from operators.scene.sounds.cast import Sound
from operators.scene.vary import resample, stretch

SHORT_ROLES = ("A", "B", "X", "C", "E", "H", "F", "K", "N", "Y", "Z")
LONG_ROLES = {"D": (1.5, 3.5), "G": (2.0, 4.2)}
CLASSES = ("L", "M")
RECORDINGS = 5
"""Of a class, at most; three at least."""
_SHORT_S = (0.2, 1.5)
_INSIDE_S = 0.9
_TRANSPOSED_SEMITONES = (4.0, 5.0)


def cast(seed: int, library: Sequence[Clip], one_offs: int) -> tuple[Sound, ...]:
    """Every sound of a scene; a recording of a class has the role ``L.1``, ``L.2``, ...

    Raises:
        ValueError: the library is too small.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 11])))
    by_kind: dict[str, list[Clip]] = defaultdict(list)
    for clip in library:
        by_kind[clip.kind].append(clip)
    chosen = list(_recordings(rng, by_kind))
    chosen += _voices(rng, by_kind)
    rest = _Rest(rng, by_kind)
    for role, limits in LONG_ROLES.items():
        chosen.append(_as(role, rest.take(*limits)))
    longest = {"E": _INSIDE_S, "H": _INSIDE_S}
    for role in sorted(SHORT_ROLES, key=lambda role: longest.get(role, np.inf)):
        chosen.append(_as(role, rest.take(_SHORT_S[0], longest.get(role, _SHORT_S[1]))))
    free = next(sound for sound in chosen if sound.role == "F")
    chosen.append(_transposed(rng, free))
    chosen += [_as(f"once-{n + 1}", rest.take(_SHORT_S[0], 3.0)) for n in range(one_offs)]
    return tuple(chosen)


def sound_of(role: str) -> str:
    """Role without the number of a recording: what the truth calls the sound."""
    return role.partition(".")[0]


class _Rest:
    """Kinds that play no role yet, in a drawn order."""

    def __init__(self, rng: np.random.Generator, by_kind: dict[str, list[Clip]]) -> None:
        kinds = [str(kind) for kind in rng.permutation(sorted(by_kind))]
        self._clips = [by_kind[kind][int(rng.integers(len(by_kind[kind])))] for kind in kinds]
        self._spare = [clip for kind in kinds for clip in by_kind[kind]]
        self._used: set[str] = set()

    def take(self, shortest_s: float, longest_s: float) -> Clip:
        unused = [clip for clip in self._spare if clip.kind not in self._used]
        for pool in (self._clips, unused, self._spare):
            for clip in pool:
                if shortest_s <= clip.extent_s <= longest_s:
                    self._used.add(clip.kind)
                    self._clips = [c for c in self._clips if c.kind != clip.kind]
                    self._spare = [c for c in self._spare if c.name != clip.name]
                    return clip
        message = f"no sound of {shortest_s} to {longest_s} s is left: use a larger library"
        raise ValueError(message)


def _recordings(rng: np.random.Generator, by_kind: dict[str, list[Clip]]) -> Iterator[Sound]:
    """The recordings of the classes; their kinds are used up."""
    usable = {
        kind: fitting
        for kind, clips in by_kind.items()
        if len(fitting := [c for c in clips if c.extent_s <= 2.5 and not c.spoken]) >= 3
    }
    # A handful of kinds is so broad that two members have nothing in common.
    named = sorted(kind for kind in usable if len(by_kind[kind]) <= 16)
    for role, kind in zip(CLASSES, rng.permutation(named), strict=False):
        members = [usable[kind][i] for i in rng.permutation(len(usable[kind]))[:RECORDINGS]]
        del by_kind[str(kind)]
        for number, clip in enumerate(members):
            yield _as(f"{role}.{number + 1}", clip)


def _voices(rng: np.random.Generator, by_kind: dict[str, list[Clip]]) -> list[Sound]:
    """Two phrases of the one voice."""
    spoken = [clip for kind in sorted(by_kind) for clip in by_kind[kind] if clip.spoken]
    first, second = (spoken[i] for i in rng.permutation(len(spoken))[:2])
    for kind in {clip.kind for clip in spoken}:
        del by_kind[kind]
    return [_as("V", first), _as("V2", second)]


def _as(role: str, clip: Clip) -> Sound:
    name = role if role.startswith("once") else f"{role}-{clip.name}"
    return Sound(name, role, clip.kind, clip.samples, clip.extent_s)


def _transposed(rng: np.random.Generator, sound: Sound) -> Sound:
    """The same at another pitch and of the same length."""
    semitones = float(rng.uniform(*_TRANSPOSED_SEMITONES) * rng.choice([-1, 1]))
    speed = 2 ** (semitones / 12)
    samples = resample(stretch(sound.samples.astype(np.float64), 1 / speed), speed)
    samples = (samples / np.max(np.abs(samples))).astype(np.float32)
    samples.flags.writeable = False
    extent_s = min(sound.extent_s, len(samples) / ANALYSIS_RATE_HZ)
    return Sound(f"F2-{sound.name[2:]}", "F2", sound.kind, samples, extent_s)
