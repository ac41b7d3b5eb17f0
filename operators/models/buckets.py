"""Batches of any size as a few fixed sizes, which is what graphs and compiled code can be made for.

A device that was prepared for batches of 1, 2, 4 ... 128 takes whatever comes in parts of these
sizes; a part that is not full is padded. Invariant: the parts hold every window once, in order, and
depend on nothing but the arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Windows ``first`` to ``first + rows`` of a batch, computed as a batch of ``bucket``."""

    first: int
    rows: int
    bucket: int


@dataclass(frozen=True, slots=True)
class Buckets:
    """The sizes that a device is prepared for, and how much of one may go to waste.

    Attributes:
        sizes: ascending, each once; at most eight, because ``torch.compile`` makes no more
            versions of one function than that.
        slack: share of a bucket that may be padding where smaller full ones would do as well. A
            GPU takes about as long for a few windows as for twice as many: 0.5. A processor's
            time goes with the windows, but eight at once cost less than eight times one.
    """

    sizes: tuple[int, ...]
    slack: float

    def __post_init__(self) -> None:
        """Refuse what could not work.

        Raises:
            ValueError: sizes that are not ascending positive numbers, none or too many of them.
        """
        if not 1 <= len(self.sizes) <= MOST or self.sizes[0] < 1:
            raise ValueError(f"bucket sizes {self.sizes}: expected 1 to {MOST} positive numbers")
        if any(a >= b for a, b in zip(self.sizes, self.sizes[1:], strict=False)):
            raise ValueError(f"bucket sizes {self.sizes}: expected each larger than the one before")


MOST = 8
GPU = Buckets((1, 2, 4, 8, 16, 32, 64, 128), slack=0.5)
PROCESSOR = Buckets((1, 8), slack=0.4)
"""More at once do not get cheaper on a processor, see ``compute.CHUNK``; and compiling takes half a
minute to minutes a size, which every size between would cost at each start."""


def parts(count: int, sizes: Sequence[int], slack: float) -> list[Part]:
    """Cuts a batch of ``count`` windows into parts.

    What is left goes into the smallest bucket that holds it, if no more than ``slack`` of that
    stays empty; else the largest bucket that it fills is taken off first.
    """
    cut: list[Part] = []
    first = 0
    while first < count:
        left = count - first
        bucket = _next(left, sizes, slack)
        cut.append(Part(first, min(left, bucket), bucket))
        first += cut[-1].rows
    return cut


def _next(left: int, sizes: Sequence[int], slack: float) -> int:
    filled = [size for size in sizes if size <= left]
    holding = [size for size in sizes if size >= left]
    if holding and (not filled or holding[0] - left <= slack * holding[0]):
        return holding[0]
    return filled[-1]
