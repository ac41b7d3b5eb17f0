"""Topics of Kafka: whether the brokers answer, and hold what is to be heard.

Invariant: nothing is read, created or committed.
"""

from collections.abc import Iterator
from functools import partial

from connectors.doctor.asked import Asked
from connectors.doctor.background import begin
from connectors.doctor.finding import Finding, of_sentence
from connectors.kafka.address import Address
from connectors.kafka.options import DriverError, KafkaOptions, check_crc32c

_CLIENT = "grym-doctor"
_CLOSE_MS = 500


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """One line a topic, or why the driver cannot be used."""
    if not asked.topics:
        return
    try:
        check_crc32c()
    except DriverError as error:
        yield of_sentence("kafka", str(error), between="; install it: ")
        return
    looks = [begin(partial(_look, topic, asked.kafka, patience_s)) for topic in asked.topics]
    for topic, look in zip(asked.topics, looks, strict=True):
        try:
            yield look.result(2 * patience_s)
        except TimeoutError:
            yield _away(topic, f"none within {2 * patience_s:g} s")


def _look(topic: Address, options: KafkaOptions, patience_s: float) -> Finding:
    # Imported here: they bring the driver.
    from kafka import TopicPartition, errors  # noqa: PLC0415

    from connectors.kafka.connecting import BrokerAway, Refused, words  # noqa: PLC0415
    from connectors.kafka.consuming import consumer_of  # noqa: PLC0415

    try:
        consumer = consumer_of(topic.servers, options, _CLIENT)
    except BrokerAway as error:
        return _away(topic, str(error))
    except Refused as error:
        detail = _said(topic, str(error))
        return Finding("kafka", "broken", detail, "check the settings of kafka")
    try:
        partitions = consumer.partitions_for_topic(topic.topic)
        if not partitions:
            detail = _said(topic, f"topic '{topic.topic}' does not exist")
            remedy = "check its name, or create it: `grym publish` does"
            return Finding("kafka", "broken", detail, remedy)
        places = [TopicPartition(topic.topic, number) for number in partitions]
        consumer.end_offsets(places, timeout_ms=round(patience_s * 1_000))
    except errors.KafkaError as error:
        detail = _said(topic, f"who holds topic '{topic.topic}' does not answer ({words(error)})")
        remedy = "check the brokers' advertised.listeners: this machine has to reach them"
        return Finding("kafka", "broken", detail, remedy)
    finally:
        consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
    count = len(partitions)
    detail = f"topic '{topic.topic}' has {count} partition{'s' * (count > 1)}"
    return Finding("kafka", "ok", _said(topic, detail))


def _away(topic: Address, why: str) -> Finding:
    detail = _said(topic, f"no broker answers ({why})")
    return Finding("kafka", "broken", detail, "start it, or name the right host:port")


def _said(topic: Address, text: str) -> str:
    return f"{','.join(topic.servers)}: {text}"
