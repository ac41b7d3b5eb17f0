"""The whole flow against a bare loop of the same work, and eight live-paced streams.

1. Ten minutes of audio at full speed: ``run`` into an embedded store, against one loop that
   decodes, resamples, cuts, discovers and embeds the same windows at the same batch size and
   keeps nothing. Floor: the flow reaches 0.9 of the loop's throughput (median of nine pairs).
2. Eight streams at the speed of sound: latency of a window and share of the CPU. No floor is
   judged (a busy machine is no defect of the flow); the figures are printed.

Run ``python -m bench.flow``; ``--pairs N`` and ``--minutes N`` for a quick look.
"""

import argparse
import json
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from bench.pairs import PAIRS, Ratio, alternate
from connectors.chunks import ReadOptions
from connectors.files import Files
from connectors.framed import Framed
from connectors.reader import items_of
from flows.loading import load_ladders
from flows.run import Request, run
from flows.settings import Settings, load
from operators.models import Model
from operators.patterns import Detector
from operators.records import ANALYSIS_RATE_HZ, Floats, Frame, Region, StreamEnd, Window
from operators.scene import scene
from operators.segment import Segmenter

FLOOR = 0.9
STREAMS = 8


class Silent:
    """A view that shows nothing."""

    def __call__(self, item: object) -> None:
        """Ignore a record."""

    def event(self, event: dict[str, object]) -> None:
        """Ignore an event."""


def main() -> int:
    """Measure, print tables, then one JSON line; non-zero where the floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--live-s", type=float, default=60.0)
    asked = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="grym-bench-") as folder:
        audio = write_scene(Path(folder) / "scene.wav", asked.minutes * 60)
        ratio = flow_against_loop(Path(folder), audio, asked.pairs)
        live = eight_streams(Path(folder), asked.live_s)
    report(console, ratio, live)
    held = ratio.median >= FLOOR
    figures = {
        "bench": "flow",
        "flow_over_loop": round(ratio.median, 3),
        "spread": [round(ratio.ratios[0], 3), round(ratio.ratios[-1], 3)],
        "pairs": asked.pairs,
        "floor": FLOOR,
        "held": held,
        "live": {key: live[key] for key in ("latency_ms", "cpu_share", "windows", "rss_mb")},
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if held else 1


def write_scene(path: Path, duration_s: float) -> Path:
    """Scenes of five minutes, one after another, at 48 kHz so that resampling is part of it."""
    rate_hz = 48_000
    with soundfile.SoundFile(path, "w", rate_hz, 1, subtype="PCM_16") as file:
        left = duration_s
        seed = 0
        while left > 0:
            length_s = max(min(left, 300.0), 120.0)
            file.write(scene(seed, length_s).samples[: round(left * rate_hz)])
            left -= length_s
            seed += 1
    return path


def write_streams(folder: Path, count: int, duration_s: float) -> list[str]:
    """Files of different scenes, at most two minutes long; their paths."""
    sources = []
    for seed in range(count):
        path = folder / f"live{seed}.wav"
        samples = scene(seed, 120.0).samples[: round(duration_s * ANALYSIS_RATE_HZ)]
        soundfile.write(path, samples, ANALYSIS_RATE_HZ, subtype="PCM_16")
        sources.append(str(path))
    return sources


def settings_for(folder: Path, **flags: object) -> Settings:
    """Defaults, into a store of this bench."""
    return load(flags={"store": {"uri": str(folder / "bench.db")}, "listen": flags})


def flow_against_loop(folder: Path, audio: Path, pairs: int) -> Ratio:
    """Throughput of the flow against the loop, pair by pair."""
    settings = settings_for(folder)
    ((model,),) = load_ladders(settings, lambda _line: None).values()

    def flow() -> None:
        request = Request(sources=[f"bench={audio}"])
        run(settings, request, Silent(), lambda _line: None, threading.Event())

    return alternate(flow, lambda: loop(audio, model, settings.infer.max_batch), pairs)


def loop(audio: Path, model: Model, batch: int) -> int:
    """The same decoding, cutting, discovery and embedding, one after another; nothing is kept."""
    segmenter, detector = Segmenter("bench"), Detector("bench")
    waiting: list[Floats] = []
    embedded = 0
    for frame in items_of(Framed(Files, "bench", str(audio), ReadOptions())):
        if not isinstance(frame, Frame):
            continue
        for item in segmenter.hear(frame):
            if isinstance(item, Region):
                detector.hear(item)
            elif isinstance(item, StreamEnd):
                detector.finish(item)
            elif isinstance(item, Window) and item.gate == "open":
                waiting.append(item.samples)
        while len(waiting) >= batch or (frame.last and waiting):
            embedded += len(model.embed(np.stack(waiting[:batch])))
            del waiting[:batch]
    return embedded


def eight_streams(folder: Path, duration_s: float) -> dict[str, object]:
    """The summary of eight different streams heard at the speed of sound."""
    sources = write_streams(folder, STREAMS, duration_s)
    settings = settings_for(folder, speed="realtime")
    outcome = run(settings, Request(sources), Silent(), lambda _line: None, threading.Event())
    return outcome.summary


def report(console: Console, ratio: Ratio, live: dict[str, object]) -> None:
    """Tables for a person."""
    table = Table("pair", "flow s", "loop s", "flow / loop", title="throughput")
    for number, (ours, other) in enumerate(zip(ratio.ours_s, ratio.other_s, strict=True), 1):
        table.add_row(str(number), f"{ours:.2f}", f"{other:.2f}", f"{other / ours:.3f}")
    table.add_row("median", "", "", f"{ratio.median:.3f}")
    console.print(table)
    table = Table("figure", "value", title=f"{STREAMS} streams at the speed of sound")
    for key in ("latency_ms", "cpu_share", "windows", "stored", "rss_mb"):
        table.add_row(key, str(live[key]))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
