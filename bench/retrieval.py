"""The same sound found again: shifted, softer, in noise, in a room; and sounds of one kind.

Real sounds (``make sounds``), windows of 1 s. In each draw 320 of them are the gallery; each is
asked for once as it sounds under a condition, and is found if no other is more like it (top-1 %).

- shift 50 %: the window begins half a second before the sound.
- gain: up to 20 dB softer. SNR 20: pink noise 20 dB below the window's power.
- combo: shift up to 25 %, tilt, room, gain, pink noise at 15 dB (``bench/degrade.py``).
- combo*: the same, and the gallery has pink noise at 15 dB too: the realistic case.
- combo +, combo* +: the same two when the 20 nearest are ranked again by how the query matches
  their templates, as ``grym search --like`` does (``bench/matching.py``).
- TPR: share of sounds that are more like themselves (combo*) than a threshold which 1 in 1,000
  pairs of a sound that is not in the gallery with one that is would pass.
- category mAP: mean average precision of sounds of the same kind among all sounds, undisturbed;
  kind is what the makers called it: folder and first word of the file's name, of 4 sounds or more.

``python -m bench.retrieval``; ``--draws 1 --model logmel`` for a quick look, ``--against loudest``
for noise set against the loudest quarter of a second of each window (harder; no floors).
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench import matching, sounds
from bench.degrade import LEAD, RATE_HZ, Reference, combined, noisy, softer, window
from connectors import weights
from operators.models import Model, configure, load
from operators.records import Floats

GALLERY = 320
DRAWS = 5
IMPOSTORS = 1e-3
LEAST_OF_A_KIND = 4
_KEPT_S = 3
_ONSET_DB = -30.0
_BLOCK = RATE_HZ // 100

Figures = dict[str, float]
Vectors = NDArray[np.float32]
Change = Callable[[Floats, np.random.Generator], Floats]

COLUMNS = ("shift 50 %", "gain", "SNR 20", "combo", "combo*", "TPR", "category mAP")
MATCHED = ("combo +", "combo* +")
"""With templates; they have no prototype, so no floor."""
PROTOTYPE: dict[str, tuple[float, ...]] = {
    "aisfx_plain": (82, 99, 35, 20, 74, 37, 30.1),
    "aisfx": (84, 100, 92, 68, 89, 76, 24.2),
    "logmel": (81, 100, 91, 64, 85, 64, 20.6),
}
"""What the prototypes reached on sounds of this sort before any of this was written."""
TIE = 4.0
"""Points within which two figures are the same; so far below the prototype lies the floor."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound: its samples with ``LEAD`` before the onset, and its kind ("" where unknown)."""

    samples: Floats
    kind: str


