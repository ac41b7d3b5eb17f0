"""Where an earlier run stood in a topic: what to read again of which stream, and what not.

Each partition goes on at the smaller of where it stood and the marks of its streams; what lies
between belongs to the streams that have a mark there, and to them alone. A stream whose mark lies
further back than ``REPLAY_MESSAGES`` is not read again: it begins afresh where it is met again,
which is told. Mostly it was silent meanwhile; only reading all of that could tell.

Invariant: the answers depend on the resume state alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from connectors.chunks import Resume, Share, State
from connectors.kafka.keyed import streams_of
from connectors.kafka.moving import Moves
from connectors.kafka.options import Channels

VERSION: Final = 1
REPLAY_MESSAGES: Final = 50_000


class Resuming:
    """What one source goes on from.

    Args:
        name: of the source, for messages.
        prefix: of its streams' ids.
        share: of the partitions, now.
        channels: how streams are made of a key.
        resume: None for a first run.

    Attributes:
        seek: partition -> offset to read from.
        fresh: partition -> offset from which on every message counts.
        places: stream -> the partition it comes from.
        resumed: partitions were known to an earlier run.
        moves: of streams from one partition to another.

    Raises:
        ValueError: ``resume`` is of another version, or of another share.
    """

    def __init__(
        self, name: str, prefix: str, share: Share, channels: Channels, resume: Resume | None
    ) -> None:
        state = resume.source if resume is not None else {}
        self._check(name, share, state)
        self._share = share
        self.fresh = {int(p): int(offset) for p, offset in state.get("partitions", {}).items()}
        self.resumed = bool(self.fresh)
        self.moves = Moves(state, self.fresh)
        marks = resume.marks if resume is not None else {}
        self._marks = {one: mark for one, mark in marks.items() if self._in_reach(mark)}
        self._stale = {one: self._behind(mark) for one, mark in marks.items()}
        self._stale = {one: n for one, n in self._stale.items() if one not in self._marks}
        self._made = streams_of(marks, channels)
        self.keys = frozenset(
            stream.removeprefix(prefix).encode(errors="replace") for stream in self._made
        )
        self.seek = dict(self.fresh)
        for mark in self._marks.values():
            partition = mark["partition"]
            self.seek[partition] = min(self.seek[partition], mark["offset"])
        later = self.moves.later
        self.places = {
            stream: min((marks[one]["partition"] for one in names), key=lambda p: later.get(p, 0))
            for stream, names in self._made.items()
        }
        for stream, partition in self.places.items():
            after = self.moves.after(stream, partition)
            if after is not None and after[0] in self.fresh and self.marks_of(stream):
                self.seek[after[0]] = min(self.seek[after[0]], after[1])

    def marks_of(self, stream: str) -> Mapping[str, State]:
        """The marks of the streams that are made of one key."""
        names = self._made.get(stream, ())
        return {name: self._marks[name] for name in names if name in self._marks}

    def names_of(self, stream: str) -> Sequence[str]:
        """The streams that an earlier run made of one key."""
        return self._made.get(stream, ())

    def stale(self, stream: str) -> Iterable[tuple[str, int]]:
        """Streams made of one key that begin afresh, and how many messages back they ended."""
        names = self._made.get(stream, ())
        return [(name, self._stale[name]) for name in names if name in self._stale]

    def snapshot(self, offsets: Mapping[int, int]) -> State:
        """Plain state: partition -> offset before which nothing is to be heard for a first time."""
        known = self.fresh | {p: max(at, self.fresh.get(p, at)) for p, at in offsets.items()}
        return {
            "version": VERSION,
            "share": [self._share.index, self._share.count],
            "partitions": {str(p): at for p, at in sorted(known.items())},
            **self.moves.snapshot(),
        }

    def _check(self, name: str, share: Share, state: State) -> None:
        if state and state.get("version") != VERSION:
            raise ValueError(f"{name}: a resume state of version {state.get('version')}")
        index, count = state.get("share", (share.index, share.count))
        if (index, count) != (share.index, share.count):
            raise ValueError(
                f"{name}: the recovery folder belongs to share {index + 1} of {count} of the topic,"
                f" not {share.index + 1} of {share.count}; use the same shares, or a new folder"
            )

    def _behind(self, mark: State) -> int:
        offset = int(mark["offset"])
        return self.fresh.get(mark["partition"], offset) - offset

    def _in_reach(self, mark: State) -> bool:
        return mark["partition"] in self.fresh and self._behind(mark) <= REPLAY_MESSAGES
