"""Occurrences whose exemplars had to give way to newer ones, until there is room again.

Invariant: one a pattern, at most ``most`` of them, in the order of giving way. Nothing is searched.
"""

from collections import Counter
from collections.abc import Iterator

from operators.records import Occurrence


class Displaced:
    """A bounded order of occurrences; ``most`` as they give way, the oldest is to be lost then."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_pattern: dict[str, Occurrence] = {}
        self._streams: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Occurrence]:
        return iter(self._by_pattern.values())

    def __len__(self) -> int:
        return len(self._by_pattern)

    @property
    def overflows(self) -> bool:
        """Whether the oldest has to be lost."""
        return len(self) > self._most

    @property
    def oldest(self) -> Occurrence | None:
        """The one that gave way first."""
        return next(iter(self._by_pattern.values()), None)

    @property
    def newest(self) -> Occurrence | None:
        """The one that gave way last."""
        return next(reversed(self._by_pattern.values()), None)

    def of(self, pattern: str) -> Occurrence | None:
        """That of a pattern, if there is one."""
        return self._by_pattern.get(pattern)

    def wants(self, stream: str) -> bool:
        """Whether one of them is on this stream."""
        return self._streams[stream] > 0

    def add(self, at: Occurrence) -> None:
        """This one gave way last; it takes the place of an older one of its pattern."""
        self.remove(at.pattern)
        self._by_pattern[at.pattern] = at
        self._streams[at.stream] += 1

    def remove(self, pattern: str) -> None:
        """Forget that of a pattern, if there is one."""
        at = self._by_pattern.pop(pattern, None)
        if at is not None:
            self._streams[at.stream] -= 1
            if not self._streams[at.stream]:
                del self._streams[at.stream]
