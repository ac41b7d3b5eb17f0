"""The whole flow with a heavy network against that network alone, alternated.

The flow reads a file, resamples, cuts, discovers patterns, embeds with wav2vec2 (base size, random
weights, float32: more than 100 ms of CPU a window) and stores, from the moment everything is loaded
until the last row is in the store. The loop runs the same network over the same windows, resampled
and normalised beforehand, at the batch size that suits it best, and does nothing else. Floor: the
flow reaches 0.95 of the loop's throughput (median of nine pairs).
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench.flow import Silent, write_scene
from bench.networks import bare, opened, save_base
from bench.pairs import Ratio
from connectors.chunks import ReadOptions
from connectors.files import Files
from connectors.framed import Framed
from connectors.reader import items_of
from flows.run import Outcome, Request, run
from flows.settings import Settings, load
from operators.models.resampling import Resampler
from operators.records import ANALYSIS_RATE_HZ, Frame, Window
from operators.segment import Segmenter

FLOOR = 0.95
NAME = "wav2vec2"
LEAST_CPU_MS = 100.0
_BATCHES = (1, 4, 8, 16)


def compare(folder: Path, pairs: int, audio_s: float) -> int:
    """Measure, print a table, then one JSON line; non-zero where the floor is missed."""
    logging.disable(logging.INFO)
    audio = write_scene(folder / "scene.wav", audio_s)
    save_base(NAME, folder / NAME)
    windows = windows_of(audio)
    model = opened(NAME, folder, dtype="float32", device="cpu")
    batch, cpu_ms = best_batch(model, windows)
    settings = settings_for(folder, batch)
    ratio, outcome = alternate(settings, audio, loop_of(model, windows, batch), pairs)
    embedded = int(str(outcome.summary["stored"]))
    held = ratio.median >= FLOOR and embedded == len(windows) and cpu_ms >= LEAST_CPU_MS
    report(Console(stderr=True), ratio, batch, cpu_ms)
    figures = {
        "bench": "models --flow",
        "flow_over_network": round(ratio.median, 3),
        "spread": [round(ratio.ratios[0], 3), round(ratio.ratios[-1], 3)],
        "pairs": pairs,
        "windows": len(windows),
        "stored": embedded,
        "batch": batch,
        "cpu_ms_a_window": round(cpu_ms, 1),
        "floor": FLOOR,
        "held": held,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if held else 1


def settings_for(folder: Path, batch: int) -> Settings:
    """The flow with one model, into a store of this bench."""
    return load(
        flags={
            "store": {"uri": str(folder / "bench.db")},
            "listen": {"models": [NAME]},
            "infer": {"max_batch": batch, "deadline_s": 120.0},
            "models": {NAME: {"path": str(folder / NAME), "dtype": "float32", "device": "cpu"}},
        }
    )


def windows_of(audio: Path) -> Tensor:
    """The windows that the flow embeds, as the network takes them: (n, samples) at 16 kHz."""
    segmenter = Segmenter("bench")
    found = [
        item.samples
        for frame in items_of(Framed(Files, "bench", str(audio), ReadOptions()))
        if isinstance(frame, Frame)
        for item in segmenter.hear(frame)
        if isinstance(item, Window) and item.gate == "open"
    ]
    resample = Resampler(ANALYSIS_RATE_HZ, 16_000, torch.device("cpu"))
    return resample(torch.from_numpy(np.stack(found)))


def loop_of(model: Any, windows: Tensor, batch: int) -> Callable[[], None]:
    """The network over all windows, every input ready."""
    steps = [bare(NAME, model, part) for part in torch.split(windows, batch)]

    def loop() -> None:
        for step in steps:
            step()

    return loop


def best_batch(model: Any, windows: Tensor) -> tuple[int, float]:
    """The batch size at which the network alone is fastest, and its CPU-ms a window there."""
    some = windows[: max(_BATCHES) * 2]
    costs = {}
    for batch in _BATCHES:
        loop = loop_of(model, some, batch)
        loop()
        began_s = time.process_time()
        loop()
        costs[batch] = 1e3 * (time.process_time() - began_s) / len(some)
    best = min(costs, key=lambda batch: costs[batch])
    return best, costs[best]


def alternate(
    settings: Settings, audio: Path, loop: Callable[[], None], pairs: int
) -> tuple[Ratio, Outcome]:
    """Seconds of both, in turn, after one uncounted round; who begins alternates."""
    took_s, outcome = flow(settings, audio)
    loop()
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs):
        for mine in (True, False) if number % 2 else (False, True):
            if mine:
                took_s, outcome = flow(settings, audio)
            else:
                began_s = time.perf_counter()
                loop()
                took_s = time.perf_counter() - began_s
            times[mine].append(took_s)
    return Ratio(tuple(times[True]), tuple(times[False])), outcome


def flow(settings: Settings, audio: Path) -> tuple[float, Outcome]:
    """One run, timed from when models and store are open until the store has everything."""
    began_s = 0.0

    def begin(_sources: object) -> None:
        nonlocal began_s
        began_s = time.perf_counter()

    request = Request(sources=[f"bench={audio}"], progress=begin)
    outcome = run(settings, request, Silent(), lambda _line: None, threading.Event())
    return time.perf_counter() - began_s, outcome


def report(console: Console, ratio: Ratio, batch: int, cpu_ms: float) -> None:
    """A table for a person."""
    title = f"{NAME}, batches of {batch}, {cpu_ms:.0f} CPU-ms a window"
    table = Table("pair", "flow s", "network s", "flow / network", title=title)
    for number, (ours, other) in enumerate(zip(ratio.ours_s, ratio.other_s, strict=True), 1):
        table.add_row(str(number), f"{ours:.2f}", f"{other:.2f}", f"{other / ours:.3f}")
    table.add_row("median", "", "", f"{ratio.median:.3f}")
    console.print(table)
