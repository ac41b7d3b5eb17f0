"""Merged patterns and who they became.

Invariant: a chain of merges ends at one survivor; a circle, which no merge should make, ends
where it would close.
"""

from collections.abc import Mapping


class Aliases:
    """Resolves pattern ids.

    Args:
        into: merged pattern -> the one it went into.
    """

    def __init__(self, into: Mapping[str, str]) -> None:
        self._into = into

    def survivor(self, pattern: str) -> str:
        """The pattern that stands for this one now; itself if it was never merged."""
        seen = {pattern}
        while (into := self._into.get(pattern, "")) and into not in seen:
            seen.add(into)
            pattern = into
        return pattern
