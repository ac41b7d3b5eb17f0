"""``kafka://``: a topic of many streams -> their chunks; a replayable source that resumes exactly.

Invariant: whatever a topic holds becomes chunks, breaks, failures or counted drops; nothing is
raised, and no call waits for a broker. The snapshot and the streams' marks together say where to
go on: what lies behind both is never heard again.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from connectors.chunks import RawItem, ReadOptions, Resume, State
from connectors.kafka.address import derived_name, parse
from connectors.kafka.feed import Feed, Wish
from connectors.kafka.hearing import Hearing
from connectors.kafka.lane import Lane
from connectors.kafka.options import DriverError, KafkaOptions, check_crc32c
from connectors.kafka.resuming import Resuming
from operators.records import Failure, SourceState

__all__ = ["Topic", "derived_name"]

MOST_MESSAGES: Final = 32
BURST: Final = 8
"""Messages from one partition before the others have their turn."""
BUDGET_NS: Final = 3_000_000
IDLE_NS: Final = 10_000_000
LAG_EVERY_NS: Final = 1_000_000_000
LAG_CAUGHT_UP_S: Final = 2.0
LAGGING_S: Final = 10.0


class Topic:
    """One topic, or this process' share of it (see ``connectors.chunks.Source``).

    Args:
        name: of the source; begins its streams' ids, unless it is the topic's own name.
        target: the ``kafka://`` address.
        options: how it is read; ``KafkaOptions`` under "kafka".
        resume: where an earlier run stood.

    Raises:
        ValueError: the target means nothing, or ``resume`` is not of this version and share.
    """

    live: ClassVar[bool] = False
    resumes: ClassVar[bool] = True
    ends: ClassVar[bool] = False
    divides: ClassVar[bool] = True

    def __init__(self, name: str, target: str, options: ReadOptions, resume: Resume | None) -> None:
        self._name = name
        self._address = parse(target)
        self._options = options
        self._kafka = options.of("kafka", KafkaOptions)
        prefix = "" if name == self._address.topic else f"{name}/"
        self._resuming = Resuming(name, prefix, options.share, self._kafka.channels, resume)
        self._hearing = Hearing(name, prefix, self._address, self._kafka, self._resuming)
        self._feed: Feed | None = None
        self._leave: Callable[[Feed], None] = lambda _: None
        self._turn = 0
        self._partitions = 0
        self._lag_ns = 0
        self._caught_up = False
        self._wait_ns = 0
        self._done = False
        self._closed = False

    @property
    def done(self) -> bool:
        """A topic never ends; true once it cannot be read at all."""
        return self._done

    @property
    def wait_ns(self) -> int:
        """Nanoseconds until asking again makes sense."""
        return self._wait_ns

    @property
    def total_s(self) -> float | None:
        """Unknown: None."""
        return None

    @property
    def lag_s(self) -> float | None:
        """Seconds of the partition that is furthest behind, estimated; None where unknown."""
        lags = [lane.behind_s for lane in self._lanes()]
        known = [lag for lag in lags if lag is not None]
        return max(known) if known and len(known) == len(lags) else None

    @property
    def behind(self) -> int | None:
        """Messages between what was heard and the newest there are; None where unknown."""
        counts = [lane.behind for lane in self._lanes()]
        known = [count for count in counts if count is not None]
        return sum(known) if known and len(known) == len(counts) else None

    @property
    def counts(self) -> Mapping[str, int]:
        """What was left out or noticed so far, by reason."""
        return self._hearing.count()

    def next(self) -> list[RawItem]:
        """The messages that are ready, up to 32 or 3 ms, each partition in its turn."""
        if self._done:
            return []
        feed = self._feed
        if feed is None:
            try:
                feed = self._feed = self._open()
            except DriverError as error:
                return self._give_up(str(error))
        steady_ns = self._options.clock.steady_ns
        now_ns = steady_ns()
        items: list[RawItem] = list(feed.listen())
        taken = self._drain(items, now_ns)
        self._hearing.expire(now_ns, feed.lanes, items)
        if now_ns >= self._lag_ns:
            self._lag_ns = now_ns + LAG_EVERY_NS
            self._watch_lag(feed)
            if said := self._hearing.report(now_ns):
                items.append(SourceState(self._name, feed.condition or "live", said))
        self._wait_ns = 0 if taken else IDLE_NS
        if feed.failed and not taken:
            items += feed.listen()
            self._done = True
        return items

    def snapshot(self) -> State:
        """The offsets to go on from, the partitions' share with them."""
        return self._hearing.snapshot({lane.partition: lane.next for lane in self._lanes()})

    def close(self) -> None:
        """Stop reading; what is read by others of the same brokers goes on."""
        if self._feed is not None and not self._closed:
            self._leave(self._feed)
        if not self._closed:
            self._hearing.close()
        self._closed = True

    def _open(self) -> Feed:
        check_crc32c()
        # The driver is not imported before somebody listens to a topic.
        from connectors.kafka.intake import close_feed, open_feed  # noqa: PLC0415

        address, resuming = self._address, self._resuming
        wish = Wish(
            self._name,
            address.topic,
            address.start,
            self._options.share,
            resuming.seek,
            resuming.resumed,
        )
        self._leave = close_feed
        return open_feed(address.servers, self._kafka, wish, self._options.clock)

    def _give_up(self, said: str) -> list[RawItem]:
        self._done = True
        detail, _, remedy = said.partition("; ")
        return [
            Failure(
                self._name,
                "source",
                "driver",
                f"{self._name}: {detail}",
                remedy,
                0.0,
                fatal_source=True,
            )
        ]

    def _lanes(self) -> list[Lane]:
        return list(self._feed.lanes.values()) if self._feed is not None else []

    def _drain(self, items: list[RawItem], now_ns: int) -> int:
        lanes = self._lanes()
        count = len(lanes)
        if count != self._partitions:
            self._partitions = count
            self._hearing.moves.meet(lane.partition for lane in lanes)
        taken, dry = 0, 0
        steady_ns, hear = self._options.clock.steady_ns, self._hearing.hear
        later = self._hearing.moves.later
        while dry < count and taken < MOST_MESSAGES:
            self._turn = (self._turn + 1) % count
            lane = lanes[self._turn]
            before = taken
            joined_later = lane.partition in later
            for _ in range(min(BURST, MOST_MESSAGES - taken)):
                if joined_later and self._waits(lane, now_ns):
                    break
                entry = lane.take()
                if entry is None:
                    break
                taken += 1
                hear(lane.partition, entry, now_ns, items)
            dry = dry + 1 if taken == before else 0
            if steady_ns() - now_ns > BUDGET_NS:
                break
        return taken

    def _waits(self, lane: Lane, now_ns: int) -> bool:
        """Whether a partition that joined later begins with what has to wait for another."""
        entry, feed = lane.peek(), self._feed
        return (
            entry is not None
            and feed is not None
            and self._hearing.waits(lane.partition, entry, feed.lanes, now_ns)
        )

    def _watch_lag(self, feed: Feed) -> None:
        """Say when a source that had caught up falls behind, and when it caught up again."""
        lag_s = self.lag_s
        if lag_s is None or feed.condition not in {"live", "lagging"}:
            return
        said = f"{self._name}: {self.behind} messages behind the newest"
        if lag_s <= LAG_CAUGHT_UP_S:
            self._caught_up = True
            feed.say("live", said, lag_s)
        elif self._caught_up and lag_s > LAGGING_S:
            feed.say("lagging", f"{said}, about {lag_s:.0f} s", lag_s)
