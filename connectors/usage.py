"""What this process costs: wall and CPU seconds, memory, and the memory of its GPUs.

Invariant: asking costs microseconds and never fails; what this machine does not tell is left out.
"""

import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from operators.ledger import Usage

_STATM: Final = Path("/proc/self/statm")
_MB: Final = 1 << 20


class Meter:
    """What this process has cost since the meter was made."""

    def __init__(self) -> None:
        self._wall_s = time.monotonic()
        self._cpu_s = time.process_time()

    def usage(self) -> Usage:
        """The cost so far; the peak of memory is that of the whole process."""
        return Usage(
            elapsed_s=time.monotonic() - self._wall_s,
            cpu_s=time.process_time() - self._cpu_s,
            cores=os.cpu_count() or 1,
            rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )


def cpu_times_s() -> tuple[float, float]:
    """CPU seconds of this process, in its own code and in the system's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime, used.ru_stime


def rss_bytes() -> int:
    """Resident memory now; its peak where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rss_mb() -> float:
    """Resident memory now, in MiB."""
    return rss_bytes() / _MB


def gpu_memory_bytes() -> Iterator[tuple[str, int, int]]:
    """Name, bytes that this process's torch holds, and bytes free, of each GPU it runs on."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return
    for number in range(torch.cuda.device_count()):
        held = torch.cuda.memory_reserved(number)
        if held:  # to ask another one for its memory would take some of it
            free, _ = torch.cuda.mem_get_info(number)
            yield f"cuda:{number}", held, free
