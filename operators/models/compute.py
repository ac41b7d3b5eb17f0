"""How torch computes here: its threads, its arithmetic, and the small batches that fit its caches.

``torch.set_num_threads`` holds for the whole process. This is the only place that calls it, so the
last model loaded decides; flows give all models the same number.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from operators.models.protocol import Dtype, WindowsError
from operators.records import Floats

CHUNK = 8
"""Windows computed at once. More do not get cheaper (measured: 8.0 CPU-ms a window at 8, 8.8 at 32)
and the memory that a batch needs is bounded, whatever its size."""


def set_threads(threads: int) -> None:
    """Sets the threads torch uses within an operation, for the whole process."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def choose_dtype(wanted: Dtype) -> torch.dtype:
    """Chooses the arithmetic of a network on this processor.

    bfloat16 pays only where the processor multiplies it natively (AVX-512 BF16, AMX): there it
    takes half the time of float32, elsewhere it is emulated and slower.
    """
    if wanted == "auto":
        native = torch.cpu.get_capabilities()
        fast = bool(native.get("avx512_bf16") or native.get("amx_bf16"))
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def embed_in_chunks(
    windows: Floats, vectors: Callable[[Tensor], Tensor], *, dimension: int, least_samples: int
) -> Floats:
    """Runs a function from windows to vectors over a batch of any size.

    Args:
        windows: (n, samples) float32.
        vectors: maps (at most ``CHUNK``, samples) to (the same number, ``dimension``).
        dimension: length of a vector.
        least_samples: the shortest window that the function takes.

    Returns:
        (n, dimension) float32; rows of NaN where a window holds NaN or infinity.

    Raises:
        WindowsError: not two-dimensional, or windows that are too short.
    """
    if windows.ndim != 2:
        raise WindowsError(f"windows of shape {windows.shape}: give (windows, samples)")
    if windows.shape[1] < least_samples:
        raise WindowsError(
            f"windows of {windows.shape[1]} samples: this model needs {least_samples} or more"
        )
    result = np.empty((len(windows), dimension), dtype=np.float32)
    for first in range(0, len(windows), CHUNK):
        chunk = np.array(windows[first : first + CHUNK], dtype=np.float32)
        usable = np.asarray(np.isfinite(chunk).all(axis=1))
        chunk[~usable] = 0.0
        with torch.inference_mode():
            rows = vectors(torch.from_numpy(chunk)).to(torch.float32).numpy()
        result[first : first + CHUNK] = np.where(usable[:, None], rows, np.nan)
    return result
