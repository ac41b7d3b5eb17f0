"""One call of the model: from windows to checked rows, or to a diagnosis.

Invariant: ``attempt`` never raises, whatever the model does, and keeps nothing of the exception
alive (its traceback would hold the batch in memory just when a smaller retry needs the room). A
bad row is the fault of that row only.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from opentelemetry.trace import Span

from operators.breaker import Permission
from operators.inference.backlog import Waiting
from operators.inference.interface import Embedder
from operators.records import ANALYSIS_RATE_HZ, Floats, Window
from operators.recovery import Diagnosis, diagnose


@dataclass(slots=True)
class Call:
    """A call under way.

    Attributes:
        rung: number of the rung that is called.
        probe: another rung serves its windows; the answer only says how the model is doing.
        started_s: on the monotonic clock, for the deadline.
        started_ns: epoch nanoseconds, for spans.
        abandoned: it went past its deadline; whatever it still returns is thrown away.
        returned: it has answered, and is being settled.
    """

    rung: int
    probe: bool
    taken: list[Waiting]
    permission: Permission
    span: Span
    started_s: float
    started_ns: int
    abandoned: bool = False
    returned: bool = False

    @property
    def windows(self) -> list[Window]:
        """The windows of the batch, in order."""
        return [waiting.window for waiting in self.taken]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a model returned, checked.

    Attributes:
        vectors: (n, dimension) float32, read-only; a row with a fault is not to be used.
        faults: one for each row: "", "wrong_shape", "not_finite" or "zero_vector".
    """

    vectors: Floats
    faults: list[str] = field(default_factory=list)


def attempt(model: Embedder, windows: Sequence[Window]) -> Rows | Diagnosis:
    """Call the model on windows of one length and check what it returns."""
    try:
        answer = model.embed(
            np.stack([window.samples for window in windows]), rate_hz=ANALYSIS_RATE_HZ
        )
        return check_rows(answer, len(windows), model.dimension)
    except BaseException as error:  # a thread that died would take its windows with it
        diagnosis = diagnose(error, default="model")
    if diagnosis.error_class == "memory":
        _free_cached_memory()
    return diagnosis


def check_rows(answer: Floats, count: int, dimension: int) -> Rows:
    """Copy a model's answer, row by row, and find what is wrong with each.

    A zero row is a fault: it has no direction, so no similarity is defined for it.

    Raises:
        ValueError: there are more or fewer rows than windows, so none can be attributed.
    """
    if len(answer) != count:
        raise ValueError(f"{len(answer)} rows were returned for {count} windows")
    vectors = np.zeros((count, dimension), dtype=np.float32)
    faults = [""] * count
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite: a fault below
        for k in range(count):
            row = np.asarray(answer[k])
            if row.shape == (dimension,):
                vectors[k] = row
            else:
                faults[k] = "wrong_shape"
    for k in range(count):
        if not faults[k]:
            faults[k] = _fault(vectors[k])
    vectors.setflags(write=False)
    return Rows(vectors, faults)


def _fault(vector: Floats) -> str:
    if not np.isfinite(vector).all():
        return "not_finite"
    return "" if vector.any() else "zero_vector"


def _free_cached_memory() -> None:
    """Give the accelerator's cached blocks back, if torch runs on one (it is not imported here)."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
