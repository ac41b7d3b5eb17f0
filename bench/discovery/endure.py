"""Does discovery keep up, however many sounds it knows and however long it has listened?

    python -m bench.discovery.endure [--hours 24] [--sounds 500] [--per-minute 5] [--seed 1]

CPU of this thread per second of stream: with 30, 100 and 250 sounds that all came often enough to
be known, at the density of the scenes; and over a day in which other sounds are about every half
hour. Prints tables and, last, one line of JSON.

Exit status: 0 when every limit holds, 1 when one is missed.
"""

import argparse
import json
import pickle
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from time import thread_time

import numpy as np

from bench.discovery.endless import STREAM, Act, Tablets, stream, tablets
from bench.discovery.hearing import Timed

KNOWN = (30, 100, 250)
LIVE_MS, GROWTH, HINDSIGHT_MS = 15.0, 2.0, 30.0
AGING = 1.5
"""What the last hours may cost of the first, once as much is known."""
STATE_MB = 32.0
PER_MINUTE, TAUGHT_PER_MINUTE = 22.0, 30.0
MEASURED_S = 900.0
SESSION_S, ABOUT = 1_800.0, 30
"""Over the day, this many sounds are about for so long; then others."""
TEACHING = 5
REPORT_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Row:
    """What a stretch of stream took.

    Attributes:
        live_ms, hindsight_ms: CPU per second of stream.
        snapshot_ms: to make a snapshot, as is done after every region.
        state_mb: pickled.
    """

    name: str
    duration_s: float
    templates: int
    live_ms: float
    hindsight_ms: float
    snapshot_ms: float
    pickle_ms: float
    state_mb: float


class Meter:
    """A detector and what it took since the last report."""

    def __init__(self) -> None:
        self.detector = Timed(STREAM)
        self._spent_s = 0.0
        self._hindsight_s = 0.0
        self._templates: list[int] = []

    def hear(self, region: object) -> None:
        """Take a region."""
        began = thread_time()
        self.detector.hear(region)  # type: ignore[arg-type]
        self._spent_s += thread_time() - began
        self._templates.append(len(self.detector.templates))

    def report(self, name: str, duration_s: float) -> Row:
        """Sum up and begin anew."""
        detector = self.detector
        hindsight_s = detector.hindsight_s - self._hindsight_s
        began = thread_time()
        state = detector.snapshot()
        made = thread_time()
        data = pickle.dumps(state, protocol=pickle.HIGHEST_PROTOCOL)
        row = Row(
            name=name,
            duration_s=duration_s,
            templates=round(float(np.mean(self._templates or [0]))),
            live_ms=1e3 * (self._spent_s - hindsight_s) / duration_s,
            hindsight_ms=1e3 * hindsight_s / duration_s,
            snapshot_ms=1e3 * (made - began),
            pickle_ms=1e3 * (thread_time() - made),
            state_mb=len(data) / 1e6,
        )
        self._spent_s, self._hindsight_s, self._templates = 0.0, detector.hindsight_s, []
        return row


def known(made: Tablets, count: int, seed: int) -> Row:
    """Teaches so many sounds, session by session, then hears all of them."""
    rounds = [tuple(range(at, min(count, at + ABOUT))) for at in range(0, count, ABOUT)]
    acts = [
        Act(60 * TEACHING * len(sounds) / TAUGHT_PER_MINUTE, TAUGHT_PER_MINUTE, sounds)
        for sounds in rounds
    ]
    acts.append(Act(MEASURED_S, PER_MINUTE, tuple(range(count))))
    meter, before = Meter(), 0
    for number, region in stream(made, acts, seed):
        if number == len(rounds) and before < number:
            meter.report("taught", 1.0)
        before = number
        meter.hear(region)
    return meter.report(f"{count} sounds", MEASURED_S)


def day(
    made: Tablets, hours: float, per_minute: float, seed: int, every_s: float = REPORT_S
) -> Iterator[Row]:
    """Listens for hours; a row for each of them."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 47])))
    count = len(made.sounds)
    about = [
        tuple(int(i) for i in rng.permutation(count)[:ABOUT])
        for _ in range(round(hours * 3600 / SESSION_S))
    ]
    acts = [Act(SESSION_S, per_minute, sounds) for sounds in about]
    meter, hour = Meter(), 0
    for number, region in stream(made, acts, seed):
        now = int(number * SESSION_S / every_s)
        if now > hour:
            yield meter.report(f"hour {now}", every_s)
        hour = now
        meter.hear(region)
    yield meter.report(f"hour {hour + 1}", every_s)


def missed(steps: list[Row], hours: list[Row]) -> list[str]:
    """The limits that do not hold."""
    problems = []
    if steps[0].live_ms > LIVE_MS:
        problems.append(f"live {steps[0].live_ms:.1f} ms/s with {steps[0].name} > {LIVE_MS:g}")
    if steps[-1].live_ms > GROWTH * steps[0].live_ms:
        problems.append(f"live grows {steps[-1].live_ms / steps[0].live_ms:.2f} x > {GROWTH:g}")
    for row in (*steps, *hours):
        if row.hindsight_ms > HINDSIGHT_MS:
            problems.append(f"hindsight {row.hindsight_ms:.1f} ms/s, {row.name} > {HINDSIGHT_MS:g}")
        if row.state_mb > STATE_MB:
            problems.append(f"state {row.state_mb:.1f} MB, {row.name} > {STATE_MB:g}")
    full = [row for row in hours if row.templates >= 0.9 * hours[-1].templates]
    if len(full) > 1:
        third = max(1, len(full) // 3)
        early, late = (
            float(np.mean([row.live_ms + row.hindsight_ms for row in rows]))
            for rows in (full[:third], full[-third:])
        )
        if late > AGING * early:
            problems.append(f"the last hours cost {late / early:.2f} x the first > {AGING:g}")
    return problems


def _show(row: Row) -> None:
    print(
        f"{row.name:>12} {row.templates:>9} {row.live_ms:>9.2f} {row.hindsight_ms:>10.2f} "
        f"{row.snapshot_ms:>9.2f} {row.pickle_ms:>8.1f} {row.state_mb:>8.2f}",
        flush=True,
    )


def _head() -> None:
    print(
        f"{'':>12} {'templates':>9} {'live ms/s':>9} {'hindsight':>10} {'snap ms':>9} "
        f"{'pickle':>8} {'MB':>8}",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs everything; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0, help="0 = without the long run")
    parser.add_argument("--sounds", type=int, default=500, help="that recur in the long run")
    parser.add_argument("--per-minute", type=float, default=5.0, help="events in the long run")
    parser.add_argument("--known", type=int, nargs="*", default=list(KNOWN))
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    made = tablets(max([asked.sounds, *asked.known]))
    known(made, 8, asked.seed)  # What is compiled at the first use is not measured.
    print(f"{PER_MINUTE:g} events a minute, {MEASURED_S / 60:g} minutes")
    _head()
    steps = []
    for count in asked.known:
        steps.append(known(made, count, asked.seed))
        _show(steps[-1])
    hours: list[Row] = []
    if asked.hours:
        print(f"{asked.sounds} sounds, {asked.per_minute:g} events a minute")
        _head()
        for row in day(made, asked.hours, asked.per_minute, asked.seed):
            hours.append(row)
            _show(row)
    problems = missed(steps, hours) if steps else []
    for problem in problems:
        print(f"missed: {problem}")
    rows = [asdict(row) for row in (*steps, *hours)]
    print(json.dumps({"per_minute": asked.per_minute, "rows": rows, "missed": problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
