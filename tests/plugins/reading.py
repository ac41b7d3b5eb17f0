"""What a topic holds, as any other program reads it: a bare kafka-python consumer."""

import time
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

PATIENCE_S = 15.0


def read_topic(address: str, topic: str, count: int) -> list[Any]:
    """The records of all partitions, once there are ``count`` of them (or patience ends)."""
    until = time.monotonic() + PATIENCE_S
    found: list[Any] = []
    consumer = KafkaConsumer(
        bootstrap_servers=[address],
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
    )
    try:
        while not (parts := _partitions(consumer, topic)) and time.monotonic() < until:
            consumer.poll(50)
        consumer.assign([TopicPartition(topic, part) for part in parts])
        while len(found) < count and time.monotonic() < until:
            for records in consumer.poll(100).values():
                found += records
    finally:
        consumer.close()
    return found


def _partitions(consumer: Any, topic: str) -> set[int]:
    try:
        return consumer.partitions_for_topic(topic) or set()
    except KafkaError:
        return set()
