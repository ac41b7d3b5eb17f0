"""Which windows there are: one every hop, and one aligned on every onset.

The grid of hops is shifted by a stable hash of the stream id, so that many streams do not ask the
models at the same moment.

Invariant: a window is named once; an onset that falls on the grid makes that window an onset
window. It does not know audio or levels.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from operators.records import HOP_SAMPLES


def phase(stream: str, hop: int) -> int:
    """Position of the first window of a stream: 0 <= phase < ``hop`` samples, by stream id."""
    digest = hashlib.blake2b(stream.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % hop


@dataclass(frozen=True, slots=True)
class Cut:
    """A window to be cut at ``start``; ``onset``: it is aligned on one."""

    start: int
    onset: bool


class WindowGrid:
    """The windows still to come of one stretch of audio.

    Args:
        stream: id of the stream.
        window, hop: samples.
    """

    def __init__(self, stream: str, window: int, hop: int) -> None:
        self.window = window
        self._hop = hop
        self._phase = phase(stream, hop)
        self.begin(0)

    def begin(self, position: int) -> None:
        """A stretch of audio begins at ``position``."""
        self._begin = position
        steps = max(0, -(-(position - self._phase) // self._hop))
        self._next = self._phase + steps * self._hop
        self._onsets: list[int] = []
        self._hops = 0
        self._active = -1
        self._latest = -1

    @property
    def needs(self) -> int:
        """Audio before this position is in no window that is known so far."""
        return min([self._next, *self._onsets])

    def note(self, frame: int, active: bool, onsets: tuple[int, ...]) -> None:
        """One spectral frame was judged; ``onsets`` (frames) are known from now on."""
        if active:
            self._active = frame
        self._onsets.extend(onset * HOP_SAMPLES for onset in onsets)

    def heard(self, start: int) -> bool:
        """Something was active from ``start`` on, as far as frames have been judged."""
        return self._active * HOP_SAMPLES >= start

    def due(self, position: int) -> list[Cut]:
        """The windows complete at ``position``, by start; each is named once."""
        last = position - self.window
        cuts = {onset: True for onset in self._onsets if onset <= last}
        self._onsets = [onset for onset in self._onsets if onset > last]
        while self._next <= last:
            cuts.setdefault(self._next, False)
            self._next += self._hop
            self._hops += 1
        self._latest = max(cuts, default=self._latest)
        return [Cut(start, cuts[start]) for start in sorted(cuts)]

    def remainder(self, end: int, onset_min: int, hop_min: int) -> list[Cut]:
        """The windows of a stretch that ends at ``end`` without completing them.

        Every onset with ``onset_min`` samples after it has one, and a stretch too short for any
        window of the grid has one over its last ``window`` samples if it has ``hop_min`` of them.
        """
        cuts = {onset: True for onset in self._onsets if end - onset >= onset_min}
        start = max(self._begin, end - self.window)
        if not self._hops and end - self._begin >= hop_min and start != self._latest:
            cuts.setdefault(start, False)
        return [Cut(start, cuts[start]) for start in sorted(cuts)]

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data."""
        return {
            "version": 1,
            "begin": self._begin,
            "next": self._next,
            "onsets": list(self._onsets),
            "hops": self._hops,
            "active": self._active,
            "latest": self._latest,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what ``snapshot`` returned."""
        self._begin = state["begin"]
        self._next = state["next"]
        self._onsets = list(state["onsets"])
        self._hops = state["hops"]
        self._active = state["active"]
        self._latest = state["latest"]
