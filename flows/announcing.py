"""Every record that leaves the flow: counted, kept where it failed, told to whoever listens.

Invariant: whoever announces waits for nobody; what could not be told is counted and said at the
end.
"""

import threading
from typing import Protocol, TypeGuard

from connectors.deadletters import DeadLetters
from connectors.events import Event
from connectors.kafka.address import parse
from connectors.kafka.events import EventTopic
from connectors.kafka.options import DriverError, KafkaOptions, check_crc32c
from connectors.kafka.outbox import Destination
from connectors.outlet import Outlet
from flows.errors import GrymError, UsageError
from operators.ledger import Ledger
from operators.records import Failure, Verdict


class View(Protocol):
    """Who watches a run."""

    def __call__(self, item: object) -> None:
        """Take a record."""
        ...

    def event(self, event: Event) -> None:
        """Take an event that is no record."""
        ...


class Announcer:
    """Called by the worker and, for rows the store refused, by its writer: one at a time.

    Args:
        view: shown every record, on a thread of its own.
        topic: told every record, too.
    """

    def __init__(self, view: View, topic: EventTopic | None = None) -> None:
        self.ledger = Ledger()
        self.letters: DeadLetters | None = None
        self._outlet = Outlet(view)
        self._topic = topic
        self._turn = threading.Lock()
        self._lost: tuple[str, ...] = ()

    @property
    def room(self) -> bool:
        """Whoever is shown can take more."""
        return self._outlet.room

    def __call__(self, item: object) -> None:
        """Count a record, keep it where it failed, and have it told."""
        with self._turn:
            self.ledger.note(item)
            if self.letters is not None and _is_letter(item):
                self.letters.append(item)
            if self._topic is not None:
                self._topic(item)
            self._outlet.put(item)

    def conclude(self, summary: Event) -> tuple[str, ...]:
        """The closing event goes out, and what waits; lines about what could not be told."""
        if self._topic is not None:
            self._topic.event(summary)
        self._hush()
        shed = self._outlet.shed
        unseen = (f"{shed} records were not shown: nobody took them in time",) if shed else ()
        return (*unseen, *self._lost)

    def close(self) -> None:
        """Wait for what is being told, within bounds; may be called more than once."""
        self._hush()
        if self.letters is not None:
            self.letters.close()

    def _hush(self) -> None:
        self._outlet.close()
        if self._topic is not None:
            self._lost, self._topic = self._topic.close(), None


def event_topic(uri: str | None, options: KafkaOptions, *, windows: bool) -> EventTopic | None:
    """The topic of ``--events-to``; nothing is opened yet.

    Raises:
        UsageError: the address means nothing.
        GrymError: the driver cannot be used.
    """
    if uri is None:
        return None
    try:
        address = parse(uri)
        check_crc32c()
    except DriverError as error:
        raise GrymError(str(error)) from None
    except ValueError as error:
        raise UsageError(f"--events-to: {error}") from None
    return EventTopic(Destination(address.servers, address.topic, options=options), windows=windows)


def _is_letter(item: object) -> TypeGuard[Failure | Verdict]:
    return isinstance(item, Failure) or (isinstance(item, Verdict) and item.verdict == "dead")
