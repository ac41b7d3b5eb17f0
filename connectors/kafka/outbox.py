"""Records on their way to one topic: a thread that gets them there, through whatever happens.

What the brokers have not acknowledged is kept and sent again, in order, by a new producer after
something broke: a listener drops what it then hears twice by its number. While the brokers are
away the queue fills to its bound; then a new record is turned down, or takes the place of the
oldest one, as its owner wants it.

Invariant: every record taken is settled exactly once: "" (acknowledged), or the reason why not:
"shed", "refused", "given_up" or "closed". ``offer`` never waits. Records of one key arrive in
their order, each at least once.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from connectors.kafka.connecting import BrokerAway, Refused
from connectors.kafka.options import DriverError, KafkaOptions
from connectors.kafka.pending import Bounds, Outgoing, Pending, Settled
from connectors.kafka.producing import (
    Link,
    cause,
    ensure_topic,
    has_lost_state,
    is_hopeless,
    is_too_large,
)
from operators.records import SourceCondition, SourceState

STALLED_S: Final = 2.0
LOOK_AGAIN_S: Final = 5.0
LOOKS_S: Final = 0.5
RETRY_S: Final = 0.1
LONGEST_RETRY_S: Final = 2.0
MOST_ATTEMPTS: Final = 5
GRACE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Destination:
    """Where records go.

    Attributes:
        servers: brokers to ask first.
        topic: created where it is missing.
        partitions: of a topic that is created.
        options: security.
    """

    servers: tuple[str, ...]
    topic: str
    partitions: int = 1
    options: KafkaOptions = field(default_factory=KafkaOptions)

    @property
    def shown(self) -> str:
        """The topic as a person would write it."""
        return f"kafka://{','.join(self.servers)}/{self.topic}"


def _nothing(_state: SourceState) -> None: ...


class Outbox:
    """Sends records to a topic. Thread-safe; its callbacks are called by threads of its own.

    Args:
        destination: the topic.
        bounds: what may wait.
        settled: told what became of each record; must be quick and not call back.
        state: told when the brokers answer, stop answering, or answer again.
        steady_s: injected clock.
    """

    def __init__(
        self,
        destination: Destination,
        bounds: Bounds,
        settled: Settled,
        state: Callable[[SourceState], None] = _nothing,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._to = destination
        self._state = state
        self._steady_s = steady_s
        self._pending = Pending(bounds, settled, steady_s)
        self._broken: tuple[int, Exception] | None = None
        self._condition: SourceCondition = "connecting"
        self._links = 0
        self._retries = 0
        self._until_s: float | None = None
        self._closing = threading.Event()
        self._looked_s = 0.0
        self.trouble = ""
        """Why nothing more will be sent: one line with the remedy; "" while there is hope."""
        self._thread = threading.Thread(
            target=self._run, name=f"grym-kafka-{destination.topic}", daemon=True
        )
        self._thread.start()

    @property
    def unacknowledged(self) -> int:
        """Records taken and not settled yet."""
        return len(self._pending)

    def offer(self, record: Outgoing) -> bool:
        """Take a record; False where there is no room for it now, or ``trouble``, or closed."""
        return self._pending.offer(record)

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until there is room again, or there is trouble."""
        return self._pending.wait_for_room(timeout_s)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything taken is settled; whether it is."""
        return self._pending.wait_until_empty(timeout_s)

    def close(self, timeout_s: float) -> int:
        """Send what waits, for at most so long; may be called twice.

        Returns:
            How many records were not acknowledged.
        """
        if not self._closing.is_set():
            self._until_s = self._steady_s() + timeout_s
            self._closing.set()
            self._pending.stop_taking()
            self._thread.join(timeout_s + GRACE_S)
        return self._pending.close("closed", "not acknowledged when the run ended")

    def _run(self) -> None:
        topic_is_there = False
        while self._goes_on():
            try:
                if not topic_is_there:
                    self._make_topic()
                    topic_is_there = True
                topic_is_there = self._feed()
            except BrokerAway as error:
                self._say("degraded", str(error))
                topic_is_there = False
            except (Refused, DriverError) as error:
                self._end(str(error))
            if self._goes_on():
                self._pause()

    def _make_topic(self) -> bool:
        to = self._to
        return ensure_topic(to.servers, to.topic, to.options, to.partitions)

    def _feed(self) -> bool:
        """The life of one producer; whether the topic was still there at its end."""
        to = self._to
        self._broken = None
        self._links += 1
        this = self._links

        def failed(number: int, error: Exception) -> None:
            if self._links == this and self._broken is None:  # what follows fails because of it
                self._broken = (number, error)
            self._pending.wake()

        link = Link(to.servers, to.topic, to.options, self._acknowledged, failed)
        self._say("live", "")
        there = True
        try:
            while self._broken is None and self._goes_on() and there:
                if (entry := self._pending.next()) is None:
                    there = self._watch()
                    continue
                record = entry.record
                try:
                    link.send(entry.number, record.key, record.value, record.headers)
                except Refused as error:
                    self._pending.refuse(entry.number, str(error))
        finally:
            link.abandon()
            self._judge()
            self._pending.take_back()
        return there

    def _watch(self) -> bool:
        """Nothing can be handed over now: wait, and look what may be wrong."""
        self._pending.wait_for_work(LOOKS_S if self.unacknowledged else self._left_s())
        self._pending.let_go()
        silent_s = self._pending.silent_s()
        if silent_s < STALLED_S:
            return True
        self._say("degraded", f"nothing was acknowledged for {STALLED_S:.0f} s")
        if silent_s < LOOK_AGAIN_S or self._steady_s() < self._looked_s + LOOK_AGAIN_S:
            return True
        # a topic that has gone is neither acknowledged nor refused, but asked for without end
        try:
            return not self._make_topic()
        except BrokerAway:
            return True
        finally:
            self._looked_s = self._steady_s()

    def _judge(self) -> None:
        """What the failure of the producer means for the record it failed with."""
        if self._broken is None:
            return
        number, error = self._broken
        said = cause(error, self._to.options)
        if is_too_large(error):
            self._pending.refuse(number, f"larger than the brokers take ({said})")
        elif is_hopeless(error):
            self._end(f"{self._to.shown}: {said}; check the rights of the account")
        elif not has_lost_state(error) and self._pending.failed(number) >= MOST_ATTEMPTS:
            self._pending.refuse(number, f"refused {MOST_ATTEMPTS} times ({said})")
        else:
            self._say("degraded", f"what was not acknowledged is sent again ({said})")

    def _acknowledged(self, number: int) -> None:
        self._retries = 0
        if self._pending.acknowledge(number) and self._condition != "live":
            self._say("live", "")

    def _end(self, line: str) -> None:
        self.trouble = line
        self._say("degraded", line)
        self._pending.close("refused", line)

    def _goes_on(self) -> bool:
        if self.trouble:
            return False
        if self._until_s is None:
            return True
        return bool(self.unacknowledged) and self._steady_s() < self._until_s

    def _left_s(self) -> float | None:
        return None if self._until_s is None else max(0.0, self._until_s - self._steady_s())

    def _pause(self) -> None:
        """Wait a little longer each time; once it is being closed, no longer than that takes."""
        wait_s = min(RETRY_S * 2**self._retries, LONGEST_RETRY_S)
        self._retries = min(self._retries + 1, 10)
        self._pending.let_go()
        left_s = self._left_s()
        if left_s is None:
            self._closing.wait(wait_s)
        else:
            self._pending.wait_until_empty(min(RETRY_S, left_s))

    def _say(self, condition: SourceCondition, detail: str) -> None:
        if condition == self._condition:
            return
        self._condition = condition
        more = f"; {self.unacknowledged} messages wait" if self.unacknowledged else ""
        line = f"{self._to.shown}: {detail}{more}" if detail else self._to.shown
        self._state(SourceState(self._to.topic, condition, line))
