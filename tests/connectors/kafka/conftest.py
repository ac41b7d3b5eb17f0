"""Who speaks into a topic and who listens to it, for tests with real brokers."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from kafka import KafkaAdminClient, KafkaProducer

from connectors.chunks import Chunk, RawItem, ReadOptions, Resume, Share
from connectors.kafka.options import KafkaOptions
from connectors.kafka.topic import Topic
from connectors.kafka.wire import AudioMessage, encode

PATIENCE_S = 30.0
RATE_HZ = 16_000
COUNT = 160
STEP_NS = COUNT * 1_000_000_000 // RATE_HZ


def samples(seq: int, channels: int = 1) -> np.ndarray:
    """What message number ``seq`` sounds like; exact in 16 bits."""
    ramp = (np.arange(COUNT * channels) + seq * 7) % 1000
    return (ramp.reshape(COUNT, channels) / 32_768).astype(np.float32)


def message(stream: str, seq: int, **changes: Any) -> AudioMessage:
    channels = changes.pop("channels", 1)
    sound = np.empty((0, channels), np.float32) if changes.get("end") else samples(seq, channels)
    fields = {"rate_hz": RATE_HZ, "ts_ns": seq * STEP_NS, "epoch": "e", **changes}
    return AudioMessage(stream, samples=sound, seq=seq, **fields)


class Speaker:
    """Writes into one topic."""

    def __init__(self, address: str, topic: str, partitions: int = 1) -> None:
        self.topic = topic
        self.address = address
        admin = KafkaAdminClient(bootstrap_servers=address)
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
        admin.close()
        self.producer = KafkaProducer(bootstrap_servers=address, linger_ms=0)

    def target(self, start: str = "earliest") -> str:
        return f"kafka://{self.address}/{self.topic}?from={start}"

    def audio(self, stream: str, seq: int, partition: int = 0, **changes: Any) -> None:
        at_ms = changes.pop("at_ms", None)
        key, value, headers = encode(message(stream, seq, **changes))
        self.raw(key, value, headers, partition, at_ms)

    def raw(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int = 0,
        at_ms: int | None = None,
    ) -> None:
        self.producer.send(
            self.topic,
            value,
            key=key,
            headers=headers,
            partition=partition,
            timestamp_ms=at_ms,
        )

    def flush(self) -> None:
        self.producer.flush(PATIENCE_S)


class Ear:
    """Listens to a topic as a flow would, and keeps what it was given."""

    def __init__(self, target: str, **given: Any) -> None:
        own = {"topic_wait_s": 1.0, **given.pop("own", {})}
        resume: Resume | None = given.pop("resume", None)
        name = given.pop("name", target.partition("?")[0].rpartition("/")[2])
        options = ReadOptions(
            share=given.pop("share", Share()),
            own={"kafka": KafkaOptions(**{"dead_letters": False, **own})},
            **given,
        )
        self.topic = Topic(name, target, options, resume)
        self.items: list[RawItem] = []
        self.states: list[dict[str, Any]] = []

    def until(self, enough: Callable[[], Any]) -> "Ear":
        """Go on until ``enough()``; fails when that takes too long."""
        give_up = time.monotonic() + PATIENCE_S
        while not enough():
            assert time.monotonic() < give_up, self.items[-20:]
            found = self.topic.next()
            self.items += found
            if not found and self.topic.wait_ns:
                time.sleep(min(self.topic.wait_ns / 1e9, 0.005))
        return self

    def hear(self, count: int) -> "Ear":
        """Go on until so many chunks were heard."""
        return self.until(lambda: len(self.chunks) >= count)

    def catch_up(self) -> "Ear":
        """Go on until nothing is left and nothing is held."""
        return self.until(lambda: self.topic.behind == 0 and not self.topic._hearing._waiting)

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]

    @property
    def chunks(self) -> list[Chunk]:
        return self.of(Chunk)


@pytest.fixture
def speak() -> Iterator[Callable[..., Speaker]]:
    """Makes speakers; what they hold is let go at the end of the test."""
    speakers: list[Speaker] = []

    def make(address: str, topic: str, partitions: int = 1) -> Speaker:
        speakers.append(Speaker(address, topic, partitions))
        return speakers[-1]

    yield make
    for speaker in speakers:
        speaker.producer.close(timeout=0.5)


@pytest.fixture
def listen() -> Iterator[Callable[..., Ear]]:
    """Makes ears; they are closed at the end of the test."""
    ears: list[Ear] = []

    def make(target: str, **given: Any) -> Ear:
        ears.append(Ear(target, **given))
        return ears[-1]

    yield make
    for ear in ears:
        ear.topic.close()
