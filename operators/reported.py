"""The relations a reader believes, and what has to be said when others hold.

Invariant: what was said and not withdrawn is what a reader believes; small changes wait for the
end.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from operators.records import Relation


class Reported:
    """The relations of one kind or stream that were told and still stand.

    Args:
        moved: whether a reader would want to hear of a relation again, as told before and as it
            is now.
    """

    def __init__(self, moved: Callable[[Relation, Relation], bool]) -> None:
        self._moved = moved
        self.standing: dict[str, Relation] = {}

    def changes(self, present: Mapping[str, Relation], *, final: bool) -> list[Relation]:
        """What to say now that ``present`` holds: withdrawals first, then by key.

        Args:
            present: relations by key.
            final: nothing follows, so what changed however little is said too.
        """
        said = [
            replace(self.standing.pop(key), withdrawn=True)
            for key in sorted(set(self.standing) - set(present))
        ]
        for key in sorted(present):
            before, now = self.standing.get(key), present[key]
            if before is None or (before != now if final else self._moved(before, now)):
                self.standing[key] = now
                said.append(now)
        return said

    def snapshot(self) -> list[dict[str, Any]]:
        """What stands, as plain data."""
        return [asdict(relation) for relation in self.standing.values()]

    def resume(self, state: list[dict[str, Any]]) -> None:
        """Go on where ``snapshot`` was taken."""
        relations = [Relation(**fields) for fields in state]
        self.standing = {relation.key: relation for relation in relations}
