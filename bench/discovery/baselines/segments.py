"""Segments of a scene: from each onset of a region to the next one, or to the end of its activity.

Regions that were cut because the sound went on are joined again, so that a long sound is one
segment. Invariant: segments are in order and do not overlap; each begins at an onset of grym's own
segmenter, so that what the baselines lack is not the segmenter.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from bench.discovery.baselines.reporting import Span
from operators.records import FRAME_S, Region


def segments_of(regions: Iterable[Region]) -> list[Span]:
    """(start_s, end_s) of each; what a region holds before its first onset is left out."""
    return [span for chain in _chains(regions) for span in _split(chain)]


def activity_of(regions: Iterable[Region]) -> list[Span]:
    """(start_s, end_s) of each stretch of activity, whatever its onsets."""
    return [
        (chain[0].start_frame * FRAME_S, _end_frame(chain[-1]) * FRAME_S)
        for chain in _chains(regions)
    ]


def _chains(regions: Iterable[Region]) -> Iterator[list[Region]]:
    """Regions that continue one another, together."""
    chain: list[Region] = []
    for region in regions:
        chain.append(region)
        if not region.cut:
            yield chain
            chain = []
    if chain:
        yield chain


def _end_frame(region: Region) -> int:
    """The first spectral frame after a region."""
    return region.start_frame + len(region.patch_db)


def _split(chain: list[Region]) -> Iterator[Span]:
    onsets = sorted({onset for part in chain for onset in part.onsets})
    for start, end in pairwise([*onsets, _end_frame(chain[-1])]):
        yield start * FRAME_S, end * FRAME_S
