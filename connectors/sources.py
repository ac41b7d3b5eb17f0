"""``SOURCE = [name=]target``: what it means, and all sources of a run as one Bytewax source.

Unit of parallelism: the source; each is one partition, keyed by its name, with one stream or (a
topic) one a message key. Delivery: with recovery every item exactly once into the flow, as far as a
source can go back (files and topics can).

Invariant: no exception leaves a partition. What goes wrong becomes a ``Failure`` and the source
ends in band; the others go on.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from bytewax.inputs import FixedPartitionedSource

from connectors import SOURCES
from connectors.chunks import ReadOptions, Resume, Share, Source, State
from connectors.framed import Framed
from connectors.partition import SourcePartition
from connectors.reader import Item, Progress

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9._/-]+)=(?P<target>.*)", re.DOTALL)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z]{2,}):")
_UNFIT = re.compile(r"[^\w .,;:+()\[\]{}@#%&=~'!/-]")


class SourceError(ValueError):
    """A SOURCE that means nothing, or two that mean the same stream: one line for a person."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source: ``name`` is its stream, or what its streams begin with."""

    name: str
    target: str
    scheme: str


class HasCredit(Protocol):
    """Room for what replayable sources deliver (``operators.credit.Credit``)."""

    @property
    def available(self) -> bool:
        """More may be delivered by sources that can wait."""

    @property
    def room(self) -> bool:
        """More may be delivered by live sources, which shed what finds no place."""


def parse(spec: str) -> SourceSpec:
    """The meaning of one SOURCE argument.

    A path that exists as given is that path, whatever it contains. Else a leading ``name=``
    names the stream. Without a name the stream is called as the file, suffix included, the
    folder, the device or the topic: never by a path of this machine.

    Raises:
        SourceError: empty, malformed, or of a kind that is not known.
    """
    name, target = "", spec
    named = _NAMED.fullmatch(spec)
    if named and not _exists(spec):
        name, target = named["name"], named["target"]
    if not target:
        raise SourceError(
            f"source '{spec}': nothing to listen to; name a file, a folder, a microphone or a topic"
        )
    scheme = _scheme(target)
    if scheme not in SOURCES:
        raise SourceError(
            f"source '{target}': there is no '{scheme}' source in this version; available: a path"
            f" to an audio file or a folder, {', '.join(sorted(set(SOURCES) - {'file'}))}"
        )
    derived = getattr(import_module(_module(scheme)), "derived_name", _derived)
    try:
        own = _UNFIT.sub("_", derived(target))  # asked even where a name is given: it may refuse
    except ValueError as error:
        raise SourceError(str(error)) from None
    return SourceSpec(name or own, target, scheme)


def open_source(spec: SourceSpec, options: ReadOptions, resume: Resume | None = None) -> Source:
    """The source a SOURCE argument means; nothing is opened yet.

    Raises:
        ValueError: ``resume`` was written by another version.
    """
    return source_class(spec)(spec.name, spec.target, options, resume)


def source_class(spec: SourceSpec) -> type[Source]:
    """The class behind a scheme."""
    found: type[Source] = getattr(
        import_module(_module(spec.scheme)), SOURCES[spec.scheme].partition(":")[2]
    )
    return found


def placed(spec: SourceSpec) -> str:
    """What a source is, wherever a later run is started from: paths are made absolute."""
    if spec.scheme == "file":
        return str(Path(spec.target).absolute())
    if spec.scheme == "kafka":  # where to begin says nothing once there is a place to go on from
        return re.sub(r"(?<=[?&])from=[^&]*&?", "", spec.target).rstrip("?&")
    if spec.scheme == "watch":
        return f"watch:{Path(spec.target.partition(':')[2]).absolute()}"
    return spec.target


