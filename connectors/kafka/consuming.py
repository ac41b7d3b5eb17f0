"""A consumer of the driver, built to read and never to hang, lie about offsets or create topics.

It belongs to no group: where to go on is recorded by whoever listens, offset by offset.
"""

from functools import partial
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from connectors.kafka.connecting import connected
from connectors.kafka.options import MIB, KafkaOptions
from connectors.kafka.record import Entry
from connectors.kafka.unpack import Leading, Unpacked

BOOTSTRAP_MS = 2_000
METADATA_MS = 30_000
"""After which partitions that were added to a topic are known."""
POLL_RECORDS = 512
FETCH_BYTES = 16 * MIB


def consumer_of(servers: tuple[str, ...], options: KafkaOptions, client_id: str) -> Any:
    """A consumer that has reached a broker.

    Args:
        servers: "host:port" of those to ask first.
        options: how to reach them.
        client_id: names its threads and its requests.

    Raises:
        BrokerAway: within two seconds none answered.
        Refused: the settings cannot be used.
    """

    def build(config: dict[str, Any]) -> Any:
        return KafkaConsumer(**config, **_config())

    consumer = connected(servers, options, client_id, build, BOOTSTRAP_MS)
    unpacked = partial(Unpacked, options.max_batch_bytes, leading=Leading())
    consumer._fetcher.PartitionRecords = unpacked
    return consumer


def polled(consumer: Any, timeout_ms: int) -> dict[TopicPartition, list[Entry]]:
    """What came since the last call, waiting for at most ``timeout_ms``.

    Raises:
        KafkaError: a partition cannot be read on at its offset.
    """
    # 3.0.12 takes up what it parked for a paused partition only while this slot is None, and
    # leaves a used-up response in it: a partition once paused would never be heard again.
    if not consumer._fetcher._next_partition_records:
        consumer._fetcher._next_partition_records = None
    found: dict[TopicPartition, list[Entry]] = consumer.poll(timeout_ms)
    return found


def _config() -> dict[str, Any]:
    return {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": 50,
        "fetch_max_bytes": FETCH_BYTES,
        "max_poll_records": POLL_RECORDS,
        "metadata_max_age_ms": METADATA_MS,
        "request_timeout_ms": 10_000,
        "metrics_enabled": False,
    }
