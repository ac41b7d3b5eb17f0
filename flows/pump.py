"""The loop of ``publish``: round the sources until all is sent, then wait for acknowledgements.

Invariant: it waits on the stop event or for room, never in a busy loop, and never without a bound
once it was asked to stop.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.kafka.publisher import Publisher
from connectors.logs import View
from flows.errors import GrymError
from flows.feeder import Feeder, Sent
from operators.records import Failure, SourceState

DRAIN_S = 30.0
"""At the end of all sources, for what is not acknowledged yet."""
STOP_S = 5.0
"""Likewise after a signal, for sending what was read, too."""
NAP_S = 0.05


@dataclass(slots=True)
class Publishing:
    """How far it is; read beside the loop.

    Attributes:
        sent: stream -> what was sent of it.
    """

    publisher: Publisher
    sent: dict[str, Sent] = field(default_factory=dict)
    began_s: float = field(default_factory=time.monotonic)

    @property
    def audio_s(self) -> float:
        """Seconds sent, all streams together."""
        return sum(each.audio_s for each in list(self.sent.values()))

    @property
    def messages(self) -> int:
        """Messages sent."""
        return sum(each.messages for each in list(self.sent.values()))

    @property
    def unacknowledged(self) -> int:
        """Messages under way."""
        return self.publisher.unacknowledged

    @property
    def elapsed_s(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began_s


@dataclass(slots=True)
class Pump:
    """Sources, and where their messages go.

    Attributes:
        feeders: the sources.
        publisher: sends.
        said: failures and states that were not shown yet; appended to by other threads.
        view: they are shown to.
        stop: once set, what was read is sent, and nothing more is asked for.
    """

    feeders: Sequence[Feeder]
    publisher: Publisher
    said: deque[Failure | SourceState]
    view: View
    stop: threading.Event
    _until_s: float = float("inf")

    def run(self) -> int:
        """Send everything.

        Returns:
            How many messages were not acknowledged; what was read and could not be handed over
            in time is among them.

        Raises:
            GrymError: the brokers will never take it.
        """
        active = list(self.feeders)
        while active and self._goes_on(active):
            waits_s = min(self._step(feeder) for feeder in active)
            active = [feeder for feeder in active if not feeder.done]
            if active and waits_s > 0:
                self.stop.wait(waits_s)
        self._until_s = min(self._until_s, time.monotonic() + DRAIN_S)
        while self._goes_on(active) and not self.publisher.flush(NAP_S):
            continue
        left = self.publisher.close(0.0) + sum(feeder.waiting for feeder in active)
        self._check()  # trouble settles all that waits as refused, which a flush takes for done
        return left

    def _step(self, feeder: Feeder) -> float:
        wait_ns = feeder.step()
        if wait_ns is None:
            self.publisher.wait_for_room(NAP_S)
            return 0.0
        return min(wait_ns / 1e9, NAP_S)

    def _goes_on(self, active: Sequence[Feeder]) -> bool:
        self._check()
        if self.stop.is_set() and self._until_s > time.monotonic() + STOP_S:
            self._until_s = time.monotonic() + STOP_S
            for feeder in active:
                feeder.stop()
        return time.monotonic() < self._until_s

    def _check(self) -> None:
        self._show()
        if self.publisher.trouble:
            raise GrymError(self.publisher.trouble)

    def _show(self) -> None:
        while self.said:
            self.view(self.said.popleft())