def main(arguments: list[str] | None = None) -> int:
    """Measure, print tables, then one JSON line; 1 below a floor, 2 without sounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--model", action="append", choices=sorted(PROTOTYPE))
    parser.add_argument("--against", choices=("window", "loudest"), default="window")
    asked = parser.parse_args(arguments)
    lacking = sounds.missing(sounds.root())
    if lacking:
        names = ", ".join(package.name for package in lacking)
        sys.stderr.write(f"no sounds to measure with ({names}): run `make sounds` first\n")
        return 2
    library = read_library(sounds.root())
    judged = asked.against == "window"
    models = {
        name: load(name, configure(name, weights=weights.pull(name)))
        for name in asked.model or PROTOTYPE
    }
    measured = measure(models, library, asked.draws, asked.against)
    below = shortfalls(measured) if judged else []
    report(measured, len(library))
    for line in below:
        sys.stderr.write(f"below the floor: {line}\n")
    out = {
        "bench": "retrieval",
        "sounds": len(library),
        "gallery": GALLERY,
        "draws": asked.draws,
        "noise_against": asked.against,
        "top1_percent": {
            name: {column: round(value, 1) for column, value in row.items()}
            for name, row in measured.items()
        },
        "held": not below if judged else None,
    }
    sys.stdout.write(json.dumps(out) + "\n")
    return 1 if below else 0


def read_library(cache: Path) -> list[Sound]:
    """Every sound that can be decoded, in a fixed order."""
    found, broken = list[Sound](), 0
    for package in sounds.PACKAGES:
        top = sounds.folder_of(package, cache) / package.sounds
        for path in sounds.files_of(package, cache):
            samples = read(path)
            if samples is None:
                broken += 1
                continue
            kind = kind_of(path.relative_to(top)) if package.kinds else ""
            found.append(Sound(samples, f"{package.name}/{kind}" if kind else ""))
    sys.stderr.write(f"{len(found)} sounds, {broken} left out: silent, or no sound file inside\n")
    counts = Counter(sound.kind for sound in found)
    return [
        Sound(sound.samples, sound.kind if counts[sound.kind] >= LEAST_OF_A_KIND else "")
        for sound in found
    ]


def read(path: Path) -> Floats | None:
    """The first seconds of a sound at 44.1 kHz, mixed down, ``LEAD`` samples before its onset.

    The onset is the first hundredth of a second within 30 dB of the loudest one.
    """
    try:
        channels, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    mono = soxr.resample(channels.mean(axis=1), rate_hz, RATE_HZ)
    blocks = np.add.reduceat(mono.astype(np.float64) ** 2, np.arange(0, len(mono), _BLOCK))
    if not blocks.max() > _BLOCK * 1e-8:  # -80 dBFS
        return None
    onset = int(np.argmax(blocks > blocks.max() * 10.0 ** (_ONSET_DB / 10.0))) * _BLOCK
    padded = np.pad(mono, (LEAD, 0))
    return padded[onset : onset + LEAD + _KEPT_S * RATE_HZ].astype(np.float32)


def kind_of(path: Path) -> str:
    """Folder and first word of a file's name: "drums/snare" for drums/snare_muffled02.ogg."""
    word = re.split(r"[^A-Za-z]", path.stem)[0].lower()
    return "/".join([*path.parts[:-1], word])


def measure(
    models: Mapping[str, Model],
    library: Sequence[Sound],
    draws: int,
    reference: Reference = "window",
) -> dict[str, Figures]:
    """All columns of the table for each model, means over the draws."""
    rows = [retrieval(models, library, draw, reference) for draw in range(draws)]
    kinds = category_map(models, library)
    return {
        name: {
            column: float(np.mean([row[name][column] for row in rows])) for column in rows[0][name]
        }
        | {"category mAP": kinds[name]}
        for name in models
    }


def retrieval(
    models: Mapping[str, Model], library: Sequence[Sound], draw: int, reference: Reference
) -> dict[str, Figures]:
    """The columns of one draw, in percent; every model is given the same windows."""
    order = np.random.default_rng((draw, 0)).permutation(len(library))
    inside = [library[index].samples for index in order[:GALLERY]]
    outside = [library[index].samples for index in order[GALLERY : 2 * GALLERY]]

    def played(number: int, change: Change, of: list[Floats]) -> Floats:
        rng = np.random.default_rng((draw, number))
        return np.stack([change(sound, rng) for sound in of])

    def heard(number: int, change: Change, of: list[Floats]) -> dict[str, Vectors]:
        return embedded(models, played(number, change, of))

    def in_noise(sound: Floats, rng: np.random.Generator) -> Floats:
        return noisy(window(sound), rng, 15.0, reference)

    def mixed(sound: Floats, rng: np.random.Generator) -> Floats:
        return combined(sound, rng, reference)

    plain, hissing = played(1, lambda sound, _: window(sound), inside), played(2, in_noise, inside)
    asked = played(3, mixed, inside)
    clean, noise, combo = (embedded(models, windows) for windows in (plain, hissing, asked))
    strangers = heard(4, mixed, outside)
    shifted = heard(5, lambda sound, _: window(sound, -LEAD), inside)
    gained = heard(6, lambda sound, rng: softer(window(sound), rng), inside)
    snr_20 = heard(7, lambda sound, rng: noisy(window(sound), rng, 20.0, reference), inside)
    twice = played(8, in_noise, inside)
    again = matched(asked, (plain, plain), combo, clean)
    again_noise = matched(asked, (hissing, twice), combo, noise)
    return {
        name: {
            "shift 50 %": top_1(shifted[name], clean[name]),
            "gain": top_1(gained[name], clean[name]),
            "SNR 20": top_1(snr_20[name], clean[name]),
            "combo": top_1(combo[name], clean[name]),
            "combo*": top_1(combo[name], noise[name]),
            "TPR": accepted(combo[name], noise[name], strangers[name]),
            "combo +": again[name],
            "combo* +": again_noise[name],
        }
        for name in models
    }


