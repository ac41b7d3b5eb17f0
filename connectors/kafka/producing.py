"""One idempotent producer of kafka-python, and the topic it writes to.

The order of what is sent is kept: one batch a partition is under way at a time, the driver
repeats it through lost connections for as long as it takes, and the first record that fails for
good ends the producer before it can send what follows. Whoever owns it makes another and sends
again what was not acknowledged.

Invariant: exactly one of ``acknowledged`` and ``failed`` is called for every record handed over
before ``abandon`` returned; what is raised is one line without a secret.
"""

import re
from collections.abc import Callable
from importlib import import_module
from itertools import count
from typing import Any, Final

from connectors.kafka.connecting import BrokerAway, Refused, connected, words
from connectors.kafka.driverlog import hidden
from connectors.kafka.options import KafkaOptions

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
        self._options = options
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
        errors, options = self._errors, self._options
        try:
            future = self._producer.send(self._topic, key=key, value=value, headers=headers)
        except (errors.KafkaTimeoutError, errors.IllegalStateError) as error:
            raise BrokerAway(cause(error, options)) from None
        except (errors.KafkaError, ValueError, TypeError) as error:
            raise Refused(cause(error, options)) from None
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
        raise BrokerAway(cause(error, options)) from None
    except errors.KafkaError as error:
        raise Refused(
            f"topic '{topic}' is missing and cannot be created ({cause(error, options)});"
            " create it, or grant the account the right to"
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
    name = f"grym-out-{next(_clients):04d}"
    try:
        return connected(
            servers,
            options,
            name,
            lambda config: build(config | {"request_timeout_ms": REQUEST_MS}),
            BOOTSTRAP_MS,
        )
    except BrokerAway as away:
        raise BrokerAway(f"no broker answers at {', '.join(servers)} ({away})") from None


def _said(error: Exception) -> str:
    """What the driver says, in one line: its name where it says nothing, never a whole request."""
    text = _NUMBER.sub("", words(error).partition(": Request '")[0]).removesuffix(": None")
    return text or type(error).__name__
