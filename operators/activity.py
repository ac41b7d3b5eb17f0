"""Activity of one stream, frame by frame: when something is heard, and where it starts.

Each frame's levels are compared with the background (``floor.py``); the rms over bands of what
stands out is the *activity*, judged against its own running mean and deviation with hysteresis.
A run of activity becomes a ``Patch``: its levels with a little of what came before, and its onsets.

Invariant: purely sequential, one ``Step`` for each frame of levels in order; the first
``warm_up_frames`` are kept back until the background can be started from them. Patches never
overlap and are at most ``patch_frames`` long. It does not know samples, windows or streams.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from operators.floor import GAUSSIAN_MEAN_TO_SD, AdaptiveFloor, FloorConfig
from operators.onsets import OnsetConfig, OnsetPicker
from operators.patch import Patch, Run, Step, stack_rows
from operators.records import BANDS, FRAME_S
from operators.spectrum import Doubles, smooth_bands, widen_bands


@dataclass(frozen=True, slots=True)
class ActivityConfig:
    """When a sound is taken to begin and to end.

    Attributes:
        warm_up_frames: what the background is started from (2 s).
        z_dead, z_max: deviations of a band that do not count yet, and the most that count.
        time_s: time constant of the activity's own mean and deviation, while idle.
        spread_min: smallest deviation of the activity that is believed.
        on_deviations, on_frames: begins when that far above the mean for that many frames.
        off_deviations, off_share: ends below the larger of that many deviations above the mean and
            this share of the way up to the peak ...
        off_frames: ... for that many frames.
        patch_frames: a longer sound is cut there and goes on in the next patch.
        pre_roll_frames: kept from before the activity.
        settle_frames: an activity without a flux peak within these starts with an onset of its own.
    """

    warm_up_frames: int = 86
    z_dead: float = 1.0
    z_max: float = 8.0
    time_s: float = 8.0
    spread_min: float = 0.05
    on_deviations: float = 6.0
    on_frames: int = 2
    off_deviations: float = 1.3
    off_share: float = 0.1
    off_frames: int = 6
    patch_frames: int = 200
    pre_roll_frames: int = 3
    settle_frames: int = 7
    floor: FloorConfig = field(default_factory=FloorConfig)
    onset: OnsetConfig = field(default_factory=OnsetConfig)


class ActivityTracker:
    """The state machine over frames of levels: ``feed`` in order, ``flush`` where audio ends."""

    def __init__(self, config: ActivityConfig = ActivityConfig()) -> None:
        self.config = config
        self._floor = AdaptiveFloor(config.floor)
        self._picker = OnsetPicker(config.onset)
        self._rate = FRAME_S / config.time_s
        self._started = False
        self._mean = 0.0
        self._spread = config.spread_min
        self._early: list[Doubles] = []
        self._next = 0
        self._forget()

    def _forget(self) -> None:
        """Drop what ties a frame to the one before: a new stretch of audio begins."""
        config = self.config
        self._picker.reset()
        self._smooth: Doubles | None = None
        self._recent: deque[Doubles] = deque(
            maxlen=config.pre_roll_frames + config.settle_frames + config.on_frames
        )
        self._candidates: list[int] = []
        self._above = 0
        self._free_from = -1
        self._run: Run | None = None

    @property
    def warming(self) -> bool:
        """The background is not known yet: frames are kept back."""
        return not self._started

    def feed(self, frame: int, levels: Doubles) -> Iterator[Step]:
        """Take (n, BANDS) levels of the frames from ``frame`` on; consecutive within a stretch."""
        if not len(levels):
            return
        if self._started:
            yield from self._hear(frame, levels)
            return
        if not self._early:
            self._next = frame
        self._early.extend(levels)
        if len(self._early) >= self.config.warm_up_frames:
            yield from self._begin()

    def flush(self) -> Iterator[Step]:
        """The stretch of audio ends: conclude on what there is.

        A background started from less than the warm-up serves this stretch only; the next one
        starts its own.
        """
        brief = self.warming
        if self._early:
            yield from self._begin()
        if self._recent:
            last = self._next - 1
            peak = self._picker.finish(last)
            patch = None
            onsets: tuple[int, ...] = ()
            if self._run is not None:
                onsets = self._onset(self._run, peak) + self._own_onset(self._run)
                patch = self._run.take(len(self._run.rows), cut=False)
            yield Step(last, patch is not None, onsets, patch)
        self._forget()
        self._started = not brief

    def _begin(self) -> Iterator[Step]:
        """Start the background and the activity's statistics, then take what was kept back."""
        early = np.stack(self._early)
        self._early = []
        first = early[: self.config.warm_up_frames]
        # The shorter a recording, the less of it is background.
        share = (len(first) / self.config.warm_up_frames) ** 1.5
        self._floor.start(first, share)
        activity = [self._activity(row) for row in smooth_bands(first)]
        high = self.config.floor.quantile * share
        low = high / 3.0
        above, below = np.quantile(activity, [high, low]).tolist()
        z_high, z_low = NormalDist().inv_cdf(high), NormalDist().inv_cdf(low)
        self._spread = max(self.config.spread_min, (above - below) / (z_high - z_low))
        self._mean = above - z_high * self._spread
        self._started = True
        yield from self._hear(self._next, early)

    def _activity(self, smooth: Doubles) -> float:
        z = (smooth - self._floor.mu) / self._floor.dev - self.config.z_dead
        z = np.minimum(np.maximum(z, 0.0), self.config.z_max)
        return math.sqrt(float(np.add.reduce(z * z)) / BANDS)

    def _hear(self, frame: int, levels: Doubles) -> Iterator[Step]:
        rows = zip(levels, smooth_bands(levels), widen_bands(levels), strict=True)
        for offset, (level, smooth, wide) in enumerate(rows):
            yield self._step(frame + offset, level, smooth, wide)

    def _step(self, frame: int, level: Doubles, smooth: Doubles, wide: Doubles) -> Step:
        before = smooth if self._smooth is None else self._smooth
        self._smooth = smooth
        self._next = frame + 1
        self._recent.append(level)
        activity = self._activity(0.5 * (before + smooth))
        peak = self._picker.hear(frame, level, wide, self._floor.mu)
        patch = None
        if self._run is None:
            onsets = self._idle(frame, activity, peak)
        else:
            onsets, patch = self._busy(self._run, frame, level, activity, peak)
        active = self._run is not None
        self._floor.follow(level, active=active)
        return Step(frame, active, onsets, patch)

    def _idle(self, frame: int, activity: float, peak: int | None) -> tuple[int, ...]:
        """Nothing is heard yet: does this frame begin a run? Returns its onsets so far."""
        config = self.config
        if peak is not None:
            self._candidates = [*self._candidates, peak][-config.on_frames - 1 :]
        threshold = self._mean + config.on_deviations * self._spread
        if activity <= threshold:
            self._above = 0
        else:
            self._above += 1
        if self._above < config.on_frames:
            deviation = min(activity, threshold) - self._mean
            self._mean += self._rate * deviation
            spread = GAUSSIAN_MEAN_TO_SD * abs(deviation)
            self._spread += self._rate * (spread - self._spread)
            self._spread = max(self._spread, config.spread_min)
            return ()
        trigger = frame - config.on_frames + 1
        onsets = [peak for peak in self._candidates if peak > trigger - config.settle_frames]
        start = min([trigger, *onsets]) - config.pre_roll_frames
        start = max(start, self._free_from, frame + 1 - len(self._recent))
        onsets = sorted({max(onset, start) for onset in onsets})
        rows = list(self._recent)[start - frame - 1 :]
        floor, deviation_db = self._floor.mu.copy(), self._floor.dev.copy()
        self._run = Run(start, trigger, floor, deviation_db, rows, onsets, activity)
        self._candidates = []
        self._above = 0
        return tuple(onsets)

    def _busy(
        self, run: Run, frame: int, level: Doubles, activity: float, peak: int | None
    ) -> tuple[tuple[int, ...], Patch | None]:
        """Something is heard: returns the onsets now known and the patch that ended, if any."""
        config = self.config
        run.rows.append(level)
        onsets = self._onset(run, peak)
        if frame == run.trigger + config.settle_frames:
            onsets += self._own_onset(run)
        run.peak = max(run.peak, activity)
        low = max(
            self._mean + config.off_deviations * self._spread,
            self._mean + config.off_share * (run.peak - self._mean),
        )
        run.below = run.below + 1 if activity < low else 0
        if run.below >= config.off_frames:
            onsets += self._own_onset(run)
            self._run, self._free_from = None, frame + 1
            return onsets, run.take(len(run.rows), cut=False)
        if len(run.rows) <= config.patch_frames:
            return onsets, None
        # One row more than fits was awaited: it settles whether the last that fits is an onset.
        self._run = self._continue(run)
        return onsets, run.take(config.patch_frames, cut=True)

    def _continue(self, run: Run) -> Run:
        """The run that goes on where a patch is cut."""
        start = run.start + self.config.patch_frames
        rows = run.rows[self.config.patch_frames :]
        floor, deviation = self._floor.mu.copy(), self._floor.dev.copy()
        # A trigger in the past: what goes on gets no onset of its own.
        return Run(start, run.trigger, floor, deviation, rows, [], run.peak, run.below)

    def _onset(self, run: Run, peak: int | None) -> tuple[int, ...]:
        if peak is None or peak < run.start:
            return ()
        run.onsets.append(peak)
        return (peak,)

    def _own_onset(self, run: Run) -> tuple[int, ...]:
        """The begin of a run that showed no peak of flux (a slow attack) counts as its onset."""
        if run.onsets or run.trigger < run.start:
            return ()
        run.onsets.append(run.trigger)
        return (run.trigger,)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data."""
        run = self._run
        return {
            "version": 1,
            "floor": self._floor.snapshot(),
            "picker": self._picker.snapshot(),
            "started": self._started,
            "mean": self._mean,
            "spread": self._spread,
            "early": stack_rows(self._early),
            "next": self._next,
            "smooth": stack_rows([] if self._smooth is None else [self._smooth]),
            "recent": stack_rows(self._recent),
            "candidates": list(self._candidates),
            "above": self._above,
            "free_from": self._free_from,
            "run": None if run is None else run.snapshot(),
        }

    @classmethod
    def restore(
        cls, state: dict[str, Any], config: ActivityConfig = ActivityConfig()
    ) -> "ActivityTracker":
        """The tracker as it was at ``snapshot``."""
        tracker = cls(config)
        tracker._floor = AdaptiveFloor.restore(state["floor"], config.floor)
        tracker._picker = OnsetPicker.restore(state["picker"], config.onset)
        tracker._started = state["started"]
        tracker._mean = state["mean"]
        tracker._spread = state["spread"]
        tracker._early = list(np.array(state["early"]))
        tracker._next = state["next"]
        tracker._smooth = state["smooth"][0].copy() if len(state["smooth"]) else None
        tracker._recent.extend(np.array(state["recent"]))
        tracker._candidates = list(state["candidates"])
        tracker._above = state["above"]
        tracker._free_from = state["free_from"]
        if state["run"] is not None:
            tracker._run = Run.restore(state["run"])
        return tracker
