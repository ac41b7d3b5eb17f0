"""Where exemplars wait for one kind of work, which is done on them one after another.

Invariant: at most ``queue`` wait; the oldest gives way to a newer one, and is handed back. Not
thread-safe, like the slot within.
"""

from collections import deque
from collections.abc import Callable

from operators.breaker import Clock, Permission
from operators.describing import reports
from operators.describing.exemplar import Answer, Exemplar
from operators.describing.slot import Call, Slot
from operators.records import Failure, Occurrence


class Desk:
    """A queue in front of a slot.

    Args:
        name: who works here, as a person is told.
        work: what a call does; it does not raise.
        queue: exemplars that may wait.
        deadline_s: longest call.
        max_abandoned: calls left behind at which the desk rests.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Exemplar], Answer],
        *,
        queue: int,
        deadline_s: float,
        max_abandoned: int,
        clock: Clock,
    ) -> None:
        self._name = name
        self._queue = queue
        self._deadline_s = deadline_s
        self.waiting: deque[Exemplar] = deque()
        self.slot = Slot(work, deadline_s=deadline_s, max_abandoned=max_abandoned, clock=clock)
        self._resting = False

    @property
    def held(self) -> list[Exemplar]:
        """What lies here: under way or waiting."""
        called = self.slot.under_way
        return [*self.waiting] if called is None else [called, *self.waiting]

    @property
    def room(self) -> int:
        """How many more may wait."""
        return self._queue - len(self.waiting)

    @property
    def may_begin(self) -> bool:
        """Whether something waits and no call hinders it."""
        return bool(self.waiting) and self.slot.under_way is None and not self.slot.full

    def put(self, exemplar: Exemplar) -> Exemplar | None:
        """Take it in; gives the one that had to give way for it, if any."""
        gone = self.waiting.popleft() if self.room <= 0 else None
        self.waiting.append(exemplar)
        return gone

    def begin(self, permission: Permission | None = None) -> None:
        """Take up the exemplar that waited longest."""
        self.slot.begin(self.waiting.popleft(), permission)

    def ended(self) -> tuple[Call | None, list[Failure]]:
        """The call that has ended since, and what is to be said of calls that hang."""
        call = self.slot.ended()
        return call, self._rests(call.exemplar.occurrence) if call else []

    def clear(self) -> None:
        """Leave everything."""
        self.waiting.clear()
        self.slot.drop()

    def _rests(self, last: Occurrence) -> list[Failure]:
        """Say once that too many calls hang; when one comes back, it goes on."""
        said, self._resting = self._resting, self.slot.full
        if said or not self._resting:
            return []
        return [reports.hanging(self._name, last, self.slot.hanging, self._deadline_s)]
