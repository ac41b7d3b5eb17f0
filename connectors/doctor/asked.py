"""What a check is asked about, as plain values: whoever knows settings fills this in."""

from dataclasses import asdict, dataclass, field
from typing import Any

from connectors.kafka.address import Address
from connectors.kafka.options import KafkaOptions
from connectors.otlp.posting import Post


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model that is to run.

    Attributes:
        path: of its weights: a folder, or a name on the hub; None for those that are pulled.
        device: where it is to run, as settings spell it; None leaves that to the machine.
    """

    name: str
    path: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class AskedStore:
    """The store that is to be written.

    Attributes:
        uri: a path ending in ``.db``, or a server's address.
        shown: the same as it may be shown.
        token: for a server that asks for one; secret.
        spool_mb: what may wait on disk beside it.
    """

    uri: str
    shown: str
    token: str | None = field(default=None, repr=False)
    spool_mb: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that checks are asked about; what is empty was not asked for.

    Attributes:
        paths: files and folders to listen to.
        microphones: ``mic:NAME[,channel]`` each.
        topics: where audio is to come from.
        kafka: how brokers are reached.
        posts: where telemetry is posted.
        prometheus: host and port at which metrics are to be served.
    """

    models: tuple[AskedModel, ...] = ()
    paths: tuple[str, ...] = ()
    microphones: tuple[str, ...] = ()
    topics: tuple[Address, ...] = ()
    kafka: KafkaOptions = field(default_factory=KafkaOptions)
    store: AskedStore | None = None
    posts: tuple[Post, ...] = ()
    prometheus: tuple[str, int] | None = None

    def needs(self, check: str) -> bool:
        """Whether what was asked for cannot be had while a check gets no answer."""
        return check in {"sources", "kafka", "store", "collector"} or (
            check == "sound" and bool(self.microphones)
        )

    def for_a_child(self) -> dict[str, Any]:
        """What a process of its own has to know, fit for JSON; holds no secret."""
        return {
            "models": [asdict(model) for model in self.models],
            "microphones": list(self.microphones),
        }


def in_a_child(plain: dict[str, Any]) -> Asked:
    """The inverse of ``Asked.for_a_child``."""
    return Asked(
        models=tuple(AskedModel(**model) for model in plain["models"]),
        microphones=tuple(plain["microphones"]),
    )
