"""Why nothing is shown: what was heard and led to no finding, counted a stream and reason.

A spell is a run of windows of one stream that got no vector for one reason, or of sounds that did
not come back so far. Few other windows between them do not end it, so that a stream that goes back
and forth is still one count. Invariant: memory is bounded; a window counts once, however many
models were asked for.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from operators.records import Embedding, Verdict

Cause: TypeAlias = tuple[str, str]
"""What became of windows ("gated", ...), and the reason word, "" where there is none."""

ONCE: Cause = ("once", "")
"""Sounds heard once since anything was found in their stream."""
_WRONG = ("shed", "dead")
_ENDED_AFTER = 20
"""Other windows of the stream that end a spell."""
_LONG = 20
"""Windows that make a spell worth a line when it is over."""
_STREAMS_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Spell:
    """Windows without a vector, or sounds heard once.

    Attributes:
        stream: whose, where it is one stream's; "" for several.
        since, latest: moments of the first and the last.
    """

    cause: Cause
    count: int
    streams: int
    stream: str
    since: str
    latest: str

    @property
    def wrong(self) -> bool:
        """It ought not to be."""
        return self.cause[0] in _WRONG


@dataclass(slots=True)
class _Open:
    """A spell that goes on: ``first`` and ``last`` number what was heard of all streams."""

    space: str
    since: str
    first: int
    last: int = 0
    latest: str = ""
    count: int = 0
    others: int = 0


class Spells:
    """The open spells of every stream."""

    def __init__(self) -> None:
        self._streams: dict[str, dict[Cause, _Open]] = {}
        self._reasons: dict[str, Counter[str]] = {outcome: Counter() for outcome in _WRONG}
        self._number = 0

    def window(self, item: Embedding | Verdict, moment: str) -> list[Spell]:
        """Count one verdict; the spells that are over with it and worth a line."""
        spells = self._of(item.stream)
        if isinstance(item, Embedding):
            return list(_end(item.stream, spells, list(spells)))
        if item.verdict in self._reasons and item.reason:
            self._reasons[item.verdict][item.reason] += 1
        cause = (item.verdict, item.reason)
        self._count(spells, cause, moment, item.space)
        return list(_end(item.stream, spells, [each for each in spells if each != cause]))

    def once(self, name: str, moment: str) -> None:
        """A sound was heard that had not been heard before."""
        self._count(self._of(name), ONCE, moment, "")

    def found(self, name: str) -> None:
        """Something was found in a stream: what came once is told no longer."""
        self._of(name).pop(ONCE, None)

    def open(self) -> list[Spell]:
        """One for each cause, all streams together; what ought not to be comes first."""
        merged: dict[Cause, list[tuple[str, _Open]]] = {}
        for name, spells in self._streams.items():
            for cause, spell in spells.items():
                merged.setdefault(cause, []).append((name, spell))
        told = [_told(cause, parts) for cause, parts in merged.items()]
        return sorted(told, key=lambda each: (not each.wrong, each.cause == ONCE, -each.count))

    def reasons(self) -> dict[str, str]:
        """Outcome that ought not to be -> its most frequent reason."""
        return {key: kept.most_common(1)[0][0] for key, kept in self._reasons.items() if kept}

    def _of(self, name: str) -> dict[Cause, _Open]:
        if name not in self._streams and len(self._streams) >= _STREAMS_KEPT:
            self._streams.pop(next(iter(self._streams)))
        return self._streams.setdefault(name, {})

    def _count(self, spells: dict[Cause, _Open], cause: Cause, moment: str, space: str) -> None:
        self._number += 1
        spell = spells.setdefault(cause, _Open(space, moment, self._number))
        spell.others = 0
        if space == spell.space:  # another lane says the same of the same window
            spell.count += 1
            spell.last, spell.latest = self._number, moment


def _end(name: str, spells: dict[Cause, _Open], others: list[Cause]) -> Iterator[Spell]:
    for cause in others:
        spell = spells[cause]
        spell.others += cause != ONCE
        if spell.others >= _ENDED_AFTER:
            del spells[cause]
            told = _told(cause, [(name, spell)])
            if told.wrong or told.count >= _LONG:
                yield told


def _told(cause: Cause, parts: list[tuple[str, _Open]]) -> Spell:
    return Spell(
        cause=cause,
        count=sum(spell.count for _, spell in parts),
        streams=len(parts),
        stream=parts[0][0] if len(parts) == 1 else "",
        since=min((spell for _, spell in parts), key=lambda spell: spell.first).since,
        latest=max((spell for _, spell in parts), key=lambda spell: spell.last).latest,
    )
