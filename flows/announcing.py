"""Every record that leaves the flow: counted, kept where it failed, told to whoever listens.

Invariant: whoever announces waits for nobody; what could not be told is counted and said at the
end.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeGuard

from connectors.deadletters import DeadLetters
from connectors.events import Event
from connectors.kafka.address import parse
from connectors.kafka.events import EventTopic
from connectors.kafka.options import DriverError, KafkaOptions, check_crc32c
from connectors.kafka.outbox import Destination
from connectors.logs import View
from connectors.outlet import Outlet
from flows.errors import GrymError, UsageError
from operators.ledger import Ledger
from operators.records import Failure, SourceState, Verdict


class Announcer:
    """Called by the worker and, for rows the store refused, by its writer: one at a time.

    Args:
        view: shown every record, on a thread of its own.
        hurried: somebody asked to stop: whoever takes nothing is not waited for any longer.
    """

    def __init__(
        self,
        view: View,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self.ledger = Ledger()
        self._outlet = Outlet(view)
        self._letters: DeadLetters | None = None
        self._post: Outlet | None = None
        self._topic: EventTopic | None = None
        self._hurried = hurried
        self.told = True
        """Whether everything was shown so far; if not, showing more would wait, too."""
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
            if self._post is not None and _is_letter(item):
                self._post.put(item)
            if self._topic is not None:
                self._topic(item)
            self._outlet.put(item)

    def show(self, item: object) -> None:
        """Show what is no record of the flow."""
        self._outlet.put(item)

    def keep(self, letters: DeadLetters) -> None:
        """From here on what failed is written down, too, by a thread of its own."""
        self._letters = letters
        self._post = Outlet(letters.append)  # type: ignore[arg-type]  # only letters are put

    @property
    def lost(self) -> bool:
        """Events did not arrive where they were to be published."""
        return bool(self._lost)

    def tell_of(self, topic: EventTopic | None) -> None:
        """From here on every record goes to that topic, too."""
        self._topic = topic

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
        if self._post is not None:
            self._post.close()
        if self._letters is not None:
            self._letters.close()

    def _hush(self) -> None:
        self.told = self._outlet.close(self._hurried)
        with self._turn:
            topic, self._topic = self._topic, None
        if topic is not None:
            self._lost = topic.close()


def event_topic(
    uri: str | None,
    options: KafkaOptions,
    heard: Sequence[str],
    *,
    windows: bool,
    state: Callable[[SourceState], None],
) -> EventTopic | None:
    """The topic of ``--events-to``; nothing is opened yet.

    Args:
        uri: its address; None where none was asked for.
        options: how brokers are reached.
        heard: addresses of the topics that are listened to.
        windows: tell the verdict on every window, too.
        state: told how the brokers are doing.

    Raises:
        UsageError: the address means nothing, or its events would be listened to.
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
    for other in map(parse, heard):
        if address.topic in (other.topic, f"{other.topic}.dead") and set(address.servers) & set(
            other.servers
        ):
            raise UsageError(
                f"--events-to {uri}: topic '{address.topic}' is listened to, or takes its dead"
                " letters; name another one"
            )
    destination = Destination(address.servers, address.topic, options=options)
    return EventTopic(destination, windows=windows, state=state)


def _is_letter(item: object) -> TypeGuard[Failure | Verdict]:
    return isinstance(item, Failure) or (isinstance(item, Verdict) and item.verdict == "dead")
