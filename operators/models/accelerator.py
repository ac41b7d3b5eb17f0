"""Where prepared batches run: the few things that a GPU does and a processor does otherwise.

Invariant: every line that needs a GPU is in the class ``Gpu``. What uses it sees only ``Machine``,
and does the same on a processor.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from operators.models.protocol import ModelConfigError

Step: TypeAlias = Callable[[Tensor], Tensor]
"""From (n, samples) float32 on the device to (n, dimension) there."""


class Machine(Protocol):
    """A device as prepared batches need it."""

    @property
    def name(self) -> str:
        """As settings spell it: "cuda:0"."""
        ...

    def host(self, rows: int, columns: int) -> Tensor:
        """Memory of the host, float32 zeros, that the device can copy from and to by itself."""
        ...

    def beside(self, host: Tensor) -> Tensor:
        """Memory of the device for what ``host`` holds; ``host`` itself where they are one."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Work started within it has ended, copies included, when it is left."""
        ...

    def recorded(self, step: Step, given: Tensor) -> Step:
        """A step that does again what ``step`` does to ``given``, without being told each part."""
        ...

    def crowded(self, headroom: float) -> bool:
        """Less than this share of the device's memory is free."""
        ...

    def release(self) -> None:
        """Give memory back that is kept for later."""
        ...


class Processor:
    """The processor: host and device are one, everything is done when a call returns."""

    name = "cpu"

    def host(self, rows: int, columns: int) -> Tensor:
        """Plain memory."""
        return torch.zeros(rows, columns)

    def beside(self, host: Tensor) -> Tensor:
        """The same memory."""
        return host

    def turn(self) -> AbstractContextManager[None]:
        """Nothing to wait for."""
        return nullcontext()

    def recorded(self, step: Step, given: Tensor) -> Step:
        """The step itself: a processor has nothing to record."""
        del given
        return step

    def crowded(self, headroom: float) -> bool:
        """Never: the system swaps or refuses, and the lane halves its batches then."""
        del headroom
        return False

    def release(self) -> None:
        """Nothing is kept."""


class Gpu:
    """A CUDA device: pinned memory, a stream and a pool of graph memory of its own.

    Graphs are recorded here and not by ``torch.compile(mode="reduce-overhead")``, because that
    records once a thread: a lane whose thread is replaced after a hanging call would record again
    while live audio waits. A graph of ours may be replayed by any thread, one at a time.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
        self._pool = torch.cuda.graph_pool_handle()

    @property
    def name(self) -> str:
        """As settings spell it."""
        return str(self._device)

    def host(self, rows: int, columns: int) -> Tensor:
        """Pinned memory."""
        return torch.zeros(rows, columns, pin_memory=True)

    def beside(self, host: Tensor) -> Tensor:
        """Memory of the GPU."""
        return torch.zeros_like(host, device=self._device)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """On our own stream, after what others have queued; waits for nothing of theirs."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            yield
        self._stream.synchronize()

    def recorded(self, step: Step, given: Tensor) -> Step:
        """A CUDA graph; all graphs of this device share their memory, so run one at a time.

        See NVIDIA, "CUDA C++ Programming Guide", CUDA graphs, and PyTorch's notes on them: what
        is recorded must have run before, and reads and writes the same memory each time.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        ):
            found = step(given)

        def replay(_given: Tensor) -> Tensor:
            graph.replay()
            return found

        return replay

    def crowded(self, headroom: float) -> bool:
        """Whoever took it: what counts is what is left.

        What this model's steps have just given up is kept by the allocator and counts as taken:
        that is their peak. What was kept before them is to be released before they run.
        """
        free, total = torch.cuda.mem_get_info(self._device)
        return free < headroom * total

    def release(self) -> None:
        """Empty the allocator's cache."""
        torch.cuda.empty_cache()


def settle(device: torch.device, headroom: float) -> None:
    """Makes a GPU ready for models: float32 stays float32, and some memory stays free.

    Convolutions in float32 would otherwise be done with the 10-bit fractions of TF32. The allocator
    is bound for the whole process: a batch that would take the headroom is out of memory instead,
    which the lane answers by halving it. Of several models on one GPU, whoever asks for the most
    headroom gets it. What the allocator keeps for later of models before this one is free memory
    and is given back; what it holds for their graphs is not.

    Raises:
        ModelConfigError: less than the headroom is free already.
    """
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    if free < headroom * total:
        raise ModelConfigError(
            f"{device} has {free / 2**30:.1f} of {total / 2**30:.1f} GB free, and {headroom:.0%}"
            " are to stay free: free some there, or choose device cpu"
        )
    torch.backends.cudnn.allow_tf32 = False
    share = min(1.0 - headroom, torch.cuda.get_per_process_memory_fraction(device))
    torch.cuda.set_per_process_memory_fraction(share, device)
