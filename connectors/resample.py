"""Mono audio at any rate -> spans of samples at the analysis rate, from exact positions.

Resampled by soxr (HQ, 20 bit; https://sourceforge.net/p/soxr/wiki/Home/), whose output does not
depend on how its input was cut. It carries a state of thousands of samples that cannot be
written down, so the audio is worked in *sections* of 30 s: each has a resampler of its own, fed
from half a second before its first sample, begun where input and output samples coincide. At a
seam the two differ by rounding only (below 1e-6 of full scale; at rates such as 47,999 Hz soxr's
own clock drifts by 1e-5 in a minute, which a new section puts right), and whoever resumes
needs to go back no further than a section.

Invariants: the spans are bit-identical however the input was cut, and from every ``Mark`` on
they are repeated bit for bit by a resampler built from that mark. What is not a number never
reaches soxr, where it would spread: it becomes a ``Damage`` and a jump of the position.
"""

from dataclasses import dataclass
from math import gcd
from typing import TypeAlias

import numpy as np
import soxr

from operators.records import ANALYSIS_RATE_HZ, Floats

SECTION_S = 30
PRIME_S = 0.5
PLAIN_SECTION_S = 1
"""Where nothing is resampled a mark costs nothing."""
QUIET_S = 0.05
"""Damage this close to the last is the same damage: bounds what a ruined file reports."""
LIMIT = np.float32(1e12)
"""Above this a sample is damage as well: its square overflows soon after."""


@dataclass(frozen=True, slots=True)
class Span:
    """Samples at the analysis rate; ``index`` is the position of the first one in the file."""

    index: int
    samples: Floats


