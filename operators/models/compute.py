"""How torch computes here: where, in what arithmetic, with how many threads, in what batches.

``torch.set_num_threads`` holds for the whole process. This is the only place that calls it, so the
last model loaded decides; flows give all models the same number.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from operators.models.protocol import Dtype, ModelConfig, ModelConfigError, WindowsError
from operators.models.resampling import Resampler
from operators.records import Floats

CHUNK = 8
"""Windows computed at once. More do not get cheaper (measured: 8.0 CPU-ms a window at 8, 8.8 at 32)
and the memory that a batch needs is bounded, whatever its size."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a network runs and in what arithmetic."""

    device: torch.device
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        """The arithmetic as settings spell it: "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")


def place(config: ModelConfig) -> Placement:
    """Chooses device and arithmetic, and sets the threads of this process.

    Raises:
        ModelConfigError: a device that is not here, or arithmetic that it does not do.
    """
    set_threads(config.threads)
    device = choose_device(config.device)
    return Placement(device, choose_dtype(config.dtype, device))


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

    Args:
        vectors: maps (at most ``chunk``, samples) float32 on the device, at ``rate_hz``, to (the
            same number, ``dimension``); inference mode is on.
        placement: where it runs.
        dimension: length of a vector.
        rate_hz: what the function is fed with.
        least_samples: the shortest window that the function takes, at ``rate_hz``.
        chunk: windows computed at once.
    """

    def __init__(
        self,
        vectors: Callable[[Tensor], Tensor],
        placement: Placement,
        *,
        dimension: int,
        rate_hz: int,
        least_samples: int,
        chunk: int = CHUNK,
    ) -> None:
        self._vectors = vectors
        self._placement = placement
        self._dimension = dimension
        self._rate_hz = rate_hz
        self._least_samples = least_samples
        self._chunk = chunk
        self._resamplers: dict[int, Resampler] = {}

    def __call__(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """(n, samples) float32 at ``rate_hz`` -> (n, dimension) float32.

        Rows of NaN where a window holds NaN or infinity.

        Raises:
            WindowsError: not two-dimensional, or windows that are too short.
        """
        resample = self._resampler(rate_hz or self._rate_hz)
        if windows.ndim != 2:
            raise WindowsError(f"windows of shape {windows.shape}: give (windows, samples)")
        samples = resample.length(windows.shape[1]) if resample else windows.shape[1]
        if samples < self._least_samples:
            raise WindowsError(
                f"windows of {samples} samples: this model needs {self._least_samples} or more"
            )
        result = np.empty((len(windows), self._dimension), dtype=np.float32)
        for first in range(0, len(windows), self._chunk):
            chunk = np.array(windows[first : first + self._chunk], dtype=np.float32)
            usable = np.asarray(np.isfinite(chunk).all(axis=1))
            chunk[~usable] = 0.0
            with torch.inference_mode():
                batch = torch.from_numpy(chunk).to(self._placement.device)
                rows = self._vectors(resample(batch) if resample else batch)
                found = rows.to(torch.float32).cpu().numpy()
            result[first : first + self._chunk] = np.where(usable[:, None], found, np.nan)
        return result

    def _resampler(self, rate_hz: int) -> Resampler | None:
        if rate_hz == self._rate_hz:
            return None
        if rate_hz not in self._resamplers:
            self._resamplers[rate_hz] = Resampler(rate_hz, self._rate_hz, self._placement.device)
        return self._resamplers[rate_hz]
