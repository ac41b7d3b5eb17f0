"""What telemetry costs, and what a collector that goes away costs.

1. Forty-two streams at the speed of sound, about a hundred windows a second, in processes that take
   turns: telemetry off, 5 % and all of the windows sampled (spans and metrics to a collector in a
   process of its own). The difference in CPU is given in % of a core, median of the rounds. Floor:
   at most 2 % for 5 %.
2. A recording at full speed, all windows sampled: the collector is killed, or frozen, once it has
   received something, against one that stays. Floors: throughput 0.98 of the other (median of
   pairs), the process ends within 5 s of its summary, and its memory grows by at most 32 MB.

Run ``python -m bench.telemetry``; ``--rounds N``, ``--live-s N`` and ``--minutes N`` for less.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.flow import write_scene, write_streams
from bench.pairs import PAIRS
from bench.receiver import Receiver, receiver

STREAMS = 42
BUDGET_CPU = 0.02
LEAST_RATIO = 0.98
LONGEST_EXIT_S = 5.0
MOST_GROWTH_MB = 32.0
ARMS = {"off": None, "5 %": "0.05", "100 %": "1.0"}


@dataclass(frozen=True, slots=True)
class Listened:
    """One run in a process of its own: its summary, and how long it took to end after that."""

    summary: dict[str, Any]
    exit_s: float

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the process while it listened."""
        share = float(self.summary["cpu_share"]) * float(self.summary["elapsed_s"])
        return share * (os.cpu_count() or 1)

    @property
    def windows_a_s(self) -> float:
        """Windows a second, over the whole run."""
        return float(self.summary["windows"]) / float(self.summary["elapsed_s"])


def listened(
    folder: Path,
    sources: list[str],
    url: str,
    ratio: str | None,
    *flags: str,
    meanwhile: Callable[[], None] = lambda: None,
) -> Listened:
    """Listen in a process of its own.

    Args:
        folder: for its store.
        sources: what to listen to.
        url: of the collector.
        ratio: share of the windows that is sampled; None switches telemetry off.
        flags: more of the command line.
        meanwhile: called while it listens.
    """
    said = {"OTEL_SDK_DISABLED": "true"} if ratio is None else {"OTEL_TRACES_SAMPLER_ARG": ratio}
    command = "from flows.cli import main; main()"
    store = ("--store", str(folder / "bench.db"), "--model", "logmel", "--json")
    process = subprocess.Popen(
        [sys.executable, "-c", command, "listen", *sources, *store, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            **said,
        },
    )
    meanwhile()
    last, told_s = "", 0.0
    for line in process.stdout or ():
        last, told_s = line, time.perf_counter()
    process.wait()
    return Listened(json.loads(last), time.perf_counter() - told_s)


def cost(folder: Path, live_s: float, rounds: int) -> dict[str, list[Listened]]:
    """Runs of each arm, in turn."""
    sources = write_streams(folder, STREAMS, live_s)
    runs: dict[str, list[Listened]] = {arm: [] for arm in ARMS}
    names = list(ARMS)
    with receiver() as collector:
        for number in range(rounds):
            for arm in names[number % 3 :] + names[: number % 3]:
                runs[arm].append(
                    listened(folder, sources, collector.url, ARMS[arm], "--speed", "realtime")
                )
    return runs


def extra_cpu(runs: dict[str, list[Listened]], arm: str) -> list[float]:
    """CPU of an arm beyond that of the round's run without telemetry, in cores, sorted."""
    return sorted(
        (on.cpu_s - off.cpu_s) / float(off.summary["elapsed_s"])
        for on, off in zip(runs[arm], runs["off"], strict=True)
    )