@dataclass(frozen=True, slots=True)
class Damage:
    """From ``index`` on samples were not numbers; the audio goes on at a later position."""

    index: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A resampler built from these numbers repeats everything that follows this mark.

    Attributes:
        input: input sample to feed first.
        floor: output position before which nothing is emitted.
        hold: input sample before which nothing is taken (0 where there was no damage).
    """

    input: int = 0
    floor: int = 0
    hold: int = 0


Event: TypeAlias = Span | Damage | Mark


@dataclass(frozen=True, slots=True)
class Grid:
    """Where input and output samples of a rate coincide: ``unit`` in = ``step`` out."""

    rate_hz: int
    unit: int
    step: int
    section: int
    prime: int

    @classmethod
    def of(cls, rate_hz: int) -> "Grid":
        """The grid of a sample rate; sections and priming are whole units."""
        common = gcd(rate_hz, ANALYSIS_RATE_HZ)
        unit = rate_hz // common
        if rate_hz == ANALYSIS_RATE_HZ:
            return cls(rate_hz, 1, 1, PLAIN_SECTION_S * rate_hz, 0)
        section = -(-SECTION_S * rate_hz // unit) * unit
        prime = -(-int(PRIME_S * rate_hz) // unit) * unit
        return cls(rate_hz, unit, ANALYSIS_RATE_HZ // common, section, prime)

    def nearest(self, sample: int) -> int:
        """Output position nearest to an input sample (half up, as soxr counts)."""
        return (2 * sample * self.step + self.unit) // (2 * self.unit)

    def after(self, sample: int) -> int:
        """First output position that is not before an input sample."""
        return -(-sample * self.step // self.unit)

    def boundary(self, sample: int) -> int:
        """First section boundary (input sample) that can still be primed from ``sample``."""
        return ((sample + self.prime) // self.section + 1) * self.section


class _Section:
    """One resampler: fed from ``begin`` on, heard from ``keep`` up to ``limit``."""

    def __init__(self, grid: Grid, begin: int, keep: int) -> None:
        self.begin = begin
        self.boundary = grid.boundary(begin)
        self.limit = grid.nearest(self.boundary)
        self.keep = keep
        self._position = begin // grid.unit * grid.step
        self._stream = (
            None
            if grid.rate_hz == ANALYSIS_RATE_HZ
            else soxr.ResampleStream(
                grid.rate_hz, ANALYSIS_RATE_HZ, 1, dtype="float32", quality="HQ"
            )
        )

    @property
    def done(self) -> bool:
        return self._position >= self.limit

    def feed(self, samples: Floats, *, last: bool = False) -> Span | None:
        heard = (
            samples
            if self._stream is None
            else self._stream.resample_chunk(np.ascontiguousarray(samples), last=last)
        )
        first = self._position
        self._position += len(heard)
        lower = max(self.keep - first, 0)
        heard = heard[lower : max(self.limit - first, 0)]
        return Span(first + lower, heard) if len(heard) else None


class Resampler:
    """Consumes one file's mono samples in order; see the module for what it promises.

    Args:
        rate_hz: sample rate of the input.
        mark: where to begin; the caller feeds from input sample ``mark.input`` on.
    """

    def __init__(self, rate_hz: int, mark: Mark | None = None) -> None:
        mark = mark or Mark()
        self._grid = Grid.of(rate_hz)
        self._input = mark.input
        self._floor = mark.floor
        self._hold = mark.hold
        self._quiet = int(QUIET_S * rate_hz)
        self._current: _Section | None = None
        self._coming: _Section | None = None
        self._early: list[Span] = []

    @property
    def end(self) -> int:
        """Output position of the end of what was fed so far."""
        return max(self._grid.nearest(self._input), self._floor)

    def feed(self, samples: Floats) -> list[Event]:
        """Events of the next samples (float32, one channel), in order."""
        events: list[Event] = []
        base, cursor = self._input, 0
        for first, last in self._damage(samples):
            self._take(samples, base, cursor, first, events)
            if base + first > self._hold or self._hold == 0:
                self._stop(events)
                events.append(Damage(self._grid.nearest(base + first)))
                self._floor = self.end + 1
            cursor = last + 1
            self._input = base + cursor
            self._hold = self._input + self._quiet
        self._take(samples, base, cursor, len(samples), events)
        if self._input <= self._hold:
            events.append(Mark(self._input, self._floor, self._hold))
        return events

    def finish(self) -> list[Event]:
        """What the resamplers still hold: the input has ended."""
        events: list[Event] = []
        self._stop(events)
        return events

    def _damage(self, samples: Floats) -> list[tuple[int, int]]:
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero(~(np.abs(samples) < LIMIT))
        if not len(bad):
            return []
        cuts = np.flatnonzero(np.diff(bad) > self._quiet)
        firsts = bad[np.concatenate(([0], cuts + 1))]
        lasts = bad[np.concatenate((cuts, [len(bad) - 1]))]
        return list(zip(firsts.tolist(), lasts.tolist(), strict=True))

    def _take(self, samples: Floats, base: int, first: int, end: int, events: list[Event]) -> None:
        self._input = base + end
        first = max(first, self._hold - base)
        if first >= end:
            return
        if self._current is None:
            self._start(base + first)
        while first < end:
            upto = end
            if self._coming is None and self._current is not None:
                begin = self._current.boundary - self._grid.prime
                if begin == base + first:
                    self._coming = _Section(self._grid, begin, self._current.limit)
                else:
                    upto = min(end, begin - base)
            self._hear(samples[first:upto], events)
            first = upto

    def _start(self, sample: int) -> None:
        begin = sample // self._grid.unit * self._grid.unit
        keep = max(self._grid.after(sample), self._floor)
        self._current = _Section(self._grid, begin, keep)
        if begin < sample:
            self._current.feed(np.zeros(sample - begin, np.float32))

    def _hear(self, samples: Floats, events: list[Event]) -> None:
        current, coming = self._current, self._coming
        if current is not None and (span := current.feed(samples)):
            events.append(span)
        if coming is not None and (span := coming.feed(samples)):
            self._early.append(span)  # soxr delivers in bursts: it may be ahead of the other
        if current is not None and coming is not None and current.done:
            events += [Mark(coming.begin, current.limit, self._hold), *self._early]
            self._current, self._coming, self._early = coming, None, []

    def _stop(self, events: list[Event]) -> None:
        nothing = np.empty(0, np.float32)
        if self._current is not None and (span := self._current.feed(nothing, last=True)):
            events.append(span)
        events += self._early
        if self._coming is not None and (span := self._coming.feed(nothing, last=True)):
            events.append(span)
        self._current, self._coming, self._early = None, None, []
