"""What a window costs here: measured on a loaded model, remembered beside the weights.

A cost belongs to this machine, the model's space, the device, the arithmetic and the length of the
window; the last one measured is kept. Invariant: nothing depends on it but what a person is shown.
A file that is damaged or of another version counts as empty, one that cannot be written is said in
one line, and both are no error.
"""

import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import platformdirs

from connectors.locks import FileLock
from operators.models.protocol import Model
from operators.records import ANALYSIS_RATE_HZ, Floats

_log = logging.getLogger(__name__)
_VERSION = 1
_MOST = 256
_LOCK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a window cost when it was measured.

    Attributes:
        machine: the host's name.
        model, space, device, dtype: as the model says.
        window_s: length of the windows.
        batch: windows a call.
        wall_ms: a window's share of a call's time; the median call.
        cpu_ms: a window's share of the processor's time, all threads together.
        measured_s: when, seconds since 1970.
    """

    machine: str
    model: str
    space: str
    device: str
    dtype: str
    window_s: float
    batch: int
    wall_ms: float
    cpu_ms: float
    measured_s: float

    @property
    def key(self) -> tuple[object, ...]:
        """What only one cost is remembered for."""
        return (self.machine, self.space, self.device, self.dtype, self.window_s)


def measure(
    model: Model,
    *,
    window_s: float = 1.0,
    batch: int = 8,
    calls: int = 3,
    wall_s: Callable[[], float] = time.perf_counter,
    cpu_s: Callable[[], float] = time.process_time,
    now_s: Callable[[], float] = time.time,
) -> Cost:
    """Measures a model on windows as the flow brings them; takes ``calls + 1`` calls.

    The first call is not counted. Whatever else this process computes meanwhile counts as the
    model's, so measure before listening.
    """
    rng = np.random.default_rng(0)
    shape = (batch, round(window_s * ANALYSIS_RATE_HZ))
    windows: Floats = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
    model.embed(windows, ANALYSIS_RATE_HZ)
    took_s = []
    spent_s = -cpu_s()
    for _ in range(calls):
        began_s = wall_s()
        model.embed(windows, ANALYSIS_RATE_HZ)
        took_s.append(wall_s() - began_s)
    spent_s += cpu_s()
    return Cost(
        machine=platform.node(),
        model=model.name,
        space=model.space,
        device=model.device,
        dtype=model.dtype,
        window_s=window_s,
        batch=batch,
        wall_ms=1e3 * median(took_s) / batch,
        cpu_ms=1e3 * spent_s / (calls * batch),
        measured_s=now_s(),
    )


class Costs:
    """The costs remembered on this machine.

    Args:
        cache_dir: instead of the user's cache folder of grym.
    """

    def __init__(self, cache_dir: Path | None = None) -> None:
        self._folder = platformdirs.user_cache_path("grym") if cache_dir is None else cache_dir
        self._file = self._folder / "costs.json"

    def of(self, model: str, device: str | None = None) -> Cost | None:
        """The cost of a model that was measured here last, on a device or on any."""
        found = [
            cost
            for cost in self._read()
            if cost.model == model
            and cost.machine == platform.node()
            and device in {None, cost.device}
        ]
        return max(found, key=lambda cost: cost.measured_s, default=None)

    def known(self, model: Model, window_s: float) -> Cost | None:
        """The cost of exactly this model, as it is loaded, if it was ever measured here."""
        wanted = (platform.node(), model.space, model.device, model.dtype, window_s)
        return next((cost for cost in self._read() if cost.key == wanted), None)

    def remember(self, cost: Cost) -> None:
        """Keeps a cost in place of an older one of the same kind; of all, the newest are kept."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / ".costs.lock")
            if not lock.acquire(timeout_s=_LOCK_TIMEOUT_S):
                raise TimeoutError(f"another process has held its lock for {_LOCK_TIMEOUT_S:.0f} s")
            with lock:
                others = [each for each in self._read() if each.key != cost.key]
                self._write(sorted([*others, cost], key=lambda each: each.measured_s)[-_MOST:])
        except OSError as error:
            reason = error.strerror or str(error)
            _log.warning("%s: the cost of a window is not remembered (%s)", self._file, reason)

    def _read(self) -> list[Cost]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            if content["version"] != _VERSION:
                return []
            return [_cost(row) for row in content["costs"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _write(self, costs: list[Cost]) -> None:
        content = {"version": _VERSION, "costs": [asdict(cost) for cost in costs]}
        descriptor, aside = tempfile.mkstemp(prefix=".costs-", dir=self._folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                json.dump(content, opened, indent=1)
            Path(aside).replace(self._file)
        except OSError:
            Path(aside).unlink(missing_ok=True)
            raise


def _cost(row: dict[str, Any]) -> Cost:
    """A row of the file.

    Raises:
        TypeError, ValueError, KeyError: it is not one.
    """
    return Cost(**{field.name: _KINDS[field.type](row[field.name]) for field in fields(Cost)})


_KINDS: dict[Any, Callable[[Any], Any]] = {str: str, float: float, int: int}
