"""Keys that move: a topic that is given partitions has most keys come from another one.

A key may move to a partition that joined after the one it is heard from, once nothing is left of
it there; in two partitions at once it is two sounds. A move is remembered, so that a stream whose
mark lies before it is read on behind it after a restart, too.

Invariant: a key moves at most as often as the topic was given partitions.
"""

from collections.abc import Collection, Iterable

from connectors.chunks import State


class Moves:
    """Which partitions joined later, and which streams moved there.

    Args:
        state: what ``snapshot`` returned in an earlier run; {} for none.
        known: the partitions that the earlier run knew.

    Attributes:
        later: partition -> how often partitions had been added when it joined; others were there
            from the beginning.
    """

    def __init__(self, state: State, known: Collection[int]) -> None:
        self.later = {int(p): int(times) for p, times in state.get("later", {}).items()}
        self._known = set(known)
        self._moved: dict[str, list[int]] = dict(state.get("moved", {}))

    def meet(self, partitions: Iterable[int]) -> None:
        """The partitions there are now; those of the first run were there from the beginning."""
        new = set(partitions) - self._known
        if new and self._known:
            times = 1 + max(self.later.values(), default=0)
            self.later |= dict.fromkeys(new, times)
        self._known |= new

    def allowed(self, old: int, new: int) -> bool:
        """Whether a key that came from ``old`` may come from ``new`` from now on."""
        return self.later.get(new, 0) > self.later.get(old, 0)

    def note(self, stream: str, old: int, new: int, offset: int) -> None:
        """A stream comes from another partition from this offset on."""
        self._moved[stream] = [old, new, offset]

    def after(self, stream: str, partition: int) -> tuple[int, int] | None:
        """Partition and offset at which a stream goes on behind this one; None where it stays."""
        old, new, offset = self._moved.get(stream, (-1, -1, 0))
        return (new, offset) if old == partition else None

    def snapshot(self) -> State:
        """Plain state, without what there is none of."""
        later = {str(p): times for p, times in sorted(self.later.items())}
        moved = dict(self._moved)
        return {name: value for name, value in (("later", later), ("moved", moved)) if value}
