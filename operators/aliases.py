"""Which pattern a merged one is a part of now.

Invariant: chains are resolved when they arise, so that one look finds the survivor; bounded, the
oldest alias goes first.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

ALIASES = 4_096


@dataclass(slots=True)
class Aliases:
    """Names of merged patterns, and of those that took them in."""

    _into: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        """The survivor that a name stands for today; itself where it was never merged."""
        return self._into.get(name, name)

    def merge(self, name: str, into: str) -> None:
        """From now on ``name``, and all that stood for it, stands for ``into``, a survivor."""
        for alias, survivor in self._into.items():
            if survivor == name:
                self._into[alias] = into
        self._into[name] = into
        if len(self._into) > ALIASES:
            del self._into[next(iter(self._into))]

    def keep(self, names: Container[str]) -> None:
        """Forget all but these aliases."""
        self._into = {alias: into for alias, into in self._into.items() if alias in names}

    def snapshot(self) -> list[list[str]]:
        """Alias and survivor, oldest first."""
        return [[alias, into] for alias, into in self._into.items()]

    @classmethod
    def restore(cls, state: Iterable[list[str]]) -> "Aliases":
        """What ``snapshot`` described."""
        return cls(dict(state))
