"""What a person is told of a lane: changes in their order, refusals once a stream and opening.

Invariant: nothing is said twice, also across a restart, and what nobody has read yet is kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from operators.breaker import OPEN
from operators.inference import reports
from operators.inference.interface import Event
from operators.inference.ladder import Ladder
from operators.records import BreakerTransition, Failure, Window
from operators.recovery import Diagnosis


class Journal:
    """The events that wait to be read, and what was said before.

    Attributes:
        events: oldest first.
        trouble: what went wrong last, on any rung; None where nothing did.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.trouble: Diagnosis | None = None
        self._told: set[str] = set()

    def note(self, transitions: Iterable[BreakerTransition], ladder: Ladder) -> None:
        """Write down changes of breakers, and of who serves because of them."""
        for transition in transitions:
            self.events.append(transition)
            if (change := ladder.change(transition.at_s)) is not None:
                self.events.append(change)
            if transition.to_state == OPEN:
                self._told.clear()

    def refused(self, models: Sequence[str], window: Window, wait_s: float) -> tuple[Failure, ...]:
        """What to say in front of a window that no model takes; nothing if it was said before."""
        if window.stream in self._told:
            return ()
        self._told.add(window.stream)
        return (reports.breaker_open(models, window, wait_s, self.trouble),)

    def read(self) -> list[Event]:
        """The events that nobody has read yet."""
        events, self.events = self.events, []
        return events

    def save(self) -> dict[str, Any]:
        """Plain state."""
        return {
            "events": list(self.events),
            "told": sorted(self._told),
            "trouble": asdict(self.trouble) if self.trouble else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what ``save`` gave."""
        self.events = list(state["events"])
        self.trouble = Diagnosis(**state["trouble"]) if state["trouble"] else None
        self._told = set(state["told"])