def going_away(
    folder: Path, audio: Path, pairs: int, end: Callable[[Receiver], None]
) -> list[tuple[Listened, Listened]]:
    """Pairs of runs: the collector goes away in the first of each, and stays in the other."""

    def once(*, ends: bool) -> Listened:
        with receiver() as collector:

            def meanwhile() -> None:
                collector.wait_for_spans()
                end(collector)

            when = meanwhile if ends else collector.wait_for_spans
            return listened(folder, [str(audio)], collector.url, "1.0", meanwhile=when)

    found = []
    for number in range(pairs):
        if number % 2:
            stays = once(ends=False)
            found.append((once(ends=True), stays))
        else:
            found.append((once(ends=True), once(ends=False)))
    return found


def main() -> int:
    """Measure, print tables, then one JSON line; non-zero where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=PAIRS)
    parser.add_argument("--live-s", type=float, default=20.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="grym-bench-") as name:
        folder = Path(name)
        runs = cost(folder, asked.live_s, asked.rounds)
        audio = write_scene(folder / "scene.wav", asked.minutes * 60)
        away = {
            "killed": going_away(folder, audio, asked.rounds, Receiver.kill),
            "frozen": going_away(folder, audio, asked.rounds, Receiver.freeze),
        }
    figures = {"bench": "telemetry", **cost_figures(runs), **away_figures(away)}
    figures["held"] = holds(figures)
    report(console, figures)
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if figures["held"] else 1


def cost_figures(runs: dict[str, list[Listened]]) -> dict[str, Any]:
    """What telemetry costs, for the last line."""
    return {
        "windows_a_s": round(median(run.windows_a_s for run in runs["off"]), 1),
        "extra_cpu_of_a_core": {arm: _spread(extra_cpu(runs, arm)) for arm in ARMS if arm != "off"},
        "budget": BUDGET_CPU,
        "rounds": len(runs["off"]),
    }


def away_figures(away: dict[str, list[tuple[Listened, Listened]]]) -> dict[str, Any]:
    """What a collector costs that goes away, for the last line."""
    figures: dict[str, Any] = {}
    for how, pairs in away.items():
        figures[how] = {
            "throughput": _spread(sorted(a.windows_a_s / b.windows_a_s for a, b in pairs)),
            "exit_s": round(max(a.exit_s for a, _ in pairs), 2),
            "growth_mb": round(
                median(float(a.summary["rss_mb"]) - float(b.summary["rss_mb"]) for a, b in pairs), 1
            ),
        }
    return figures


def holds(figures: dict[str, Any]) -> bool:
    """Whether every floor held."""
    return figures["extra_cpu_of_a_core"]["5 %"]["median"] <= BUDGET_CPU and all(
        figures[how]["throughput"]["median"] >= LEAST_RATIO
        and figures[how]["exit_s"] <= LONGEST_EXIT_S
        and figures[how]["growth_mb"] <= MOST_GROWTH_MB
        for how in ("killed", "frozen")
    )


def report(console: Console, figures: dict[str, Any]) -> None:
    """Tables for a person."""
    title = f"{STREAMS} streams, {figures['windows_a_s']} windows a second: CPU beyond that of off"
    table = Table("sampled", "median", "least", "most", title=title)
    for arm, spread in figures["extra_cpu_of_a_core"].items():
        table.add_row(arm, *(f"{100 * spread[key]:.2f} % of a core" for key in spread))
    console.print(table)
    table = Table("collector", "throughput", "exit s", "memory MB", title="against one that stays")
    for how in ("killed", "frozen"):
        away = figures[how]
        spread = away["throughput"]
        throughput = f"{spread['median']:.3f} ({spread['least']:.3f}-{spread['most']:.3f})"
        table.add_row(how, throughput, f"{away['exit_s']:.2f}", f"{away['growth_mb']:+.1f}")
    console.print(table)


def _spread(values: list[float]) -> dict[str, float]:
    """Median, least and most of sorted values."""
    return {
        "median": round(median(values), 4),
        "least": round(values[0], 4),
        "most": round(values[-1], 4),
    }


if __name__ == "__main__":
    sys.exit(main())
