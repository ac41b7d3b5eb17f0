"""The sounds that scenes are made of: real ones (``make sounds``), else synthesised ones.

A sound is cut where it becomes audible and ends where it has died away, so that its onset and
length are those a listener would give. Invariant: the order and the content depend on the files
alone; what is of one kind (folder and first word of the name) is never cast as two sounds.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from bench import sounds
from bench.retrieval import kind_of
from operators.records import ANALYSIS_RATE_HZ, Floats
from operators.scene.sounds.cast import KINDS, LONG_KINDS, trimmed

SPOKEN = re.compile(r"audio-channel-")
"""Phrases spoken by one voice, in sound-theme-freedesktop."""
_LEFT_OUT = re.compile(r"loop|ambi|test-signal|ringtone", re.IGNORECASE)
"""What repeats within itself, or is a place rather than a sound."""
_SHORTEST_S, _LONGEST_S = 0.2, 4.2
_TAIL_S = 0.5
_SILENT = 1e-4


@dataclass(frozen=True, slots=True)
class Clip:
    """One sound of the library.

    Attributes:
        name: package and path, or kind and number of a synthesised one.
        kind: sounds of one kind are alike, though not the same.
        samples: (n,) float32 at ``ANALYSIS_RATE_HZ``, peak 1, from its audible start on.
        extent_s: until it has died away.
        spoken: a phrase of the one voice.
    """

    name: str
    kind: str
    samples: Floats
    extent_s: float
    spoken: bool = False


@cache
def real() -> tuple[Clip, ...]:
    """Every sound of the packages that can be one event; empty where they were not fetched."""
    if sounds.missing(sounds.root()):
        return ()
    found = []
    for package in sounds.PACKAGES:
        top = sounds.folder_of(package, sounds.root()) / package.sounds
        for path in sounds.files_of(package, sounds.root()):
            local = path.relative_to(top)
            if _LEFT_OUT.search(str(local)):
                continue
            clip = _read(path, f"{package.name}/{local}", f"{package.name}/{kind_of(local)}")
            if clip is not None:
                found.append(clip)
    return tuple(found)


@cache
def synthesised(count: int = 12) -> tuple[Clip, ...]:
    """The project's own sounds: ``count`` members of each family."""
    found = []
    for number, (kind, recipe) in enumerate(sorted(KINDS.items())):
        for member in range(count):
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([number, member, 77])))
            low, high = (0.5, 4.0) if kind in LONG_KINDS else recipe.duration_s
            duration_s = float(np.exp(rng.uniform(np.log(low), np.log(high))))
            pitch_hz = float(np.exp(rng.uniform(*np.log(recipe.pitch_hz))))
            samples, extent_s = trimmed(recipe.make(rng, duration_s, pitch_hz))
            if _SHORTEST_S <= extent_s <= _LONGEST_S:
                spoken = kind == "babble"
                found.append(Clip(f"{kind}-{member}", kind, samples, extent_s, spoken))
    return tuple(found)


def _read(path: Path, name: str, kind: str) -> Clip | None:
    """The sound in a file; None where it is silent, too short, too long or no sound at all."""
    try:
        if soundfile.info(path).duration > 3 * _LONGEST_S:
            return None
        channels, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    mono = soxr.resample(channels.mean(axis=1), rate_hz, ANALYSIS_RATE_HZ).astype(np.float64)
    if len(mono) < _SHORTEST_S * ANALYSIS_RATE_HZ or np.max(np.abs(mono)) < _SILENT:
        return None
    samples, extent_s = trimmed(mono)
    if not _SHORTEST_S <= extent_s <= _LONGEST_S:
        return None
    kept = samples[: round((extent_s + _TAIL_S) * ANALYSIS_RATE_HZ)]
    return Clip(name, kind, kept, extent_s, bool(SPOKEN.search(name)))
