"""A client of the driver that has reached a broker, whichever kind: consumer, producer, admin.

kafka-python 3.0.12 waits for ever for who accepts a connection and then says nothing, as a port
without TLS does to who wants it; and a client that was not made leaves its thread and its sockets
behind. Both end when the client's network is closed from outside.

Invariant: within seconds there is a client, or one line why not, without a secret; what was not
made leaves nothing behind. The driver is not imported before that.
"""

import ssl
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from connectors.kafka.driverlog import DriverLog, hidden
from connectors.kafka.options import KafkaOptions, check_crc32c, client_config

MUTE_S: Final = 1.5
"""Beyond the time in which a broker is to answer: then nobody will."""


class BrokerAway(Exception):  # noqa: N818  # a condition that passes
    """The brokers cannot be reached, or do not answer: one line; trying again may help."""


class Refused(Exception):  # noqa: N818  # named by what it says
    """The brokers will not have it, and trying again does not help: one line with the remedy."""


def connected(
    servers: tuple[str, ...],
    options: KafkaOptions,
    client_id: str,
    build: Callable[[dict[str, Any]], Any],
    bootstrap_ms: int,
) -> Any:
    """What ``build`` makes of the configuration, once a broker has answered.

    Args:
        servers: "host:port" of those to ask first.
        options: how to reach them.
        client_id: names its threads and its requests, and so its lines in the driver's log.
        build: makes the client, given the keyword arguments that all have in common.
        bootstrap_ms: in which a broker has to answer.

    Raises:
        BrokerAway: none did.
        Refused: the settings cannot be used.
        DriverError: the driver cannot be used.
    """
    check_crc32c()
    check_files(options)
    log = DriverLog.installed()
    made: list[Any] = []
    mute = threading.Event()

    def network(**config: Any) -> Any:
        made.append(import_module("kafka.net.compat").KafkaNetClient(**config))
        return made[-1]

    def give_up() -> None:
        mute.set()
        close()

    def close() -> None:
        for client in made:
            client.close()

    guard = threading.Timer(bootstrap_ms / 1_000 + MUTE_S, give_up)
    guard.daemon = True
    guard.start()
    common = {
        "client_id": client_id,
        "kafka_client": network,
        "bootstrap_servers": list(servers),
        "bootstrap_timeout_ms": bootstrap_ms,
    }
    try:
        return build(client_config(options) | common)
    except Exception as error:
        close()
        if _passes(error):
            why = log.last(client_id, options.secrets)
            if mute.is_set():
                why = f"a connection without a word; is {options.security_protocol} what it speaks?"
            raise BrokerAway(why or f"none within {bootstrap_ms / 1_000:g} s") from None
        if isinstance(error, import_module("kafka").errors.KafkaError | OSError | ValueError):
            raise Refused(hidden(words(error), options.secrets)) from None
        raise
    finally:
        guard.cancel()


def check_files(options: KafkaOptions) -> None:
    """Try the certificates before the driver does, which would only try again and again.

    Raises:
        Refused: one cannot be used.
    """
    if not options.security_protocol.endswith("SSL"):
        return
    named = f"kafka.ca_file = '{options.ca_file}'"
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        if options.cert_file:
            named = f"kafka.cert_file = '{options.cert_file}' with key_file '{options.key_file}'"
            # Without a password it would ask for one on the terminal.
            password = options.key_password or ""
            context.load_cert_chain(options.cert_file, options.key_file, password)
    except (OSError, ValueError) as error:
        why = error.strerror or words(error) if isinstance(error, OSError) else words(error)
        said = f"setting {named} cannot be used ({why})"
        raise Refused(hidden(said, options.secrets)) from None


def words(error: Exception) -> str:
    """What an error says, in one line; its name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _passes(error: Exception) -> bool:
    """Whether trying again may help: by far the most that the driver raises here."""
    errors = import_module("kafka").errors
    hopeless = (
        errors.KafkaConfigurationError
        | errors.UnsupportedVersionError
        | errors.UnrecognizedBrokerVersion
        | errors.UnsupportedCodecError
        | errors.AuthorizationError
    )
    return isinstance(error, errors.KafkaError) and not isinstance(error, hopeless)