def matched(
    asked: Floats,
    heard_twice: tuple[Floats, Floats],
    queries: Mapping[str, Vectors],
    gallery: Mapping[str, Vectors],
) -> Figures:
    """Top-1 of each model, in percent, with templates founded on two windows of each sound."""
    templates = [matching.founded(*pair) for pair in zip(*heard_twice, strict=True)]
    likeness = {name: queries[name] @ gallery[name].T for name in queries}
    again = matching.ranked_again(asked, templates, likeness)
    return {name: hits(scores) for name, scores in again.items()}


def embedded(models: Mapping[str, Model], windows: Floats) -> dict[str, Vectors]:
    """The vectors of the same windows in every model's space."""
    return {name: model.embed(windows) for name, model in models.items()}


def accepted(queries: Vectors, gallery: Vectors, strangers: Vectors) -> float:
    """Percent of queries above the threshold that 1 in 1,000 pairs with a stranger passes."""
    threshold = np.quantile(strangers @ gallery.T, 1.0 - IMPOSTORS)
    return 100.0 * float(np.mean((queries * gallery).sum(axis=1) > threshold))


def top_1(queries: Vectors, gallery: Vectors) -> float:
    """Percent of queries whose own sound is the nearest."""
    return hits(queries @ gallery.T)


def hits(scores: NDArray[np.float32]) -> float:
    """Percent of the rows of (n, n) scores that are highest on the diagonal."""
    return 100.0 * float(np.mean(scores.argmax(axis=1) == np.arange(len(scores))))


def category_map(models: Mapping[str, Model], library: Sequence[Sound]) -> Figures:
    """Mean average precision, in percent, over sounds of a known kind, by model."""
    kinds = np.array([sound.kind for sound in library])
    every = embedded(models, np.stack([window(sound.samples) for sound in library]))
    return {name: mean_precision(vectors, kinds) for name, vectors in every.items()}


def mean_precision(vectors: Vectors, kinds: NDArray[np.str_]) -> float:
    """Mean average precision, in percent, of (n, dimension) vectors with n kinds ("" unknown)."""
    precisions = []
    for index in np.flatnonzero(kinds != ""):
        nearest = np.argsort(-(vectors @ vectors[index]), kind="stable")
        alike = kinds[nearest[nearest != index]] == kinds[index]
        ranks = np.flatnonzero(alike) + 1
        precisions.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    return 100.0 * float(np.mean(precisions))


def shortfalls(measured: dict[str, Figures]) -> list[str]:
    """What lies below its floor, one line each."""
    return [
        f"{name}, {column}: {row[column]:.1f} of {value - TIE:.1f}"
        for name, row in measured.items()
        for column, value in zip(COLUMNS, PROTOTYPE[name], strict=True)
        if row[column] < value - TIE
    ]


def report(measured: dict[str, Figures], count: int) -> None:
    """The table for a person; the prototype's figures in brackets."""
    title = f"{count} sounds, {GALLERY} in the gallery: top-1 % (prototype)"
    table = Table("model", *COLUMNS, *MATCHED, title=title)
    for name, row in measured.items():
        reached = zip(COLUMNS, PROTOTYPE[name], strict=True)
        cells = [f"{row[column]:.1f} ({value:g})" for column, value in reached]
        table.add_row(name, *cells, *(f"{row[column]:.1f}" for column in MATCHED))
    Console(stderr=True, width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
