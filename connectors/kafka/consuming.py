"""A consumer of the driver, built to read and never to hang, lie about offsets or create topics.

It belongs to no group: where to go on is recorded by whoever listens, offset by offset.
"""

import ssl
import threading
from functools import partial
from typing import Any

from kafka import KafkaConsumer, TopicPartition, errors
from kafka.net.compat import KafkaNetClient

from connectors.kafka.driverlog import DriverLog, hidden
from connectors.kafka.options import MIB, KafkaOptions, client_config
from connectors.kafka.record import Entry
from connectors.kafka.unpack import Unpacked

BOOTSTRAP_MS = 2_000
GIVE_UP_S = 4.0
METADATA_MS = 30_000
"""After which partitions that were added to a topic are known."""
POLL_RECORDS = 512
FETCH_BYTES = 16 * MIB


class BrokersAway(Exception):  # noqa: N818  # a condition that passes
    """No broker answers; says why, as far as the driver knows."""


class BrokersRefused(Exception):  # noqa: N818  # named by what they do
    """It will not work however often it is tried; says why."""


def connected(servers: tuple[str, ...], options: KafkaOptions, client_id: str) -> Any:
    """A consumer that has reached a broker.

    Args:
        servers: "host:port" of those to ask first.
        options: how to reach them.
        client_id: names its threads and its requests.

    Raises:
        BrokersAway: within two seconds none answered.
        BrokersRefused: the settings cannot be used.
    """
    log = DriverLog.installed()
    check_files(options)
    clients: list[Any] = []

    def client(**config: Any) -> Any:
        clients.append(KafkaNetClient(**config))
        return clients[-1]

    # 3.0.12 waits for ever for who accepts a connection and then says nothing, as a port without
    # TLS does to who wants it; closing the client from outside makes it give up.
    mute = threading.Event()

    def give_up() -> None:
        mute.set()
        for left in clients:
            left.close()

    guard = threading.Timer(GIVE_UP_S, give_up)
    guard.daemon = True
    guard.start()
    try:
        consumer = KafkaConsumer(**_config(servers, options, client_id), kafka_client=client)
    except Exception as error:
        # What failed half-way leaves a thread behind that would try for ever.
        for left in clients:
            left.close()
        said = hidden(words(error), options.secrets)
        if isinstance(error, errors.KafkaError) and not isinstance(
            error, errors.KafkaConfigurationError
        ):
            why = log.last(client_id, options.secrets)
            if mute.is_set():
                why = f"a connection without a word; is {options.security_protocol} what it speaks?"
            raise BrokersAway(why or f"none within {BOOTSTRAP_MS / 1000:.0f} s") from None
        raise BrokersRefused(said) from None
    finally:
        guard.cancel()
    consumer._fetcher.PartitionRecords = partial(Unpacked, options.max_batch_bytes)
    return consumer


def check_files(options: KafkaOptions) -> None:
    """Try the certificates before the driver does, which would only try again and again.

    Raises:
        BrokersRefused: one cannot be used.
    """
    if not options.security_protocol.endswith("SSL"):
        return
    named = f"ca_file {options.ca_file}"
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        if options.cert_file:
            named = f"cert_file {options.cert_file} with key_file {options.key_file}"
            # Without a password it would ask for one on the terminal.
            password = options.key_password or ""
            context.load_cert_chain(options.cert_file, options.key_file, password)
    except (OSError, ValueError) as error:
        why = error.strerror or words(error) if isinstance(error, OSError) else words(error)
        raise BrokersRefused(hidden(f"{named} cannot be used ({why})", options.secrets)) from None


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


def words(error: Exception) -> str:
    """What an error says, in one line; its name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _config(servers: tuple[str, ...], options: KafkaOptions, client_id: str) -> dict[str, Any]:
    return client_config(options) | {
        "client_id": client_id,
        "bootstrap_servers": list(servers),
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
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
