"""Streams of any length made of regions instead of audio: sounds are cut once, then assembled.

Every sound is laid alone over pink noise, at several levels and between two spectral frames, and
cut by the real segmenter. A stream sums the powers of such patches over rows of real noise, so that
gains, moments and overlaps vary as in a scene, at a thousandth of the cost.

Invariant: regions are a function of the seed and the acts; nothing grows with the length.
"""

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.discovery.hearing import cache
from bench.discovery.library import Clip, real, synthesised
from operators.records import (
    ANALYSIS_RATE_HZ,
    BANDS,
    FRAME_S,
    HOP_SAMPLES,
    Floats,
    Frame,
    Region,
)
from operators.scene.render import bed, emphasised, loudest, rms
from operators.segment import Segmenter
from operators.segment.audio import AudioTail
from operators.segment.bands import BandStream

STREAM = "endless"
VERSION = 1
SNRS_DB = (28.0, 23.0, 18.0, 14.0)
"""Of the takes of a sound; gains of an event come on top."""
GAIN_DB = (-3.0, 3.0)
LONGEST_S = 1.6
MOST_FRAMES = 200
_SCALE = 0.01
_QUIET_S = 1.2
_BATCH = 25
_WARM_S = 6.0


@dataclass(frozen=True, slots=True)
class Take:
    """One sound at one level: (rows, BANDS) power above the noise, rows at which it sets in."""

    power: Floats
    onsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tablets:
    """What streams are made of.

    Attributes:
        sounds: the takes of each.
        noise: (rows, BANDS) power of the bed.
        floor_db, deviation_db: (BANDS,) as the segmenter states them.
    """

    sounds: tuple[tuple[Take, ...], ...]
    noise: Floats
    floor_db: Floats
    deviation_db: Floats


@dataclass(frozen=True, slots=True)
class Act:
    """A stretch of a stream: which sounds come, how often all together."""

    duration_s: float
    per_minute: float
    sounds: tuple[int, ...]


def tablets(count: int) -> Tablets:
    """The first ``count`` sounds that can be heard at every level; kept on disk.

    Raises:
        ValueError: the library is too small.
    """
    path = cache() / f"tablets-{VERSION}-{len(real())}-{count}.pickle"
    if path.exists():
        kept: Tablets = pickle.loads(path.read_bytes())  # noqa: S301
        return kept
    made = _cut(count)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(made))
    return made


def stream(made: Tablets, acts: Sequence[Act], seed: int) -> Iterator[tuple[int, Region]]:
    """The regions of the acts one after another, each with the number of its act."""
    start = 0
    for number, act in enumerate(acts):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number, 41])))
        rows = round(act.duration_s / FRAME_S)
        for region in _regions(made, act, rows, rng):
            yield (
                number,
                replace(
                    region,
                    start_frame=start + region.start_frame,
                    onsets=tuple(start + onset for onset in region.onsets),
                ),
            )
        start += rows


def _regions(made: Tablets, act: Act, rows: int, rng: np.random.Generator) -> Iterator[Region]:
    count = round(act.per_minute * act.duration_s / 60)
    starts = np.sort(rng.integers(0, rows, count)).tolist()
    group: list[tuple[int, Take, float]] = []
    end = 0
    for start in starts:
        takes = made.sounds[int(rng.choice(act.sounds))]
        take = takes[int(rng.integers(len(takes)))]
        if start + len(take.power) > rows:
            continue
        if group and start > end:
            yield from _assembled(made, group, rng)
            group = []
        group.append((start, take, float(rng.uniform(*GAIN_DB))))
        end = max(end if len(group) > 1 else 0, start + len(take.power))
    if group:
        yield from _assembled(made, group, rng)


def _assembled(
    made: Tablets, group: list[tuple[int, Take, float]], rng: np.random.Generator
) -> Iterator[Region]:
    """One stretch of activity, in pieces of at most MOST_FRAMES."""
    first = group[0][0]
    rows = max(start + len(take.power) for start, take, _ in group) - first
    at = int(rng.integers(len(made.noise)))
    power = np.take(made.noise, np.arange(at, at + rows), axis=0, mode="wrap")
    onsets: set[int] = set()
    for start, take, gain_db in group:
        part = slice(start - first, start - first + len(take.power))
        power[part] += take.power * np.float32(10 ** (gain_db / 10))
        onsets |= {start + onset for onset in take.onsets}
    level = (10 * np.log10(power)).astype(np.float32)
    for lo in range(0, rows, MOST_FRAMES):
        hi = min(rows, lo + MOST_FRAMES)
        yield Region(
            stream=STREAM,
            start_frame=first + lo,
            patch_db=level[lo:hi],
            floor_db=made.floor_db,
            deviation_db=made.deviation_db,
            onsets=tuple(sorted(o for o in onsets if first + lo <= o < first + hi)),
            origin_ns=0,
            cut=hi < rows,
        )


