"""Room for one call at a time, each on a thread that lives for that call alone.

A call past its deadline is left behind: its thread cannot be stopped. While too many of those are
alive there is no room; one that comes back all the same is ``returned``.

Invariant: at most one call under way and ``max_abandoned`` left behind; a call counts as late by
how long it took, not by who looked first. Not thread-safe: its owner asks from one thread.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from operators.breaker import Clock, Permission
from operators.describing.exemplar import Answer, Exemplar


@dataclass(slots=True, eq=False)
class Call:
    """A call; its thread writes ``answer`` and ``took_s``, then sets ``finished``.

    Attributes:
        late: it went past its deadline.
    """

    exemplar: Exemplar
    permission: Permission | None
    started_s: float
    finished: threading.Event = field(default_factory=threading.Event)
    answer: Answer = field(default_factory=Answer)
    took_s: float = 0.0
    late: bool = False


class Slot:
    """The call under way and those left behind.

    Args:
        work: what a call does; it does not raise.
        deadline_s: longest call.
        max_abandoned: calls left behind at which there is no room.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        work: Callable[[Exemplar], Answer],
        *,
        deadline_s: float,
        max_abandoned: int,
        clock: Clock,
    ) -> None:
        self._work = work
        self._deadline_s = deadline_s
        self._max_abandoned = max_abandoned
        self._clock = clock
        self._call: Call | None = None
        self._behind: list[Call] = []

    @property
    def under_way(self) -> Exemplar | None:
        """What is being worked on."""
        return self._call.exemplar if self._call else None

    @property
    def hanging(self) -> int:
        """Calls left behind that have not come back."""
        return sum(not call.finished.is_set() for call in self._behind)

    @property
    def full(self) -> bool:
        """Whether too many hang for another to begin."""
        return self.hanging >= self._max_abandoned

    def begin(self, exemplar: Exemplar, permission: Permission | None) -> None:
        """Start a call; there must be none under way."""
        self._call = call = Call(exemplar, permission, self._clock())
        # A daemon: a model that hangs must not keep the process from ending.
        threading.Thread(target=self._run, args=(call,), name="grym-describe", daemon=True).start()

    def ended(self) -> Call | None:
        """The call that has ended since, in time or late; None while it goes on."""
        call = self._call
        if call is None:
            return None
        if call.finished.is_set():
            call.late = call.took_s > self._deadline_s
            if call.late:
                self._behind.append(call)
        elif self._clock() - call.started_s > self._deadline_s:
            call.late = True
            self._behind.append(call)
        else:
            return None
        self._call = None
        return call

    def returned(self) -> list[Call]:
        """Calls left behind that have come back since."""
        back = [call for call in self._behind if call.finished.is_set()]
        self._behind = [call for call in self._behind if call not in back]
        return back

    def wait(self, timeout_s: float) -> None:
        """Wait for the call under way, if there is one."""
        if self._call is not None:
            self._call.finished.wait(timeout_s)

    def drop(self) -> Exemplar | None:
        """Leave the call under way to itself; gives what it was for."""
        exemplar, self._call = self.under_way, None
        return exemplar

    def _run(self, call: Call) -> None:
        """The call's thread."""
        call.answer = self._work(call.exemplar)
        call.took_s = self._clock() - call.started_s
        call.finished.set()
