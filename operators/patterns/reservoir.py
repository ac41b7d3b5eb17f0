"""Sounds heard once: unassigned events waiting for a second one like them.

Invariant: bounded in number and in rows; the oldest goes first.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from operators.patterns.clip import Clip
from operators.patterns.config import Bounds
from operators.patterns.propose import print_rows
from operators.patterns.template import PRINT_BANDS, PRINT_FRAMES
from operators.records import Floats

NEAR_DB = 6.0
HEAD_FRAMES = 8


def event_print(clip: Clip, lead: int, shift: int = 0) -> tuple[Floats, Floats]:
    """Fingerprint of an event from ``lead`` rows before its onset, and which cells to compare."""
    rows = np.zeros((PRINT_FRAMES, PRINT_BANDS), dtype=np.float32)
    mask = np.zeros_like(rows)
    first = max(0, clip.anchor - lead + shift)
    level = clip.level[first : first + PRINT_FRAMES]
    known = clip.known[first : first + PRINT_FRAMES]
    floor = np.broadcast_to(clip.floor, level.shape)
    rows[: len(level)] = print_rows(np.where(known, level, floor).astype(np.float32), floor)
    mask[: len(level)] = known.reshape(len(level), PRINT_BANDS, -1).all(axis=2)
    return (rows * mask).reshape(-1), mask.reshape(-1)


def explained_away(clip: Clip, first: int, expected: Floats) -> bool:
    """Whether a known sound accounts for most of what sets in with an event.

    Args:
        clip: the event.
        first: absolute frame of the known sound's first row.
        expected: (rows, BANDS) its level.
    """
    offset = first - clip.first
    lo, hi = max(clip.anchor, offset), min(clip.anchor + HEAD_FRAMES, len(clip.codes))
    hi = min(hi, offset + len(expected))
    if lo >= hi:
        return False
    head = slice(clip.anchor, clip.anchor + HEAD_FRAMES)
    height = np.where(clip.known, np.clip(clip.level - clip.floor - NEAR_DB, 0, 40), 0)
    covered = expected[lo - offset : hi - offset] > clip.level[lo:hi] - NEAR_DB
    return float(height[lo:hi][covered].sum()) >= 0.5 * float(height[head].sum())


@dataclass(slots=True)
class Reservoir:
    """The waiting events with their fingerprints (derived, not part of the snapshot)."""

    bounds: Bounds
    lead: int
    clips: list[Clip] = field(default_factory=list)
    _prints: list[tuple[Floats, Floats]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.clips)

    def add(self, clip: Clip) -> None:
        """Remember an event; the oldest are forgotten where the bounds are reached."""
        self.clips.append(clip)
        self._prints.append(event_print(clip, self.lead))
        total = sum(len(c.codes) for c in self.clips)
        while len(self.clips) > self.bounds.reservoir or total > self.bounds.reservoir_frames_total:
            total -= len(self.clips[0].codes)
            self.clips.pop(0)
            self._prints.pop(0)

    def remove(self, clip: Clip) -> None:
        """Forget one event (by identity)."""
        keep = [i for i, c in enumerate(self.clips) if c is not clip]
        self.clips = [self.clips[i] for i in keep]
        self._prints = [self._prints[i] for i in keep]

    def explain(self, first: int, expected: Floats, origin_ns: int) -> None:
        """Drop waiting events that a sound now known accounts for.

        Args:
            first: absolute frame of its first row.
            expected: (rows, BANDS) level it has there, far below everything where it has none.
            origin_ns: of the stream it was heard in.
        """
        keep = [
            i
            for i, clip in enumerate(self.clips)
            if clip.origin_ns != origin_ns or not explained_away(clip, first, expected)
        ]
        self.clips = [self.clips[i] for i in keep]
        self._prints = [self._prints[i] for i in keep]

    def alike(self, clip: Clip, least: float, at_most: int) -> list[Clip]:
        """Events whose first half second resembles this one's, most alike first."""
        if not self.clips:
            return []
        prints = np.stack([p for p, _ in self._prints])
        masks = np.stack([m for _, m in self._prints])
        best = np.zeros(len(self.clips), dtype=np.float32)
        for shift in (-1, 0, 1):
            mine, mask = event_print(clip, self.lead, shift)
            both = masks * mask
            a, b = prints * mask, masks * mine
            norm = np.sqrt((a * a * both).sum(axis=1) * (b * b * both).sum(axis=1))
            best = np.maximum(best, (a * b).sum(axis=1) / np.maximum(norm, 1e-6))
        best = np.round(best, 4)
        order = np.argsort(-best, kind="stable")[:at_most]
        return [self.clips[i] for i in order if best[i] > least]

    def snapshot(self) -> list[dict[str, Any]]:
        """Plain form of the events."""
        return [clip.snapshot() for clip in self.clips]

    @classmethod
    def restore(cls, state: list[dict[str, Any]], bounds: Bounds, lead: int) -> "Reservoir":
        """The reservoir that ``snapshot`` described."""
        reservoir = cls(bounds, lead)
        for clip in state:
            reservoir.add(Clip.restore(clip))
        return reservoir
