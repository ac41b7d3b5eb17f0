"""``SOURCE = [name=]target``: what it means, and all sources of a run as one Bytewax source.

Unit of parallelism: the stream; each is one partition, keyed by its stream id. Delivery: with
recovery every item exactly once into the flow, as far as a reader can go back (files can).

Invariant: no exception leaves a partition. What goes wrong becomes a ``Failure`` and the stream
ends in band; the other streams go on.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from bytewax.inputs import FixedPartitionedSource

from connectors import SOURCES
from connectors.partition import SourcePartition
from connectors.reader import Clock, Item, Progress, Reader, ReadOptions, Speed, State

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9._/-]+)=(?P<target>.*)", re.DOTALL)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z]{2,}):")
_UNFIT = re.compile(r"[^\w .,;:+()\[\]{}@#%&=~'!/-]")


class SourceError(ValueError):
    """A SOURCE that means nothing, or two that mean the same stream: one line for a person."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source: ``name`` is the stream id, ``target`` what ``scheme``'s reader is given."""

    name: str
    target: str
    scheme: str


class HasCredit(Protocol):
    """Room for what replayable sources deliver (``operators.credit.Credit``)."""

    @property
    def available(self) -> bool:
        """More may be delivered."""


def parse(spec: str) -> SourceSpec:
    """The meaning of one SOURCE argument.

    A path that exists as given is that path, whatever it contains. Else a leading ``name=``
    names the stream. Without a name the stream is called as the file, suffix included, or the
    folder: never by a path of this machine.

    Raises:
        SourceError: empty, or of a kind there is no reader for.
    """
    name, target = "", spec
    named = _NAMED.fullmatch(spec)
    if named and not _exists(spec):
        name, target = named["name"], named["target"]
    if not target:
        raise SourceError(f"source '{spec}': nothing to listen to; name a file or a folder")
    scheme = _scheme(target)
    if scheme not in SOURCES:
        raise SourceError(
            f"source '{target}': there is no '{scheme}' source in this version;"
            f" available: {', '.join(sorted(SOURCES))} (a path to an audio file or a folder)"
        )
    return SourceSpec(name or _derived(target), target, scheme)


def parse_all(specs: Sequence[str]) -> tuple[SourceSpec, ...]:
    """Every SOURCE argument of a run.

    Raises:
        SourceError: none given, one means nothing, or two would be the same stream.
    """
    if not specs:
        raise SourceError("no source given; name an audio file or a folder")
    sources = tuple(parse(spec) for spec in specs)
    _check_distinct(sources)
    return sources


class Sources(FixedPartitionedSource[Item, State]):
    """All sources of a run: one partition a stream.

    Args:
        specs: the sources; their names must differ.
        credit: asked by replayable sources before each batch; live sources deliver regardless.
        speed: "max", or "realtime" as if it were heard now.
        frame_ms: length of a frame.
        start_ns: event time of the first sample of files.
        stop: once true every source ends without ending its stream; a resumed run goes on there.
        clock: injected clocks.

    Raises:
        SourceError: two sources have the same name.
    """

    def __init__(
        self,
        specs: Sequence[SourceSpec],
        *,
        credit: HasCredit,
        speed: Speed = "max",
        frame_ms: int = 100,
        start_ns: int = 0,
        stop: Callable[[], bool] = lambda: False,
        clock: Clock | None = None,
    ) -> None:
        _check_distinct(specs)
        self._specs = {spec.name: spec for spec in specs}
        self._available = lambda: credit.available
        self._options = ReadOptions(speed, frame_ms, start_ns, clock or Clock())
        self._stop = stop
        self._parts: dict[str, SourcePartition] = {}

    def list_parts(self) -> list[str]:
        """Stream ids, sorted."""
        return sorted(self._specs)

    def build_part(
        self, step_id: str, for_part: str, resume_state: State | None
    ) -> SourcePartition:
        """The partition of one stream; nothing is opened yet."""
        del step_id
        spec = self._specs[for_part]

        def build(state: State | None) -> Reader:
            module, _, name = SOURCES[spec.scheme].partition(":")
            reader: type[Reader] = getattr(import_module(module), name)
            return reader(spec.name, spec.target, self._options, state)

        part = SourcePartition(
            spec.name, build, self._options, self._available, self._stop, resume_state
        )
        self._parts[for_part] = part
        return part

    def progress(self) -> list[Progress]:
        """How far each stream is. May read file headers: call it beside the flow's thread."""
        return [part.progress() for _, part in sorted(self._parts.items())]


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
    return _UNFIT.sub("_", name)


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
