"""Keeps a line that is said over and over from filling a disk.

Invariant: the first lines of a kind are said while there is room in its span for any, and how many
were left out is said with the next one of that kind, or at the end. What is remembered is bounded.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

MOST_A_SPAN: Final = 5
SPAN_S: Final = 60.0
MOST_KINDS: Final = 512
MOST_LINES_A_SPAN: Final = 2_000
"""Of all kinds together: kinds may be as many as streams."""


@dataclass(slots=True)
class _Said:
    since_s: float
    count: int = 0
    left_out: int = 0


class Repeats:
    """Decides line by line. Not thread-safe.

    Args:
        clock: seconds, monotonic.
        most: lines of one kind in a span.
        span_s: length of a span; it begins with the first line in it.
    """

    def __init__(
        self, clock: Callable[[], float], *, most: int = MOST_A_SPAN, span_s: float = SPAN_S
    ) -> None:
        self._clock = clock
        self._most = most
        self._span_s = span_s
        self._kinds: dict[Hashable, _Said] = {}
        self._all = _Said(clock())
        self._forgotten = 0

    def pass_on(self, kind: Hashable) -> int | None:
        """Whether a line is said: how many of its kind were left out before it, or None."""
        now_s = self._clock()
        said = self._kinds.pop(kind, None)
        left_out = 0
        if said is None or now_s - said.since_s >= self._span_s:
            left_out = said.left_out if said is not None else 0
            said = _Said(now_s)
        self._kinds[kind] = said  # the one heard last is forgotten last
        if len(self._kinds) > MOST_KINDS:
            self._forgotten += self._kinds.pop(next(iter(self._kinds))).left_out
        if now_s - self._all.since_s >= self._span_s:
            self._all = _Said(now_s)
        said.count += 1
        if said.count <= self._most and self._all.count < MOST_LINES_A_SPAN:
            self._all.count += 1
            return left_out
        said.left_out += 1 + left_out
        return None

    def left_out(self) -> int:
        """All that was left out and has not been told; it counts as told from now on."""
        total = self._forgotten + sum(said.left_out for said in self._kinds.values())
        self._kinds.clear()
        self._forgotten = 0
        return total