def _cut(count: int) -> Tablets:
    clips = [clip for clip in (*real(), *synthesised()) if clip.extent_s <= LONGEST_S]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([VERSION, 43])))
    noise = bed(rng, 60 * ANALYSIS_RATE_HZ, 0) * np.float32(_SCALE)
    power = _levels(noise)
    sounds: list[tuple[Take, ...]] = []
    backgrounds: list[tuple[Floats, Floats]] = []
    order = [clips[i] for i in rng.permutation(len(clips))]
    for at in range(0, len(order), _BATCH):
        if len(sounds) < count:
            sounds += _takes(order[at : at + _BATCH], noise, power.mean(axis=0), rng, backgrounds)
    if len(sounds) < count:
        raise ValueError(f"only {len(sounds)} of {count} sounds: run `make sounds`")
    floor, deviation = (np.median([b[i] for b in backgrounds], axis=0) for i in (0, 1))
    return Tablets(
        tuple(sounds[:count]), power, floor.astype(np.float32), deviation.astype(np.float32)
    )


def _levels(samples: Floats) -> Floats:
    """(rows, BANDS) power of the bed alone."""
    tail, bands = AudioTail(), BandStream()
    tail.append(samples)
    level = np.concatenate([levels for _, levels in bands.flush(tail)])
    return np.asarray(10 ** (level[4:-4] / 10), dtype=np.float32)


def _takes(
    clips: Sequence[Clip],
    noise: Floats,
    background: Floats,
    rng: np.random.Generator,
    backgrounds: list[tuple[Floats, Floats]],
) -> Iterator[tuple[Take, ...]]:
    """The takes of the sounds that came out whole at every level."""
    floor = rms(emphasised(noise.astype(np.float64)))
    pieces: list[Floats] = [np.zeros(round(_WARM_S * ANALYSIS_RATE_HZ), dtype=np.float32)]
    at, places = len(pieces[0]), []
    for clip in clips:
        for snr_db in SNRS_DB:
            gap = round(_QUIET_S * ANALYSIS_RATE_HZ) + int(rng.integers(HOP_SAMPLES))
            gain = floor * 10 ** (snr_db / 20) / loudest(clip.samples.astype(np.float64))
            pieces += [np.zeros(gap, dtype=np.float32), clip.samples * np.float32(gain)]
            places.append((at + gap) // HOP_SAMPLES)
            at += gap + len(clip.samples)
    pieces.append(np.zeros(round(2 * _WARM_S * ANALYSIS_RATE_HZ), dtype=np.float32))
    laid = np.concatenate(pieces)
    laid = laid + np.resize(noise, len(laid))
    regions = _segmented(laid)
    backgrounds += [(region.floor_db, region.deviation_db) for region in regions]
    for number in range(len(clips)):
        own = places[number * len(SNRS_DB) : (number + 1) * len(SNRS_DB)]
        takes = [_take(regions, place, background) for place in own]
        if all(take is not None for take in takes):
            yield tuple(take for take in takes if take is not None)


def _segmented(samples: Floats) -> list[Region]:
    cutter, found = Segmenter(STREAM), []
    for index in range(0, len(samples), ANALYSIS_RATE_HZ):
        piece = samples[index : index + ANALYSIS_RATE_HZ]
        last = index + ANALYSIS_RATE_HZ >= len(samples)
        heard = cutter.hear(Frame(STREAM, index, piece, 0, last))
        found += [item for item in heard if isinstance(item, Region)]
    return found


def _take(regions: Sequence[Region], place: int, background: Floats) -> Take | None:
    """The patch in which a sound begins at a frame; None where there is none of its own."""
    for region in regions:
        onsets = tuple(o - region.start_frame for o in region.onsets if abs(o - place) < 40)
        inside = region.start_frame <= place + 3 and place < region.start_frame + 40
        if inside and onsets and not region.cut:
            power = 10 ** (region.patch_db.reshape(-1, BANDS) / 10)
            above = np.where(power > 2 * background, power - background, 0)
            return Take(above.astype(np.float32), onsets)
    return None
