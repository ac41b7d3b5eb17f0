"""From settings and flags to how sources are read: the options of every kind of source."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from connectors.chunks import ReadOptions, Share
from connectors.kafka.options import KafkaOptions
from connectors.microphone.options import MicOptions
from connectors.stdin import StdinOptions
from connectors.watch import WatchOptions
from flows.errors import UsageError
from flows.settings import Settings

T = TypeVar("T")


def options_of(settings: Settings, *, start_ns: int = 0, share: Share | None = None) -> ReadOptions:
    """How every source of a run is read.

    Raises:
        UsageError: settings that contradict one another.
    """
    return ReadOptions(
        speed=settings.listen.speed,
        frame_ms=settings.listen.frame_ms,
        start_ns=start_ns,
        share=share or Share(),
        own={
            "kafka": kafka_options(settings),
            "mic": _own(MicOptions, settings.mic),
            "-": _own(StdinOptions, settings.stdin),
            "watch": _own(WatchOptions, settings.watch),
        },
    )


def check_stdin(settings: Settings, schemes: Sequence[str]) -> None:
    """Refuse raw PCM of which nobody said what it is, before anything is opened.

    Raises:
        UsageError: its rate or channels were not given.
    """
    own = settings.stdin
    if "-" in schemes and (own.rate_hz is None or own.channels is None):
        raise UsageError(
            "source '-': raw PCM says neither its sample rate nor its channels; give them, as in:"
            " --rate 16000 --channels 1 --format s16le"
        )


def kafka_options(settings: Settings) -> KafkaOptions:
    """How brokers are reached.

    Raises:
        UsageError: settings that contradict one another.
    """
    return _own(KafkaOptions, settings.kafka)


def _own(kind: type[T], section: BaseModel) -> T:
    """A section of the settings as the plain options of a source; the names are the same."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # they are dataclasses
    given = {name: _plain(value) for name, value in section if name in names and value is not None}
    try:
        return kind(**given)
    except ValueError as error:
        raise UsageError(f"setting {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if hasattr(value, "__fspath__") else value
