"""How many windows a batch may hold after memory ran out: halved at once, grown back slowly.

Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the increase and decrease
algorithms for congestion avoidance in computer networks", 1989), with a memory: where a size that
fitted lies above the half, that is the next one, and each step up that fails doubles the patience
before the next, so that a model that only just fits is not driven into the wall again and again.

Invariant: 1 <= size <= maximum.
"""

_MAX_PATIENCE = 1_024


class BatchCap:
    """The present limit on a batch, in windows."""

    def __init__(self, maximum: int, *, growth_calls: int) -> None:
        self.maximum = maximum
        self.size = maximum
        self._growth_calls = growth_calls
        self._patience = growth_calls
        self._full_calls = 0
        self._fits = 0

    def out_of_memory(self, windows: int) -> None:
        """A batch of this many windows did not fit."""
        if self._fits >= windows:  # something else took the memory: what fitted says nothing now
            self._fits = 0
        elif self._fits:
            self._patience = min(2 * self._patience, _MAX_PATIENCE)
        self.size = max(1, min(self.size, max(windows // 2, self._fits)))
        self._full_calls = 0

    def fitted(self, windows: int) -> None:
        """A batch of this many windows fitted; only full ones say that there may be more room."""
        if windows < self.size:
            return
        self._fits = windows
        if self.size == self.maximum:
            self._patience = self._growth_calls
            return
        self._full_calls += 1
        if self._full_calls >= self._patience:
            self.size += 1
            self._full_calls = 0

    def restore(self, size: int) -> None:
        """Take over what an earlier run had learned."""
        self.size = max(1, min(self.maximum, size))
