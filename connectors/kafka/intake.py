"""Readers shared by the sources of a process: one for each set of brokers.

A topic that is listened to twice (two ``stream=``) needs two positions, hence a reader for each.

Invariant: a reader lives exactly as long as there is a feed on it.
"""

import threading

from connectors.chunks import Clock
from connectors.kafka.feed import Feed, Wish
from connectors.kafka.options import KafkaOptions
from connectors.kafka.reader import Reader

_turn = threading.Lock()
_readers: dict[tuple[tuple[str, ...], KafkaOptions], list[Reader]] = {}


def open_feed(servers: tuple[str, ...], options: KafkaOptions, wish: Wish, clock: Clock) -> Feed:
    """Begin to read; returns at once, whether or not a broker can be reached."""
    feed = Feed(wish)
    with _turn:
        readers = _readers.setdefault((servers, options), [])
        for reader in readers:
            free = all(other.wish.topic != wish.topic for other in reader.feeds)
            if free and reader.add(feed):
                return feed
        reader = Reader(servers, options, clock)
        readers.append(reader)
        reader.add(feed)
    return feed


def close_feed(feed: Feed) -> None:
    """Read for it no more; may be called twice."""
    with _turn:
        for key, readers in list(_readers.items()):
            for reader in readers:
                if feed not in reader.feeds:
                    continue
                reader.remove(feed)
                if not reader.feeds:
                    reader.stop()
                    readers.remove(reader)
                break
            if not readers:
                del _readers[key]


def reader_count() -> int:
    """How many readers there are."""
    with _turn:
        return sum(map(len, _readers.values()))
