"""The thread that reads: one consumer for all topics of one set of brokers.

kafka-python's consumer belongs to one thread; every call to it is made here. Fetched records go
into the lanes of the feeds; a full lane pauses its partition alone. When nothing came for a
while the brokers are asked for the end of the partitions: that fails within a second whether they
are dead or frozen, while polling would merely stay silent.

Invariant: each record reaches its lane once and in order, whatever brokers do; a consumer that
raises what nobody expected is replaced by a new one that goes on at the same offsets.
"""

import itertools
import threading
import time
from contextlib import suppress
from typing import Any

from kafka import TopicPartition, errors

from connectors.chunks import Clock
from connectors.kafka import spans
from connectors.kafka.connecting import BrokerAway, Refused, words
from connectors.kafka.consuming import consumer_of, polled
from connectors.kafka.driverlog import DriverLog, hidden
from connectors.kafka.feed import Feed
from connectors.kafka.lane import Lane
from connectors.kafka.misplaced import out_of_range, truncated
from connectors.kafka.options import KafkaOptions
from connectors.kafka.seek import share_of, starts

POLL_MS = 100
POLL_PAUSED_MS = 10
PROBE_MS = 1_000
QUIET_NS = 1_000_000_000
PROBE_EVERY_NS = 2_000_000_000
SEEK_EVERY_NS = 200_000_000
GROWTH_EVERY_NS = 10_000_000_000
AWAY_NS = 20_000_000_000
"""After which a new consumer is built, which asks for the brokers' addresses again."""

_numbers = itertools.count(1)

_WHERE = {
    "earliest": "from the first message",
    "latest": "from the next message on (?from=earliest for all)",
}


