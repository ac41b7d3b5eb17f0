"""What the models cost: throughput, CPU time, latency and memory, by batch size and arithmetic.

Windows of 1 s at the analysis rate, as the flow brings them; so resampling, the front end and all
copies are part of every figure. Networks of transformers have base size and random weights, and
are set against a bare loop of the same module on inputs made beforehand, call by call in turn.
Every configuration runs in a process of its own, so that its peak of memory is its own.

Run ``python -m bench.models``; ``--models``, ``--dtypes``, ``--batches``, ``--device`` and
``--seconds`` for a part, ``--compiled`` to compile (minutes a model). ``--flow`` measures instead
the whole flow with wav2vec2 against its network alone; see ``bench/flow_models.py``.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from bench.networks import NAMES, TRANSFORMERS, bare, opened, save_base
from bench.pairs import PAIRS
from operators.models import Model
from operators.models.compiling import probe
from operators.models.compute import choose_device
from operators.models.resampling import Resampler
from operators.records import ANALYSIS_RATE_HZ, Floats

LEAST_CALLS = 5
STREAM_WINDOWS_S = 2
"""Windows a second that a stream brings at the default hop of 0.5 s."""


@dataclass(frozen=True, slots=True)
class Task:
    """One configuration to measure."""

    model: str
    device: str
    dtype: str
    compiled: bool
    batches: tuple[int, ...]
    seconds: float
    folder: Path


@dataclass(frozen=True, slots=True)
class Figure:
    """What one configuration did at one size of batch.

    Attributes:
        windows_s: a second, in calls that follow one another.
        cpu_ms: of all threads of the process, a window.
        p50_ms, p95_ms: of a call.
        calls: that these are taken from.
        peak_mb: resident memory of the process; of the GPU's allocator on a GPU.
        over_bare: throughput against the bare loop, the median of pairs, by CPU time on a processor
            (others may be using it) and by the clock on a GPU; None where there is none.
    """

    model: str
    device: str
    dtype: str
    compiled: bool
    batch: int
    windows_s: float
    cpu_ms: float
    p50_ms: float
    p95_ms: float
    calls: int
    peak_mb: float
    over_bare: float | None

    @property
    def streams(self) -> float:
        """Live streams that would keep it busy."""
        return self.windows_s / STREAM_WINDOWS_S


def main() -> int:
    """Measure, print tables, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 16])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=4.0, help="a figure, at least")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--flow", action="store_true", help="the flow against the network alone")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of --flow")
    parser.add_argument("--audio-s", type=float, default=60.0, help="of --flow")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="grym-bench-") as folder:
        if asked.flow:
            from bench.flow_models import compare  # noqa: PLC0415  # the flow is not needed above

            return compare(Path(folder), asked.pairs, asked.audio_s)
        figures = measure_all(asked, Path(folder))
    report(figures)
    rows = [asdict(figure) for figure in figures]
    sys.stdout.write(json.dumps({"bench": "models", "machine": machine(), "rows": rows}) + "\n")
    return 0


def measure_all(asked: argparse.Namespace, folder: Path) -> list[Figure]:
    """Every configuration in a process of its own, one after another."""
    device = str(choose_device(asked.device))
    for name in set(asked.models) & set(TRANSFORMERS):
        save_base(name, folder / name)
    figures: list[Figure] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for name in asked.models:
            for dtype in ["float32"] if name == "logmel" else asked.dtypes:
                for compiled in [False, True] if asked.compiled and name != "logmel" else [False]:
                    where = "cpu" if name == "logmel" else device
                    batches = tuple(asked.batches)
                    task = Task(name, where, dtype, compiled, batches, asked.seconds, folder)
                    figures += pool.submit(measure, task).result()
                    sys.stderr.write(f"measured {name} {dtype}{' compiled' * compiled}\n")
    return figures


def measure(task: Task) -> list[Figure]:
    """All batch sizes of one configuration, ascending."""
    model = opened(
        task.model, task.folder, dtype=task.dtype, device=task.device, compiled=task.compiled
    )
    model.embed(probe(1, ANALYSIS_RATE_HZ), ANALYSIS_RATE_HZ)
    return [_figure(task, model, batch) for batch in sorted(task.batches)]


def _figure(task: Task, model: Model, batch: int) -> Figure:
    windows = probe(batch, ANALYSIS_RATE_HZ)
    loop = _bare_loop(task, model, windows)
    model.embed(windows, ANALYSIS_RATE_HZ)
    _forget_peak()
    ours: list[Spent] = []
    other: list[Spent] = []
    until_s = time.perf_counter() + task.seconds
    while len(ours) < LEAST_CALLS or time.perf_counter() < until_s:
        ours.append(spent(lambda: model.embed(windows, ANALYSIS_RATE_HZ)))
        if loop is not None:
            other.append(spent(loop))
    field = "cpu_s" if task.device == "cpu" else "wall_s"
    ratios = [getattr(b, field) / getattr(a, field) for a, b in zip(ours, other, strict=False)]
    took_s = [each.wall_s for each in ours]
    return Figure(
        task.model,
        task.device,
        task.dtype,
        task.compiled,
        batch,
        windows_s=batch * len(took_s) / sum(took_s),
        cpu_ms=1e3 * sum(each.cpu_s for each in ours) / (batch * len(ours)),
        p50_ms=1e3 * median(took_s),
        p95_ms=1e3 * float(np.quantile(took_s, 0.95)),
        calls=len(took_s),
        peak_mb=_peak_mb(),
        over_bare=median(ratios) if ratios else None,
    )


@dataclass(frozen=True, slots=True)
class Spent:
    """What one call took by the clock, and of the processor."""

    wall_s: float
    cpu_s: float


def spent(call: Callable[[], object]) -> Spent:
    """Time a call."""
    cpu_s, began_s = time.process_time(), time.perf_counter()
    call()
    return Spent(time.perf_counter() - began_s, time.process_time() - cpu_s)


def _bare_loop(task: Task, model: Model, windows: Floats) -> Callable[[], Tensor] | None:
    if task.model not in TRANSFORMERS:
        return None
    rate_hz = model.sample_rate_hz
    given = torch.from_numpy(windows)
    if rate_hz != ANALYSIS_RATE_HZ:
        given = Resampler(ANALYSIS_RATE_HZ, rate_hz, torch.device("cpu"))(given)
    loop = bare(task.model, model, given)
    loop()
    return loop


def _forget_peak() -> None:
    """Let the peaks of memory begin anew (Linux: proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def machine() -> str:
    """What the figures were measured on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "?")


def report(figures: list[Figure]) -> None:
    """A table for a person, as Markdown, so that it can be quoted."""
    heads = ("model", "device", "dtype", "batch", "windows/s", "CPU-ms a window", "p50 ms")
    rows: list[tuple[str, ...]] = [(*heads, "p95 ms", "calls", "peak MB", "over bare")]
    rows.append(("---",) * len(rows[0]))
    for each in figures:
        row = (
            each.model + (" compiled" if each.compiled else ""),
            each.device,
            each.dtype,
            str(each.batch),
            f"{each.windows_s:.1f}",
            f"{each.cpu_ms:.1f}",
            f"{each.p50_ms:.1f}",
            f"{each.p95_ms:.1f}",
            str(each.calls),
            f"{each.peak_mb:.0f}",
            "-" if each.over_bare is None else f"{each.over_bare:.2f}",
        )
        rows.append(row)
    sys.stderr.write(f"{machine()}\n\n")
    for line in rows:
        sys.stderr.write(f"| {' | '.join(line)} |\n")


if __name__ == "__main__":
    sys.exit(main())
