"""How torch computes here: where, in what arithmetic, with how many threads, in what batches.

``torch.set_num_threads`` holds for the whole process. This is the only place that calls it, so the
last model loaded decides; flows give all models the same number.
"""

import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from operators.models.accelerator import Gpu, Machine, Processor, Step, settle
from operators.models.buckets import GPU, PROCESSOR
from operators.models.compiling import compile_step, least_cosine
from operators.models.prepared import Prepared, Shape
from operators.models.protocol import Dtype, ModelConfig, ModelConfigError, WindowsError
from operators.models.resampling import Resampler
from operators.records import Floats

CHUNK = 8
"""Windows computed at once. More do not get cheaper (measured: 8.0 CPU-ms a window at 8, 8.8 at 32)
and the memory that a batch needs is bounded, whatever its size."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a network runs and in what arithmetic.

    Attributes:
        compiled: through ``torch.compile``, and recorded as CUDA graphs on a GPU; kept only if it
            computes the same.
        headroom: share of a GPU's memory that must stay free.
    """

    device: torch.device
    dtype: torch.dtype
    compiled: bool = False
    headroom: float = 0.1

    @property
    def dtype_name(self) -> str:
        """The arithmetic as settings spell it: "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")


def place(config: ModelConfig) -> Placement:
    """Chooses device and arithmetic, and sets the threads of this process.

    Raises:
        ModelConfigError: a device that is not here or full, or arithmetic that it does not do.
    """
    set_threads(config.threads)
    device = choose_device(config.device)
    dtype = choose_dtype(config.dtype, device)
    if device.type == "cuda":
        settle(device, config.headroom)
    return Placement(device, dtype, config.compiled, config.headroom)


def choose_device(wanted: str) -> torch.device:
    """Chooses the device: an accelerator for "auto" where there is one, else the processor.

    Raises:
        ModelConfigError: it is not on this machine.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return torch.device("cuda:0" if count else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ModelConfigError(
            f"device = {wanted!r}: this machine shows {count} CUDA devices: choose cpu, or install"
            " the driver and a torch built for it"
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def set_threads(threads: int) -> None:
    """Sets the threads torch uses within an operation, for the whole process."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def choose_dtype(wanted: Dtype, device: torch.device) -> torch.dtype:
    """Chooses the arithmetic of a network on a device.

    bfloat16 pays only where the processor multiplies it natively (AVX-512 BF16, AMX): there it
    takes half the time of float32, elsewhere it is emulated and slower.

    Raises:
        ModelConfigError: arithmetic that the device does not do.
    """
    if device.type == "cuda":
        return _cuda_dtype(wanted)
    if wanted == "float16":
        raise ModelConfigError("dtype = 'float16' on the processor: choose bfloat16 or float32")
    if wanted == "auto":
        native = torch.cpu.get_capabilities()
        fast = bool(native.get("avx512_bf16") or native.get("amx_bf16"))
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def _cuda_dtype(wanted: Dtype) -> torch.dtype:
    native = torch.cuda.is_bf16_supported()
    if wanted == "auto":
        return torch.bfloat16 if native else torch.float16
    if wanted == "bfloat16" and not native:
        raise ModelConfigError("dtype = 'bfloat16' on this GPU: choose float16 or float32")
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[wanted]


class Runner:
    """Runs a function from windows to vectors over batches of any size, on one device.

    On a processor: in chunks, as they come. On a GPU, or compiled: the length of windows that is
    asked for first is prepared for (see :class:`operators.models.prepared.Prepared`) before that
    first call returns, in seconds, compiled in minutes; other lengths are computed in chunks.

    Args:
        vectors: maps (any number, samples) float32 on the device, at ``rate_hz``, to (the same
            number, ``dimension``); inference mode is on. Rows must not depend on one another.
        placement: where it runs.
        dimension: length of a vector.
        rate_hz: what the function is fed with.
        least_samples: the shortest window that the function takes, at ``rate_hz``.
        chunk: windows computed at once where nothing is prepared.
        name: of the model, for messages.
    """

    def __init__(
        self,
        vectors: Step,
        placement: Placement,
        *,
        dimension: int,
        rate_hz: int,
        least_samples: int,
        chunk: int = CHUNK,
        name: str = "model",
    ) -> None:
        self._vectors = vectors
        self._placement = placement
        self._dimension = dimension
        self._rate_hz = rate_hz
        self._least_samples = least_samples
        self._chunk = chunk
        self._name = name
        self._resamplers: dict[int, Resampler] = {}
        self._prepared: dict[tuple[int, int], Prepared] = {}
        self._preparing = threading.Lock()

    def warm_up(self, samples: int, rate_hz: int | None = None) -> None:
        """Prepares for windows of so many samples at this rate, in every size of batch.

        The first call does so by itself; this is for one more length. Nothing is to be prepared
        on a processor that runs uncompiled.

        Raises:
            WindowsError: such windows are too short.
            ModelConfigError: they do not fit into the memory of the device one at a time.
        """
        rate_hz = rate_hz or self._rate_hz
        step = self._step(samples, rate_hz)
        with self._preparing:
            self._prepare(samples, rate_hz, step)

    def __call__(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """(n, samples) float32 at ``rate_hz`` -> (n, dimension) float32.

        Rows of NaN where a window holds NaN or infinity.

        Raises:
            WindowsError: not two-dimensional, or windows that are too short.
            ModelConfigError: the first call, on a device without the memory for it.
        """
        rate_hz = rate_hz or self._rate_hz
        if windows.ndim != 2:
            raise WindowsError(f"windows of shape {windows.shape}: give (windows, samples)")
        samples = windows.shape[1]
        step = self._step(samples, rate_hz)
        if not self._prepared and self._preparing.acquire(blocking=False):
            try:
                self._prepare(samples, rate_hz, step)
            finally:
                self._preparing.release()
        prepared = self._prepared.get((samples, rate_hz))
        found = None if prepared is None else prepared(windows)
        return self._in_chunks(windows, step) if found is None else found

    def _prepare(self, samples: int, rate_hz: int, step: Step) -> None:
        placement = self._placement
        machine = machine_of(placement)
        if machine is None or (samples, rate_hz) in self._prepared:
            return
        self._prepared[samples, rate_hz] = Prepared(
            step,
            machine,
            Shape(
                samples,
                self._dimension,
                headroom=placement.headroom,
                least_cosine=least_cosine(placement.dtype),
            ),
            buckets=PROCESSOR if placement.device.type == "cpu" else GPU,
            compiler=compile_step if placement.compiled else None,
            name=self._name,
        )

    def _in_chunks(self, windows: Floats, step: Step) -> Floats:
        result = np.empty((len(windows), self._dimension), dtype=np.float32)
        for first in range(0, len(windows), self._chunk):
            chunk = np.array(windows[first : first + self._chunk], dtype=np.float32)
            usable = np.asarray(np.isfinite(chunk).all(axis=1))
            chunk[~usable] = 0.0
            with torch.inference_mode():
                found = step(torch.from_numpy(chunk).to(self._placement.device)).cpu().numpy()
            result[first : first + self._chunk] = np.where(usable[:, None], found, np.nan)
        return result

    def _step(self, samples: int, rate_hz: int) -> Step:
        """From windows as they arrive to vectors in float32, both on the device."""
        resample = self._resampler(rate_hz)
        samples = resample.length(samples) if resample else samples
        if samples < self._least_samples:
            raise WindowsError(
                f"windows of {samples} samples: this model needs {self._least_samples} or more"
            )

        def step(windows: Tensor) -> Tensor:
            rows = self._vectors(resample(windows) if resample else windows)
            return rows.to(torch.float32)

        return step

    def _resampler(self, rate_hz: int) -> Resampler | None:
        if rate_hz == self._rate_hz:
            return None
        if rate_hz not in self._resamplers:
            self._resamplers[rate_hz] = Resampler(rate_hz, self._rate_hz, self._placement.device)
        return self._resamplers[rate_hz]


def machine_of(placement: Placement) -> Machine | None:
    """The device to prepare batches on; None where windows are computed as they come.

    One for each length of windows: what a GPU has recorded shares memory and cannot run at once.
    """
    if placement.device.type == "cuda":
        return Gpu(placement.device)
    return Processor() if placement.compiled else None