class Reader:
    """Reads topics of one set of brokers.

    Args:
        servers: "host:port" of the brokers to ask first.
        options: how to reach them, and how much may wait.
        clock: the steady one is used.
    """

    def __init__(self, servers: tuple[str, ...], options: KafkaOptions, clock: Clock) -> None:
        self._servers = servers
        self._options = options
        self._now = clock.steady_ns
        self._client_id = f"grym-in-{next(_numbers):04d}"
        self._turn = threading.Lock()
        self._dead = False
        self._feeds: tuple[Feed, ...] = ()
        self._lanes: dict[TopicPartition, tuple[Feed, Lane]] = {}
        self._stop = threading.Event()
        self._heard_ns = self._probed_ns = self._sought_ns = self._grown_ns = self._now()
        self._away_ns: int | None = None
        # The driver's own thread has this name, too: the log finds the lines of both.
        self._thread = threading.Thread(
            target=self._run, name=f"kafka-io-{self._client_id}", daemon=True
        )

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Whom it reads for."""
        return self._feeds

    def add(self, feed: Feed) -> bool:
        """Read for this feed, too; its topic is read for no other here.

        Returns:
            False where the brokers refused: this reader reads no more, another may.
        """
        with self._turn:
            if self._dead:
                return False
            begins = not self._feeds and not self._thread.is_alive()
            self._feeds = (*self._feeds, feed)
            if begins:
                self._thread.start()
        return True

    def remove(self, feed: Feed) -> None:
        """Read for this feed no more; the others go on."""
        with self._turn:
            self._feeds = tuple(other for other in self._feeds if other is not feed)

    def stop(self) -> None:
        """End the thread; waits for it a second at most."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        log = DriverLog.installed()
        while not self._stop.is_set():
            consumer = None
            try:
                consumer = consumer_of(self._servers, self._options, self._client_id)
                self._lanes = {}
                self._serve(consumer)
            except Refused as error:
                self._fail_all(str(error))
                return
            except BrokerAway as error:
                self._lose(str(error))
            except Exception as error:  # whatever it is, a new consumer goes on
                self._lose(log.last(self._client_id) or words(error))
                self._stop.wait(1.0)
            finally:
                if consumer is not None:
                    with suppress(Exception):  # the thread outlives it, whatever it says
                        consumer.close(autocommit=False, timeout_ms=500)

    def _serve(self, consumer: Any) -> None:
        while not self._stop.is_set():
            self._look_after(consumer)
            paused = self._regulate(consumer)
            if paused and paused == len(self._lanes):
                # Nothing can come; to poll all the same would wake the driver's thread each time.
                self._stop.wait(POLL_PAUSED_MS / 1_000)
                self._watch(consumer, heard=False)
                continue
            began_ns = time.time_ns()
            try:
                found = polled(consumer, POLL_PAUSED_MS if paused else POLL_MS)
            except errors.OffsetOutOfRangeError as error:
                out_of_range(consumer, error.args[0], self._lanes)
                continue
            except errors.LogTruncationError as error:
                truncated(consumer, error.divergent_offsets, self._lanes)
                continue
            except errors.TopicAuthorizationFailedError as error:
                self._forbidden(set(error.args[0]))
                continue
            spans.polled(found, began_ns)  # first: nothing of them may begin earlier
            for place, entries in found.items():
                if place in self._lanes:
                    self._lanes[place][1].append(entries)
            for place, (_, lane) in self._lanes.items():
                if place in found or lane.end < 0:
                    lane.ends(consumer.highwater(place))
            self._watch(consumer, heard=bool(found))

    def _look_after(self, consumer: Any) -> None:
        """Feeds that came or went, topics that were missing, partitions that are new."""
        now = self._now()
        feeds = self._feeds
        if any(not feed.lanes and not feed.failed for feed in feeds) and now >= self._sought_ns:
            for feed in feeds:
                if not feed.lanes and not feed.failed:
                    self._find(consumer, feed)
            self._sought_ns = now + SEEK_EVERY_NS
        if now >= self._grown_ns:
            self._grown_ns = now + GROWTH_EVERY_NS
            for feed in feeds:
                if feed.lanes and not feed.failed:
                    self._grow(consumer, feed)
        wanted = {
            TopicPartition(feed.wish.topic, partition): (feed, lane)
            for feed in feeds
            if not feed.failed
            for partition, lane in feed.lanes.items()
        }
        if wanted.keys() == self._lanes.keys() and all(
            wanted[place][1] is lane for place, (_, lane) in self._lanes.items()
        ):
            return
        consumer.assign(list(wanted))
        for place, (_, lane) in wanted.items():
            if place not in self._lanes or self._lanes[place][1] is not lane:
                consumer.seek(place, lane.read)
                lane.paused = False
        self._lanes = wanted

    def _find(self, consumer: Any, feed: Feed) -> None:
        wish = feed.wish
        try:
            partitions = consumer.partitions_for_topic(wish.topic)
            if partitions:
                self._open(feed, starts(consumer, wish, share_of(wish, partitions)), partitions)
                return
        except errors.KafkaError as error:
            feed.say("connecting", self._said(f"no answer ({words(error)})"))
            return
        if feed.sought_ns is None:
            feed.sought_ns = self._now()
            wait = f"waiting {self._options.topic_wait_s:g} s for it"
            feed.say("connecting", self._said(f"topic '{wish.topic}' does not exist; {wait}"))
        elif self._now() - feed.sought_ns > self._options.topic_wait_s * 1e9:
            feed.fail(
                "unknown_topic",
                self._said(f"topic '{wish.topic}' does not exist"),
                "check its name, or create it: `grym publish` does",
            )

    def _open(self, feed: Feed, offsets: dict[int, int], partitions: set[int]) -> None:
        wish, options = feed.wish, self._options
        if not offsets:
            share = f"{wish.share.index + 1} of {wish.share.count}"
            detail = f"share {share} holds none of the {len(partitions)} partitions of it"
            feed.say("live", self._said(f"topic '{wish.topic}': {detail}; nothing to hear"))
            return
        feed.lanes = {
            partition: Lane(partition, offset, options.queue_messages, options.queue_bytes)
            for partition, offset in offsets.items()
        }
        where = _WHERE.get(str(wish.start), "from the time given")
        begin = "where it was left" if wish.resumed else where
        feed.say("live", self._said(f"topic '{wish.topic}', partitions: {len(offsets)}, {begin}"))

    def _grow(self, consumer: Any, feed: Feed) -> None:
        """Partitions that the topic was given since: they are read from their first record."""
        partitions = consumer.partitions_for_topic(feed.wish.topic)
        new = [p for p in share_of(feed.wish, partitions) if p not in feed.lanes]
        options = self._options
        feed.lanes = feed.lanes | {
            p: Lane(p, 0, options.queue_messages, options.queue_bytes) for p in new
        }

    def _regulate(self, consumer: Any) -> int:
        """Pause what is full, go on with what has room; how many are paused."""
        paused = 0
        for place, (_, lane) in self._lanes.items():
            if lane.paused:
                if lane.roomy:
                    consumer.resume(place)
                    lane.paused = False
            elif lane.full:
                consumer.pause(place)
                lane.paused = True
            paused += lane.paused
        return paused

    def _watch(self, consumer: Any, *, heard: bool) -> None:
        now = self._now()
        if heard:
            self._heard_ns = now
            self._back()
        every = PROBE_EVERY_NS if self._away_ns is None else QUIET_NS
        if now - max(self._heard_ns, self._probed_ns - PROBE_EVERY_NS + every) < QUIET_NS:
            return
        if now - self._probed_ns < every or not self._lanes:
            return
        self._probed_ns = now
        try:
            ends = consumer.end_offsets(list(self._lanes), timeout_ms=PROBE_MS)
        except errors.KafkaError as error:
            self._lose(words(error))
            if self._away_ns is not None and self._now() - self._away_ns > AWAY_NS:
                raise BrokerAway(words(error)) from None
            return
        self._back()
        for place, end in ends.items():
            self._lanes[place][1].ends(int(end))

    def _forbidden(self, topics: set[str]) -> None:
        for feed in self._feeds:
            if feed.wish.topic in topics:
                feed.fail(
                    "forbidden",
                    self._said(f"this account may not read topic '{feed.wish.topic}'"),
                    "grant it Read on the topic, or use another account",
                )

    def _lose(self, why: str) -> None:
        now = self._now()
        self._away_ns = now if self._away_ns is None else self._away_ns
        why = hidden(why, self._options.secrets)
        for feed in self._feeds:
            condition = "degraded" if feed.lanes else "connecting"
            feed.say(condition, self._said(f"no broker answers ({why}); trying again"))  # type: ignore[arg-type]

    def _back(self) -> None:
        if self._away_ns is None:
            return
        away_s = (self._now() - self._away_ns) / 1e9
        self._away_ns = None
        for feed in self._feeds:
            if feed.lanes:
                feed.say("live", self._said(f"the brokers answer again, after {away_s:.1f} s"))

    def _fail_all(self, why: str) -> None:
        with self._turn:  # who comes later takes another reader
            self._dead = True
        for feed in self._feeds:
            feed.fail("refused", self._said(why), "check the settings of kafka")

    def _said(self, text: str) -> str:
        return f"kafka {','.join(self._servers)}: {text}"