def check_divisible(specs: Sequence[SourceSpec], share: Share) -> None:
    """Refuse to divide between processes what each of them would hear whole.

    Raises:
        SourceError: one that cannot be divided.
    """
    for spec in specs:
        if share.count > 1 and not source_class(spec).divides:
            raise SourceError(
                f"source '{spec.target}': --process divides the partitions of topics, and each"
                " process would hear this one whole; give it to a listen of its own"
            )


def parse_all(specs: Sequence[str]) -> tuple[SourceSpec, ...]:
    """Every SOURCE argument of a run.

    Raises:
        SourceError: none given, one means nothing, or two would be the same stream.
    """
    if not specs:
        raise SourceError("no source given; name an audio file, a folder, a microphone or a topic")
    sources = tuple(parse(spec) for spec in specs)
    _check_distinct(sources)
    return sources


class Sources(FixedPartitionedSource[Item, State]):
    """All sources of a run: one partition each.

    Args:
        specs: the sources; their names must differ.
        credit: asked before each batch.
        options: how they are read.
        stop: once true every source ends; a stream that a later run can go on with does not.

    Raises:
        SourceError: two sources have the same name, or one cannot be divided.
    """

    def __init__(
        self,
        specs: Sequence[SourceSpec],
        *,
        credit: HasCredit,
        options: ReadOptions | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        _check_distinct(specs)
        self._options = options or ReadOptions()
        check_divisible(specs, self._options.share)
        self._specs = {spec.name: spec for spec in specs}
        self._live = {spec.name for spec in specs if source_class(spec).live}
        self._takes = lambda live: credit.room if live else credit.available
        self._stop = stop
        self._parts: dict[str, SourcePartition] = {}
        self._owners: dict[str, str] = {}

    def is_live(self, stream: str) -> bool:
        """Whether a stream's audio cannot wait."""
        return self.owner_of(stream) in self._live

    def owner_of(self, stream: str) -> str:
        """Name of the source that a stream comes from."""
        return self._owners.get(stream, stream)

    def list_parts(self) -> list[str]:
        """Names of the sources, sorted."""
        return sorted(self._specs)

    def build_part(
        self, step_id: str, for_part: str, resume_state: State | None
    ) -> SourcePartition:
        """The partition of one source; nothing is opened yet."""
        del step_id
        spec = self._specs[for_part]

        def build(state: State | None) -> Framed:
            return Framed(
                source_class(spec), spec.name, spec.target, self._options, state, self._owners
            )

        part = SourcePartition(
            spec.name, build, self._options, self._takes, self._stop, resume_state
        )
        self._parts[for_part] = part
        return part

    @property
    def lag_s(self) -> float | None:
        """Seconds by which the slowest source is behind its newest audio; None where unknown."""
        lags = [part.lag_s for part in list(self._parts.values())]
        return max((lag for lag in lags if lag is not None), default=None)

    def progress(self) -> list[Progress]:
        """How far each stream is. May read file headers: call it beside the flow's thread."""
        return [part.progress() for _, part in sorted(self._parts.items())]


def _module(scheme: str) -> str:
    return SOURCES[scheme].partition(":")[0]


def _scheme(target: str) -> str:
    if _exists(target):
        return "file"
    if target == "-":
        return "-"
    found = _SCHEME.match(target)
    return found["scheme"].lower() if found else "file"


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def _derived(target: str) -> str:
    path = Path(target)
    name = path.name if path.name not in ("", "..") else Path(path.absolute()).resolve().name
    if not name:
        raise SourceError(f"source '{target}' has no name of its own; give one: name={target}")
    return name


def _check_distinct(specs: Sequence[SourceSpec]) -> None:
    first: dict[str, SourceSpec] = {}
    for spec in specs:
        other = first.setdefault(spec.name, spec)
        if other is not spec:
            raise SourceError(
                f"two sources would both be stream '{spec.name}' ({other.target} and"
                f" {spec.target}); give each a name of its own, as in: one={other.target}"
                f" two={spec.target}"
            )
