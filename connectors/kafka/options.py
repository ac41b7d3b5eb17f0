"""How brokers are reached and what is taken from them, and the one driver that may be used.

Invariant: a secret is in no ``repr``, no message and no log line of ours. Nothing of the driver
is imported before it is needed.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Protocol: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Channels: TypeAlias = Literal["mean", "split"]
MIB = 1 << 20


class DriverError(RuntimeError):
    """The Kafka client of this installation cannot be used: one line with the remedy."""


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Options of every ``kafka://`` source, sink and publisher of a run.

    Attributes:
        security_protocol: how connections are protected.
        ca_file: certificates (PEM) of who signed the brokers'; None for the system's.
        cert_file: our own certificate (PEM), where brokers ask for one.
        key_file: its private key.
        key_password: of the private key; secret.
        sasl_mechanism: how user name and password are presented.
        username: of the account.
        password: of the account; secret.
        channels: "mean" of the channels of a message, or "split": a stream each.
        dead_letters: what cannot be read goes to ``<topic>.dead``, too.
        max_message_bytes: a larger message is refused as oversize.
        max_batch_bytes: a compressed batch that would grow beyond is refused undecoded.
        queue_messages: messages waiting a partition, at most; 100 ms of audio each.
        queue_bytes: bytes waiting a partition, at most (and one fetch more).
        topic_wait_s: how long a topic that does not exist may take to appear.
    """

    security_protocol: Protocol = "PLAINTEXT"
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    sasl_mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    channels: Channels = "mean"
    dead_letters: bool = True
    max_message_bytes: int = 4 * MIB
    max_batch_bytes: int = 32 * MIB
    queue_messages: int = 512
    queue_bytes: int = 8 * MIB
    topic_wait_s: float = 10.0

    def __post_init__(self) -> None:
        sasl = self.security_protocol.startswith("SASL_")
        if sasl and not (self.sasl_mechanism and self.username and self.password):
            raise ValueError(
                f"kafka: security_protocol {self.security_protocol} needs sasl_mechanism, username"
                " and password; set all three"
            )
        if not sasl and (self.sasl_mechanism or self.username or self.password):
            raise ValueError(
                f"kafka: user name and password are not used with security_protocol"
                f" {self.security_protocol}; set it to SASL_SSL"
            )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be seen."""
        return tuple(secret for secret in (self.password, self.key_password) if secret)


def client_config(options: KafkaOptions) -> dict[str, Any]:
    """Keyword arguments of kafka-python that every client of ours is built with.

    It holds the secrets in plain text: pass it on, print nothing of it.
    """
    config: dict[str, Any] = {
        "client_id": "grym",
        "security_protocol": options.security_protocol,
        "reconnect_backoff_max_ms": 2_000,
    }
    if options.security_protocol.endswith("SSL"):
        config |= {
            "ssl_cafile": options.ca_file,
            "ssl_certfile": options.cert_file,
            "ssl_keyfile": options.key_file,
            "ssl_password": options.key_password,
        }
    if options.security_protocol.startswith("SASL_"):
        config |= {
            "sasl_mechanism": options.sasl_mechanism,
            "sasl_plain_username": options.username,
            "sasl_plain_password": options.password,
        }
    return config


def check_crc32c() -> None:
    """Make sure that the driver is there, and with it the checksum written in C.

    Without the latter a message of 32 KB costs a hundred times the CPU.

    Raises:
        DriverError: one of them is missing; the message names the remedy.
    """
    try:
        from kafka.record import util  # noqa: PLC0415 - a driver that is missing is said here
    except ImportError as error:
        raise DriverError(
            f"kafka: the client cannot be imported ({error});"
            " install it: pip install 'kafka-python[crc32c]'"
        ) from None
    if util.crc32c_c is None:
        raise DriverError(
            "kafka: the package crc32c is missing, without which every message costs a hundred"
            " times the CPU; install it: pip install 'kafka-python[crc32c]'"
        )
