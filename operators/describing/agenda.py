"""Which patterns are due to be heard by the model: pure rules in time of the streams.

A pattern is due once it is confirmed, until it has been described, and again after a while; its
exemplar is its latest occurrence. Whoever took another pattern in counts as described with it.

Invariant: at most ``patterns`` are known, those that were heard last. No clock, no audio.
"""

from dataclasses import dataclass
from typing import Any

from operators.records import Occurrence, Pattern
from operators.revision import Revision

_MOVED_NS = 200_000_000
"""What began by less than this before the latest occurrence is that one, corrected."""


@dataclass(slots=True)
class _Known:
    confirmed: bool = False
    described_ns: int | None = None
    failed_ns: int | None = None
    latest: Occurrence | None = None
    kept_ns: int | None = None
    clip: str = ""


class Agenda:
    """What is known of each pattern; times are event times of occurrences."""

    def __init__(self, *, every_s: float, retry_s: float, patterns: int) -> None:
        self._every_ns = round(every_s * 1e9)
        self._retry_ns = round(retry_s * 1e9)
        self._patterns = patterns
        self._known: dict[str, _Known] = {}
        self.forgotten = 0

    def heard(self, occurrence: Occurrence) -> Occurrence | None:
        """A pattern was heard; gives the occurrence to be described, if it is due."""
        known = self._of(occurrence.pattern)
        if known.latest is None or occurrence.start_ns > known.latest.start_ns - _MOVED_NS:
            known.latest = occurrence
        return self._due(known)

    def changed(self, pattern: Pattern) -> Occurrence | None:
        """A pattern's state changed; gives the occurrence to be described, if it is due."""
        if pattern.status == "confirmed":
            known = self._of(pattern.pattern)
            known.confirmed = True
            return self._due(known)
        if pattern.status in ("merged", "retired"):
            gone = self._known.pop(pattern.pattern, None)
            if gone is not None and pattern.into:
                into = self._of(pattern.into)
                if into.described_ns is None:
                    into.described_ns = gone.described_ns
        return None

    def missed(self, occurrence: Occurrence) -> None:
        """Nothing comes of this occurrence: the pattern has to be heard again."""
        known = self._known.get(occurrence.pattern)
        if known is not None and known.latest is occurrence:
            known.latest = None

    def taken_back(self, revision: Revision) -> None:
        """An occurrence is gone: if it was the latest, the pattern has to be heard again."""
        known = self._known.get(revision.pattern_from)
        if known is not None and known.latest is not None and known.latest.key == revision.gone:
            known.latest = None

    def described(self, occurrence: Occurrence) -> None:
        """The pattern was described, or what it sounds like was kept."""
        if (known := self._known.get(occurrence.pattern)) is not None:
            known.described_ns, known.failed_ns = occurrence.start_ns, None

    def clip_due(self, occurrence: Occurrence) -> bool:
        """Whether a clip of this occurrence is to be kept: as seldom as a pattern is described.

        What waits long for words is heard again and again, and need not be kept each time.
        """
        known = self._known.get(occurrence.pattern)
        if known is None or known.kept_ns is None:
            return True
        return occurrence.start_ns - known.kept_ns >= max(self._every_ns, 1)

    def kept(self, occurrence: Occurrence, clip: str) -> None:
        """A clip of it was kept in this file."""
        if (known := self._known.get(occurrence.pattern)) is not None:
            known.kept_ns, known.clip = occurrence.start_ns, clip

    def clip_of(self, occurrence: Occurrence) -> str:
        """The file that this very occurrence was kept in; "" where there is none."""
        known = self._known.get(occurrence.pattern)
        return known.clip if known and known.kept_ns == occurrence.start_ns else ""

    def failed(self, occurrence: Occurrence) -> None:
        """It could not be described."""
        if (known := self._known.get(occurrence.pattern)) is not None:
            known.failed_ns = occurrence.start_ns

    def snapshot(self) -> list[list[Any]]:
        """Plain state, in the order of hearing.

        Exemplars are left out: their audio is not kept. So are clips: after a restart those of
        patterns that still wait for words are kept once more, in the same place.
        """
        return [
            [pattern, known.confirmed, known.described_ns, known.failed_ns]
            for pattern, known in self._known.items()
        ]

    def restore(self, state: list[list[Any]], *, describe_again: bool) -> None:
        """Take over a snapshot; with ``describe_again`` (another model) nothing is described."""
        self._known = {
            pattern: _Known(confirmed, *((None, None) if describe_again else (described, failed)))
            for pattern, confirmed, described, failed in state
        }

    def _of(self, pattern: str) -> _Known:
        """What is known of a pattern, moved behind all others; the first goes if need be."""
        known = self._known.pop(pattern, None) or _Known()
        if len(self._known) >= self._patterns:
            del self._known[next(iter(self._known))]
            self.forgotten += 1
        self._known[pattern] = known
        return known

    def _due(self, known: _Known) -> Occurrence | None:
        if not known.confirmed or known.latest is None:
            return None
        now_ns = known.latest.start_ns
        for since_ns, wait_ns in (
            (known.described_ns, self._every_ns),
            (known.failed_ns, self._retry_ns),
        ):
            if since_ns is not None and now_ns - since_ns < max(wait_ns, 1):
                return None
        return known.latest
