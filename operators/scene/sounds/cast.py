"""The cast of a scene: which kind of sound plays which role, drawn from the seed.

Roles are those of the plan: A is followed by B (and B by X), C is the beat, E lies inside D, H is
part of G, F and K go their own way; ``once-1`` ... are heard a single time. Within a scene no kind
plays two roles, so what is planted as two sounds never is one sound with other numbers; what a kind
sounds like (strings, partials, rhythm, contours) is drawn anew for every seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from operators.records import ANALYSIS_RATE_HZ, Floats
from operators.scene.sounds import noisy, phrases, pitched, struck
from operators.scene.sounds.shaping import Signal

Maker: TypeAlias = Callable[[np.random.Generator, float, float], Signal]

SHORT_ROLES = ("A", "B", "X", "C", "E", "H", "F", "K")
LONG_ROLES = {"D": (1.5, 3.5), "G": (2.0, 4.2)}
ROLES = (*SHORT_ROLES, *LONG_ROLES)

SHORTEST_S = 0.2
_BLOCK = 441
_EXTENT_DB = -30.0
"""A sound starts and ends (in the truth) where 10 ms of it are this far below its loudest 10 ms."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A family of sounds and the ranges within which a member of it is drawn.

    Attributes:
        make: the synthesis.
        pitch_hz: range of its leading frequency, drawn log-uniformly.
        duration_s: range of its length, drawn log-uniformly (short sounds are common).
    """

    make: Maker
    pitch_hz: tuple[float, float]
    duration_s: tuple[float, float] = (0.2, 1.5)


SHORT_KINDS: dict[str, Kind] = {
    "pluck": Kind(struck.pluck, (220, 900), (0.4, 1.5)),
    "bell": Kind(struck.bell, (500, 2400), (0.4, 1.5)),
    "knock": Kind(struck.knock, (260, 800), (0.35, 1.0)),
    "drip": Kind(struck.drip, (600, 2000), (0.35, 1.2)),
    "ratchet": Kind(struck.ratchet, (1500, 6000), (0.2, 1.0)),
    "chirp": Kind(pitched.chirp, (1600, 5500), (0.2, 1.2)),
    "squeak": Kind(pitched.squeak, (700, 2600), (0.2, 1.3)),
    "call": Kind(pitched.call, (400, 1700), (0.4, 1.5)),
    "trill": Kind(pitched.trill, (1200, 4500), (0.3, 1.3)),
    "horn": Kind(pitched.horn, (200, 600), (0.3, 1.5)),
    "buzz": Kind(pitched.buzz, (110, 260), (0.2, 1.4)),
    "sweep": Kind(pitched.sweep, (1500, 4500), (0.25, 1.2)),
    "whoosh": Kind(noisy.whoosh, (700, 3000), (0.4, 1.5)),
    "hiss": Kind(noisy.hiss, (3000, 7500), (0.25, 1.3)),
    "rattle": Kind(noisy.rattle, (1500, 5000), (0.3, 1.4)),
    "scrape": Kind(noisy.scrape, (700, 2200), (0.3, 1.5)),
}
LONG_KINDS: dict[str, Kind] = {
    "melody": Kind(phrases.melody, (400, 1300)),
    "siren": Kind(phrases.siren, (400, 1200)),
    "motor": Kind(phrases.motor, (90, 220)),
    "creak": Kind(phrases.creak, (300, 1200)),
    "babble": Kind(phrases.babble, (100, 260)),
}
KINDS = SHORT_KINDS | LONG_KINDS


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound of a scene.

    Attributes:
        name: role and kind ("A-bell"); one-offs are called "once-1", "once-2", ...
        role: its part in the plan; for a one-off its name.
        kind: key of ``KINDS``.
        samples: (n,) float32 at ``ANALYSIS_RATE_HZ``, peak 1, starting where it becomes audible.
        extent_s: until it has died away; the samples may carry a fainter tail.
    """

    name: str
    role: str
    kind: str
    samples: Floats
    extent_s: float


def cast(seed: int, one_offs: int) -> tuple[Sound, ...]:
    """Draws and synthesises every sound of a scene: the ten roles, then the one-offs.

    Args:
        seed: of the scene; any non-negative integer.
        one_offs: number of distractors, at most what the kinds not planted allow for
            without repetition; further ones repeat those kinds with other parameters.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    short = [str(kind) for kind in rng.permutation(list(SHORT_KINDS))]
    long = [str(kind) for kind in rng.permutation(list(LONG_KINDS))]
    parts = list(zip(SHORT_ROLES, short, strict=False)) + list(zip(LONG_ROLES, long, strict=False))
    unused = [str(kind) for kind in rng.permutation(short[len(SHORT_ROLES) :] + long[2:])]
    parts += [(f"once-{n + 1}", unused[n % len(unused)]) for n in range(one_offs)]
    return tuple(_synthesise(seed, n, role, kind) for n, (role, kind) in enumerate(parts))


def _synthesise(seed: int, number: int, role: str, kind: str) -> Sound:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 2, number])))
    recipe = KINDS[kind]
    low, high = LONG_ROLES.get(role, recipe.duration_s)
    # What lies inside another sound has to leave room for it to be somewhere.
    high = min(high, 0.8) if role in ("E", "H") else high
    duration_s = _log_uniform(rng, low, high)
    pitch_hz = _log_uniform(rng, *recipe.pitch_hz)
    samples, extent_s = trimmed(recipe.make(rng, duration_s, pitch_hz))
    while extent_s < (low if role in LONG_ROLES else SHORTEST_S):
        # It died away too soon: the same kind again, longer.
        duration_s *= 1.15
        samples, extent_s = trimmed(recipe.make(rng, duration_s, pitch_hz))
    name = role if role.startswith("once") else f"{role}-{kind}"
    return Sound(name, role, kind, samples, extent_s)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def trimmed(signal: Signal) -> tuple[Floats, float]:
    """Cuts what is inaudible before the start, softens the cut edges, measures the extent."""
    blocks = -(-len(signal) // _BLOCK)
    padded = np.pad(signal, (0, blocks * _BLOCK - len(signal)))
    power = np.mean(padded.reshape(blocks, _BLOCK) ** 2, axis=1)
    audible = np.flatnonzero(power > power.max() * 10 ** (_EXTENT_DB / 10))
    kept = signal[audible[0] * _BLOCK :].copy()
    attack, release = round(0.001 * ANALYSIS_RATE_HZ), round(0.02 * ANALYSIS_RATE_HZ)
    kept[:attack] *= np.linspace(0, 1, attack)
    kept[-release:] *= np.linspace(1, 0, release)
    extent_s = (int(audible[-1] - audible[0]) + 1) * _BLOCK / ANALYSIS_RATE_HZ
    samples = (kept / np.max(np.abs(kept))).astype(np.float32)
    samples.flags.writeable = False
    return samples, extent_s
