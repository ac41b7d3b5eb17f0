"""One idempotent producer of kafka-python, and the topic it writes to.

The order of what is sent is kept: one batch a partition is under way at a time, the driver
repeats it through lost connections for as long as it takes, and the first record that fails for
good ends the producer before it can send what follows. Whoever owns it makes another and sends
again what was not acknowledged.

Invariant: exactly one of ``acknowledged`` and ``failed`` is called for every record handed over
before ``abandon`` returned; what is raised is one line without a secret.
"""

import os
import re
import threading
from collections.abc import Callable
from importlib import import_module
from itertools import count
from typing import Any, Final

from connectors.kafka.driverlog import DriverLog, hidden
from connectors.kafka.options import KafkaOptions, check_crc32c, client_config

BOOTSTRAP_MS: Final = 3_000
REQUEST_MS: Final = 10_000
METADATA_MS: Final = 3_000
LINGER_MS: Final = 5
BATCH_BYTES: Final = 256 << 10
MOST_REQUEST_BYTES: Final = 64 << 20
NEVER_MS: Final = (1 << 31) - 1
"""Waiting for an acknowledgement is bounded by whoever owns the producer, not by the driver."""
_ENDS_S = 5.0
_NUMBER = re.compile(r"^\[Error -?\d+\] ")
_clients = count(1)


class BrokerAway(Exception):  # noqa: N818  # named by what it says
    """The brokers cannot be reached, or do not answer: one line; trying again may help."""


class Refused(Exception):  # noqa: N818  # named by what it says
    """The brokers will not have it, and trying again does not help: one line with the remedy."""


class Link:
    """A running producer for one topic. ``send`` is for one thread.

    Args:
        servers: brokers to ask first.
        topic: where everything goes.
        options: security.
        acknowledged: called with the number of a record that the brokers hold.
        failed: called with the number of the first record that will never be, and why.

    Raises:
        BrokerAway: no broker answers.
        Refused: this client and these brokers do not go together.
    """

    def __init__(
        self,
        servers: tuple[str, ...],
        topic: str,
        options: KafkaOptions,
        acknowledged: Callable[[int], None],
        failed: Callable[[int, Exception], None],
    ) -> None:
        self._topic = topic
        self._errors = _driver().errors
        self._acknowledged = acknowledged
        self._failed = failed
        self._producer = _connected(
            servers,
            options,
            lambda config: _driver().KafkaProducer(
                **config,
                enable_idempotence=True,
                acks="all",
                linger_ms=LINGER_MS,
                batch_size=BATCH_BYTES,
                max_request_size=MOST_REQUEST_BYTES,
                max_block_ms=METADATA_MS,
                delivery_timeout_ms=NEVER_MS,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            ),
        )

    def send(
        self, number: int, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
    ) -> None:
        """Hand a record over.

        Raises:
            BrokerAway: where the topic lies cannot be found out, or the producer has ended.
            Refused: it is larger than any request, or the topic cannot be.
        """
        errors = self._errors
        try:
            future = self._producer.send(self._topic, key=key, value=value, headers=headers)
        except (errors.KafkaTimeoutError, errors.IllegalStateError) as error:
            raise BrokerAway(_said(error)) from None
        except (errors.KafkaError, ValueError, TypeError) as error:
            raise Refused(_said(error)) from None
        future.add_callback(lambda _: self._acknowledged(number))
        future.add_errback(lambda error: self._end(number, error))

    def abandon(self) -> None:
        """End the producer at once; what was not acknowledged has failed when this returns."""
        # close() begins with a flush that raises when it takes too long, and then closes nothing
        # (kafka-python 3.0.12); without this the thread of the producer would never end
        sender = self._producer._sender
        sender.force_close()
        sender.join(_ENDS_S)
        if not sender.is_alive():
            self._producer.close(timeout=0)

    def _end(self, number: int, error: Exception) -> None:
        """Called by the producer's thread, which sends nothing more once this has returned."""
        self._producer._sender.force_close()
        self._failed(number, error)


