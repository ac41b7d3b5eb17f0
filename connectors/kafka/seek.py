"""Where in each partition reading begins, as a number: asked once, so that a resume is exact.

Invariant: an answer is a number for every partition asked for, or an exception of the driver.
"""

from collections.abc import Sequence
from typing import Any

from kafka import TopicPartition

from connectors.kafka.feed import Wish

ASK_MS = 2_000


def share_of(wish: Wish, partitions: set[int]) -> list[int]:
    """The partitions that are ours, in order."""
    return [p for p in sorted(partitions) if p % wish.share.count == wish.share.index]


def starts(consumer: Any, wish: Wish, partitions: Sequence[int]) -> dict[int, int]:
    """Partition -> offset of the first record to read.

    Raises:
        KafkaError: no broker told within two seconds.
    """
    known = {p: wish.resume[p] for p in partitions if p in wish.resume}
    asked = [TopicPartition(wish.topic, p) for p in partitions if p not in known]
    if not asked:
        return known
    if wish.resumed or wish.start == "earliest":
        found = consumer.beginning_offsets(asked, timeout_ms=ASK_MS)
    else:
        found = consumer.end_offsets(asked, timeout_ms=ASK_MS)
    if isinstance(wish.start, int) and not wish.resumed:
        times = consumer.offsets_for_times(dict.fromkeys(asked, wish.start), timeout_ms=ASK_MS)
        # None: nothing is as new as that, so that the next message is the first.
        found |= {place: at.offset for place, at in times.items() if at is not None}
    return known | {place.partition: int(offset) for place, offset in found.items()}
