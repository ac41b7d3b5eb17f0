"""Offsets from which nothing can be read on: said, and read on from where there is something.

Invariant: what was deleted is a gap with a count; where a partition ends before what was read of
it, other audio lies there now, and the source fails rather than hear it as the same stream.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from kafka import TopicPartition, errors

from connectors.kafka.feed import Feed
from connectors.kafka.headers import BadMessage
from connectors.kafka.lane import Lane
from connectors.kafka.record import Unreadable
from connectors.kafka.seek import ASK_MS

Lanes: TypeAlias = Mapping[TopicPartition, tuple[Feed, Lane]]


def out_of_range(consumer: Any, offsets: Mapping[TopicPartition, int], lanes: Lanes) -> None:
    """The brokers have nothing at these offsets."""
    places = [place for place in offsets if place in lanes]
    try:
        begins = consumer.beginning_offsets(places, timeout_ms=ASK_MS)
        ends = consumer.end_offsets(places, timeout_ms=ASK_MS)
    except errors.KafkaError:
        return  # met again with the next poll
    for place in places:
        feed, lane = lanes[place]
        if lane.read > ends[place]:
            _recreated(feed, lane, ends[place])
        elif lane.read < begins[place]:
            _skip(lane, begins[place])
            consumer.seek(place, lane.read)


def truncated(consumer: Any, divergent: Mapping[TopicPartition, Any], lanes: Lanes) -> None:
    """The brokers lost the end of a partition; from ``divergent`` on it holds other records."""
    for place, at in divergent.items():
        if place not in lanes:
            continue
        feed, lane = lanes[place]
        if at is None:
            _recreated(feed, lane, 0)
            continue
        feed.miss(
            "gap",
            f"{place.topic}/{place.partition}: the brokers lost what they held from offset"
            f" {at.offset} on, of which all up to {lane.read} was heard",
            "nothing to do here; see the brokers' logs (unclean leader election)",
        )
        lane.read = at.offset
        consumer.seek(place, lane.read)


def _skip(lane: Lane, to: int) -> None:
    detail = f"{to - lane.read} messages were deleted before they were heard"
    remedy = "raise the retention of the topic, or listen to it sooner"
    gap = BadMessage("gap", f"{detail} (offsets {lane.read} to {to - 1})", remedy)
    lane.append([Unreadable(lane.read, to - 1, gap, b"")])


def _recreated(feed: Feed, lane: Lane, end: int) -> None:
    feed.fail(
        "recreated",
        f"{feed.wish.topic}/{lane.partition} ends at offset {end}, before {lane.read} from"
        " which to go on: the topic was created anew, or the brokers lost data",
        "what is in it now is other audio; to hear it, start with a new recovery folder",
    )