def ensure_topic(
    servers: tuple[str, ...], topic: str, options: KafkaOptions, partitions: int
) -> bool:
    """Create the topic where it is missing.

    Returns:
        Whether it was created.

    Raises:
        BrokerAway: no broker answers.
        Refused: it may not be created.
    """
    admin = _connected(servers, options, lambda config: _driver().KafkaAdminClient(**config))
    errors = _driver().errors
    try:
        code = admin.describe_topics([topic])[0]["error_code"]
        if code != errors.UnknownTopicOrPartitionError.errno:
            return False
        admin.create_topics({topic: {"num_partitions": partitions}}, timeout_ms=REQUEST_MS)
        admin.wait_for_topics([topic], timeout_ms=METADATA_MS)
    except errors.TopicAlreadyExistsError:
        return False
    except errors.RetriableError as error:
        raise BrokerAway(_said(error)) from None
    except errors.KafkaError as error:
        raise Refused(
            f"topic '{topic}' is missing and cannot be created ({_said(error)}); create it, or"
            " grant the account the right to"
        ) from None
    finally:
        admin.close()
    return True


def cause(error: Exception, options: KafkaOptions) -> str:
    """Why something failed, in one line without a secret."""
    return hidden(_said(error), options.secrets)


def is_too_large(error: Exception) -> bool:
    """Whether the brokers refuse the record for its size."""
    errors = _driver().errors
    return isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError)


def is_hopeless(error: Exception) -> bool:
    """Whether nothing will ever get through to this topic."""
    errors = _driver().errors
    return isinstance(
        error,
        errors.AuthorizationError
        | errors.InvalidTopicError
        | errors.UnsupportedVersionError
        | errors.InvalidRequiredAcksError,
    )


def has_lost_state(error: Exception) -> bool:
    """Whether the brokers no longer know this producer, as after a restart that lost all."""
    errors = _driver().errors
    return isinstance(
        error,
        errors.UnknownProducerIdError
        | errors.OutOfOrderSequenceNumberError
        | errors.InvalidProducerEpochError
        | errors.ProducerFencedError
        | errors.IllegalStateError,
    )


def _driver() -> Any:
    """The driver, loaded when it is used: that takes 0.4 s, and it may be missing."""
    return import_module("kafka")


def _connected(
    servers: tuple[str, ...], options: KafkaOptions, build: Callable[[dict[str, Any]], Any]
) -> Any:
    check_crc32c()
    _check_files(options)
    log = DriverLog.installed()
    driver = _driver()
    own = client_config(options)
    # its threads are named after the client: that tells whose a line in the log is
    name = f"{own['client_id']}-{next(_clients)}"
    made: list[Any] = []

    def network(**config: Any) -> Any:
        made.append(import_module("kafka.net.compat").KafkaNetClient(**config))
        return made[-1]

    def close() -> None:
        for client in made:
            client.close()

    # a server that never answers the first bytes of TLS is waited for without end, and a client
    # that was not made leaves its thread and its sockets behind (kafka-python 3.0.12)
    watchdog = threading.Timer(BOOTSTRAP_MS / 1000 + 1, close)
    watchdog.daemon = True
    watchdog.start()
    try:
        return build(
            own
            | {
                "client_id": name,
                "kafka_client": network,
                "bootstrap_servers": list(servers),
                "bootstrap_timeout_ms": BOOTSTRAP_MS,
                "request_timeout_ms": REQUEST_MS,
            }
        )
    except Exception as error:
        close()
        if isinstance(error, driver.errors.RetriableError):
            why = log.last(name, options.secrets)
            at = ", ".join(servers)
            raise BrokerAway(f"no broker answers at {at}{f' ({why})' if why else ''}") from None
        if isinstance(error, driver.errors.KafkaError | OSError | ValueError):
            raise Refused(cause(error, options)) from None
        raise
    finally:
        watchdog.cancel()


def _check_files(options: KafkaOptions) -> None:
    """The driver would try again and again, and say "no such file" without naming it."""
    for name in ("ca_file", "cert_file", "key_file"):
        path = getattr(options, name)
        if path is not None and not os.access(path, os.R_OK):
            raise Refused(
                f"setting kafka.{name} = '{path}': there is no such file, or it may not be read"
            )


def _said(error: Exception) -> str:
    """What the driver says, in one line: its name where it says nothing, never a whole request."""
    text = " ".join(str(error).split()).partition(": Request '")[0]
    text = _NUMBER.sub("", text).removesuffix(": None")
    return text or type(error).__name__
