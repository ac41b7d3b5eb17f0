"""Which files of a watched folder are whole, and which one is heard next.

Nothing tells a file that is still being written from one that is done, so it is waited until its
size and its time of change have stood still for a while. A file that was last changed that long
ago when it is first seen is whole at once. What is being written under a temporary name is left
alone until it gets its final one.

Invariants: pure, with all times given; each file is heard once, where a file is known by its
name, size and time of change; of the files that are whole the first by name is next. A
file that vanished and came back as it was (a disk was taken out) is not heard again; another file
under the name of one that was seen to vanish is.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

SETTLE_S = 2.0
EMPTY_S = 60.0
"""After this a file of 0 bytes is worth a word; it is still waited for."""
MOST_VANISHED = 1_000
"""Files remembered after they vanished, besides those that went at once (with their disk)."""
TEMPORARY_SUFFIXES = (".part", ".tmp", ".crdownload", "~")
VERSION = 1

Verdict: TypeAlias = Literal["whole", "changed", "empty"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file is known besides its name: bytes, and when they were last changed."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Look:
    """What is new in a folder since the look before.

    Attributes:
        began_ns, ended_ns: when it was listed, by a steady clock: listing may take seconds.
        wall_ns: when that began, by the clock that dates files.
        seen: name -> stamp of files that are new, or not as they were.
        gone: names that were there and are no longer.
    """

    began_ns: int
    ended_ns: int
    wall_ns: int
    seen: Mapping[str, Stamp] = field(default_factory=dict)
    gone: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be done about one file.

    Attributes:
        verdict: "whole": hear it; "changed": it is not what was heard any more, and is not heard
            again; "empty": it has stayed at 0 bytes for a minute, and is waited for.
    """

    verdict: Verdict
    name: str


_NOTHING: Mapping[str, Any] = MappingProxyType(
    {"version": VERSION, "heard": (), "vanished": (), "changed": (), "to_say": ()}
)


@dataclass(slots=True)
class _Waiting:
    stamp: Stamp
    since_ns: int
    said: bool = False


class Settling:
    """Told what is seen of a folder, says which files are whole, one at a time.

    Args:
        settle_s: how long a file must have stood still.
        state: what ``snapshot`` returned.

    Raises:
        ValueError: ``state`` was written by another version.
    """

    def __init__(self, settle_s: float = SETTLE_S, state: Mapping[str, Any] | None = None) -> None:
        state = state or _NOTHING
        if state["version"] != VERSION:
            raise ValueError(f"a state of version {state['version']}, not {VERSION}")
        self._settle_ns = round(settle_s * 1e9)
        self._heard = {name: Stamp(size, at) for name, size, at in state["heard"]}
        self._vanished = {name: Stamp(size, at) for name, size, at in state["vanished"]}
        self._changed: set[str] = set(state["changed"])
        self._waiting: dict[str, _Waiting] = {}
        self._whole: dict[str, Stamp] = {}
        self._order: list[str] = []
        self._to_say = deque(Finding("changed", name) for name in state["to_say"])
        self._state: dict[str, Any] | None = None

    @property
    def heard(self) -> dict[str, Stamp]:
        """The files heard that are there, as they were seen last: what a look is new against."""
        return dict(self._heard)

    def show(self, look: Look) -> None:
        """Take in what is seen now."""
        self._lose(look.gone)
        for name in sorted(look.seen):
            if not temporary(name):
                self._see(name, look.seen[name], look)
        for name, waiting in sorted(self._waiting.items()):
            still_ns = look.began_ns - waiting.since_ns
            if waiting.stamp.size and still_ns >= self._settle_ns:
                self._settle(name, waiting.stamp)
            elif not waiting.stamp.size and not waiting.said and still_ns >= EMPTY_S * 1e9:
                waiting.said = True
                self._to_say.append(Finding("empty", name))

    def next(self) -> Finding | None:
        """What is to be said, in the order it was noticed; else the whole file first by name."""
        if self._to_say:
            self._state = None
            return self._to_say.popleft()
        while self._order:
            name = heappop(self._order)
            if name in self._whole:
                self._heard[name] = self._whole.pop(name)
                self._state = None
                return Finding("whole", name)
        return None

    def snapshot(self) -> dict[str, Any]:
        """The files heard, plain and versioned; what waits is found again by looking."""
        if self._state is None:
            self._state = {
                "version": VERSION,
                "heard": _plain(self._heard),
                "vanished": _plain(self._vanished),
                "changed": sorted(self._changed),
                "to_say": [said.name for said in self._to_say if said.verdict == "changed"],
            }
        return self._state

    def _see(self, name: str, stamp: Stamp, look: Look) -> None:
        if name in self._vanished:
            self._return(name, stamp)
        if name in self._heard:
            self._compare(name, stamp)
        elif (waiting := self._waiting.get(name)) is not None:
            waiting.stamp, waiting.since_ns = stamp, look.ended_ns
        elif self._whole.pop(name, None) is not None:
            self._waiting[name] = _Waiting(stamp, look.ended_ns)
        elif stamp.size and look.wall_ns - stamp.mtime_ns >= self._settle_ns:
            self._settle(name, stamp)
        else:
            self._waiting[name] = _Waiting(stamp, look.ended_ns)

    def _return(self, name: str, stamp: Stamp) -> None:
        """A name that vanished is there again: with the file that was heard, or with another."""
        if self._vanished.pop(name) == stamp:
            self._heard[name] = stamp
        else:
            self._changed.discard(name)
        self._state = None

    def _compare(self, name: str, stamp: Stamp) -> None:
        if self._heard[name] == stamp:
            return
        self._heard[name] = stamp
        self._state = None
        if name not in self._changed:
            self._changed.add(name)
            self._to_say.append(Finding("changed", name))

    def _settle(self, name: str, stamp: Stamp) -> None:
        self._waiting.pop(name, None)
        self._whole[name] = stamp
        heappush(self._order, name)

    def _lose(self, names: Collection[str]) -> None:
        for name in names:
            self._waiting.pop(name, None)
            self._whole.pop(name, None)
        lost = {name: self._heard.pop(name) for name in sorted(names) if name in self._heard}
        if not lost:
            return
        for name in list(self._vanished)[: max(0, len(self._vanished) - MOST_VANISHED)]:
            del self._vanished[name]
            self._changed.discard(name)
        self._vanished |= lost
        self._state = None


def temporary(name: str) -> bool:
    """Whether a name says that its file is not what it will be."""
    return name.startswith(".") or name.lower().endswith(TEMPORARY_SUFFIXES)


def _plain(files: Mapping[str, Stamp]) -> list[list[str | int]]:
    return [[name, stamp.size, stamp.mtime_ns] for name, stamp in files.items()]
