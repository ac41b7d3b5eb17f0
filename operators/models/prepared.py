"""Windows of one length in batches of fixed sizes, with everything a call needs made beforehand.

For each size: a buffer on the host that the device copies from by itself, a place on the device, a
buffer for the vectors, and a step that has run before - compiled and recorded where that is asked
for and computes the same. Live audio then waits for nothing but the work itself.

Invariant: one call at a time uses the buffers. A call that finds them taken (its predecessor hangs)
is told so and takes another way; it never waits and never shares.
"""

import logging
import threading
import warnings
from dataclasses import dataclass

import numpy as np
import torch

from operators.models.accelerator import Machine, Step
from operators.models.buckets import Buckets, parts
from operators.models.compiling import Compiler, compare, probe
from operators.models.protocol import ModelConfigError
from operators.records import Floats
from operators.recovery import diagnose

_log = logging.getLogger(__name__)
_REASON_LENGTH = 240


@dataclass(frozen=True, slots=True)
class Shape:
    """What is prepared for.

    Attributes:
        samples: length of a window as it arrives.
        dimension: length of a vector.
        headroom: share of the device's memory that must stay free.
        least_cosine: between a vector of the compiled step and one of the plain step.
    """

    samples: int
    dimension: int
    headroom: float
    least_cosine: float


class Stage:
    """One size of batch: its memory on both sides and the step between them."""

    def __init__(self, step: Step, machine: Machine, shape: Shape, bucket: int) -> None:
        self._step = step
        self._machine = machine
        self._given = machine.host(bucket, shape.samples)
        self._found = machine.host(bucket, shape.dimension)
        self._there = machine.beside(self._given)
        self.windows: Floats = self._given.numpy()
        self.vectors: Floats = self._found.numpy()

    def run(self) -> None:
        """From ``windows`` to ``vectors``."""
        with torch.inference_mode(), self._machine.turn():
            if self._there is not self._given:
                self._there.copy_(self._given, non_blocking=True)
            self._found.copy_(self._step(self._there), non_blocking=True)

    def record(self) -> None:
        """Have the machine record the step, which has run before."""
        with torch.inference_mode():
            self._step = self._machine.recorded(self._step, self._there)


class Prepared:
    """Batches of any size of windows of one length; see the module.

    Args:
        step: from windows on the device to vectors there, any number at once.
        machine: the device.
        shape: of the windows and vectors.
        buckets: the sizes to prepare; those that do not fit into memory are left out.
        compiler: makes a step faster, and may fail; None leaves the step as it is.
        name: of the model, for messages.

    Raises:
        ModelConfigError: not even the smallest size fits into the memory of the device.
    """

    def __init__(
        self,
        step: Step,
        machine: Machine,
        shape: Shape,
        *,
        buckets: Buckets,
        compiler: Compiler | None,
        name: str,
    ) -> None:
        self._plain, self._machine, self._shape = step, machine, shape
        self._name = name
        self._slack = buckets.slack
        self._turn = threading.Lock()
        stages = self._compiled(compiler, buckets) if compiler else {}
        self._stages = stages or self._fitting(step, buckets)
        if not self._stages:
            raise ModelConfigError(
                f"model {name!r} does not fit into the memory of {machine.name} with "
                f"{shape.headroom:.0%} of it left free: free some there, choose device cpu or a "
                "lighter model"
            )
        if len(self._stages) < len(buckets.sizes):
            most = f"computes at most {max(self._stages)} windows at once: more do not fit into"
            left = f"with {shape.headroom:.0%} of it left free"
            _log.warning("model %r %s the memory of %s %s", name, most, machine.name, left)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of batches that fit, ascending."""
        return tuple(sorted(self._stages))

    def __call__(self, windows: Floats) -> Floats | None:
        """(n, samples) -> (n, dimension), rows of NaN where a window is not finite.

        None where another call is using the buffers.
        """
        if not self._turn.acquire(blocking=False):
            return None
        try:
            result = np.empty((len(windows), self._shape.dimension), dtype=np.float32)
            for part in parts(len(windows), self.sizes, self._slack):
                rows = slice(part.first, part.first + part.rows)
                result[rows] = self._part(self._stages[part.bucket], windows[rows])
            return result
        finally:
            self._turn.release()

    def _part(self, stage: Stage, windows: Floats) -> Floats:
        count = len(windows)
        stage.windows[:count] = windows
        stage.windows[count:] = 0.0
        usable = np.asarray(np.isfinite(stage.windows[:count]).all(axis=1))
        stage.windows[:count][~usable] = 0.0
        stage.run()
        return np.where(usable[:, None], stage.vectors[:count], np.float32(np.nan))

    def _compiled(self, compiler: Compiler, buckets: Buckets) -> dict[int, Stage]:
        """All sizes compiled and recorded, or none: then one line says why."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a compiler's asides about foreign code
                return self._fitting(compiler(self._plain), buckets, check=True)
        except Exception as error:  # whatever a compiler of the machine raises: plain steps do
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:_REASON_LENGTH]
        self._machine.release()
        _log.warning("model %r runs uncompiled on %s: %s", self._name, self._machine.name, reason)
        return {}

    def _fitting(self, step: Step, buckets: Buckets, *, check: bool = False) -> dict[int, Stage]:
        """A stage for every size that fits, the largest first so that it finds most memory.

        What others keep for later is free memory: it is released first.
        """
        stages: dict[int, Stage] = {}
        self._machine.release()
        for bucket in reversed(buckets.sizes):
            try:
                stage = self._stage(step, bucket, check=check)
            except Exception as error:
                if diagnose(error).error_class != "memory":
                    raise
                stage = None  # and its memory is free again beyond the except
            if stage is not None and not self._machine.crowded(self._shape.headroom):
                stages[bucket] = stage
            del stage
            if bucket not in stages:
                self._machine.release()
        return stages

    def _stage(self, step: Step, bucket: int, *, check: bool) -> Stage:
        stage = Stage(step, self._machine, self._shape, bucket)
        stage.windows[:] = probe(bucket, self._shape.samples)
        stage.run()
        if check:
            stage.record()
            stage.run()
            self._checked(stage, bucket)
            # What is recorded holds memory of its own; what was kept beside it is needed no more.
            self._machine.release()
        return stage

    def _checked(self, stage: Stage, bucket: int) -> None:
        plain = Stage(self._plain, self._machine, self._shape, bucket)
        plain.windows[:] = stage.windows
        plain.run()
        compare(stage.vectors, plain.vectors, self._shape.least_cosine)
