"""One source's share of a topic, between the reader's thread and the worker's.

The source says which topic, which share of its partitions and from where; the reader fills a
``Lane`` for each and says what happens on the way.

Invariant: lanes appear all at once, each with a number to begin from; what is said is bounded,
and only changes of condition are said.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.chunks import Share
from connectors.kafka.address import Start
from connectors.kafka.lane import Lane
from operators.records import Failure, SourceCondition, SourceState

MOST_SAID = 256


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be read.

    Attributes:
        name: of the source, for what is said.
        topic: to read.
        start: from where, where nothing else is known.
        share: the partitions whose number is ``index`` modulo ``count``.
        resume: partition -> offset to go on from.
        resumed: an earlier run read this topic: partitions that it did not know are new ones,
            and read from their first record.
    """

    name: str
    topic: str
    start: Start
    share: Share = field(default_factory=Share)
    resume: Mapping[int, int] = field(default_factory=dict)
    resumed: bool = False


class Feed:
    """What a reader does for one source.

    Attributes:
        wish: what is to be read.
        lanes: partition -> its queue; empty until the topic was found.
        failed: nothing follows what was said.
    """

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.lanes: dict[int, Lane] = {}
        self.failed = False
        self.sought_ns: int | None = None
        self._condition: SourceCondition | None = None
        self._said: deque[SourceState | Failure] = deque(maxlen=MOST_SAID)

    @property
    def condition(self) -> SourceCondition | None:
        """What was said last of how it is doing."""
        return self._condition

    def say(self, condition: SourceCondition, detail: str, lag_s: float | None = None) -> None:
        """How the source is doing, if that has changed."""
        if condition != self._condition:
            self._condition = condition
            self._said.append(SourceState(self.wish.name, condition, detail, lag_s))

    def miss(self, reason: str, detail: str, remedy: str) -> None:
        """Something was lost on the way; the source goes on."""
        self._said.append(self._failure(reason, detail, remedy))

    def fail(self, reason: str, detail: str, remedy: str) -> None:
        """The source cannot go on."""
        if not self.failed:
            failure = self._failure(reason, detail, remedy, fatal=True)
            self._said.append(failure)
            self.failed = True

    def listen(self) -> list[SourceState | Failure]:
        """What was said since the last call; by the worker."""
        said = []
        while self._said:
            said.append(self._said.popleft())
        return said

    def _failure(self, reason: str, detail: str, remedy: str, *, fatal: bool = False) -> Failure:
        return Failure(
            self.wish.name, "source", reason, detail, remedy, float("nan"), fatal_source=fatal
        )
