"""The chunks of a source as frames: one strand a stream, in order, at the pace asked for.

Invariant: everything the source returned has reached its strand before a call returns, so that
the source's snapshot and the strands' together say where to go on. Results do not depend on the
length of a frame: live audio is delivered as it comes, files in frames of ``frame_ms``.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from connectors.chunks import Break, ReadOptions, Resume, Source, State
from connectors.cut import Over
from connectors.pace import Pace
from connectors.reader import Item
from connectors.resample import Span
from connectors.strand import Strand
from operators.records import ANALYSIS_RATE_HZ, Failure, Frame, SourceState

MOST_FRAMES = 10
"""Frames in a batch: streams interleave, and credit is asked for often enough."""
BUDGET_NS = 3_000_000
"""Time after which a call returns with what it has."""
MOST_STREAMS = 4_096
"""Of one source: each has a resampler and, downstream, a detector."""
MOST_ASKED = 200
"""Times a source that is being stopped is asked for what it has already."""
MOST_REFUSALS = 64
"""Streams that are said to be left out."""
VERSION = 2
Build: TypeAlias = Callable[[str, str, ReadOptions, Resume | None], Source]


class Framed:
    """Frames of one source (see ``connectors.reader.Reader``).

    Args:
        build: the class of the source.
        name: of the source: the stream, or what its streams begin with.
        target: what the source is given.
        options: frame length, pace, clocks.
        state: what ``snapshot`` returned in an earlier run.
        owners: stream -> the source it comes from, shared by all sources of a run.

    Raises:
        ValueError: ``state`` was written by another version.
    """

    def __init__(
        self,
        build: Build,
        name: str,
        target: str,
        options: ReadOptions,
        state: State | None = None,
        owners: dict[str, str] | None = None,
    ) -> None:
        if state is not None and state.get("version") != VERSION:
            raise ValueError(f"a resume state of version {state.get('version')}, not {VERSION}")
        self._name = name
        self._owners = owners if owners is not None else {}
        self._options = options
        self._length = max(1, round(options.frame_ms * ANALYSIS_RATE_HZ / 1000))
        self._strands = {
            stream: Strand(stream, self._length, own)
            for stream, own in (state["strands"] if state else {}).items()
        }
        for stream in (name, *self._strands):
            self._owners.setdefault(stream, name)
        self._paces: dict[str, Pace] = {}
        self._refused: set[tuple[str, str]] = set()
        self._source = build(name, target, options, self._resume(state))
        self._busy: dict[str, Strand] = {}
        self._ended: set[str] = set()
        self.live = self._source.live
        self.wait_ns = 0
        self.done = self._broken = False

    @property
    def position(self) -> int:
        """Samples delivered, gaps included, all streams together."""
        return sum(strand.cutter.position for strand in list(self._strands.values()))

    @property
    def total_s(self) -> float | None:
        """Length of all there is, if the source knows it."""
        return self._source.total_s

    @property
    def lag_s(self) -> float | None:
        """Distance to the newest audio there is, if the source knows it."""
        return self._source.lag_s

    def next(self) -> list[Item]:
        """Up to ten frames and whatever failed between them."""
        items: list[Item] = []
        steady_ns = self._options.clock.steady_ns
        give_up_ns = steady_ns() + BUDGET_NS
        self.wait_ns = 0
        while len(items) < MOST_FRAMES:
            before = len(items)
            waits_ns = self._deliver(items)
            if len(items) == before:
                if waits_ns:  # audio is there whose time has not come
                    self.wait_ns = waits_ns
                    break
                if self._source.done:
                    items += self._conclude()
                    self.done = True
                    break
                if not self._ask(items):
                    break
            if steady_ns() > give_up_ns:
                break
        return items

    def conclude(self) -> list[Item]:
        """The run is being stopped: what no later run can go on with is heard out."""
        if self._source.resumes or self.done:
            return []
        items: list[Item] = []
        for _ in range(MOST_ASKED):  # what was captured already
            if not self._ask(items):
                break
        else:
            detail = f"{self._name}: stopped before all that was captured had been heard"
            remedy = "it was more than is heard while a run is being stopped; stop the sender first"
            items.append(Failure(self._name, "source", "stopped", detail, remedy, 0.0))
        return [*items, *self._conclude()]

    def give_up(self) -> list[Item]:
        """Nothing more can be read: the end of what was heard so far."""
        self.done = self._broken = True
        return self._conclude()

    @property
    def finished(self) -> bool:
        """There is nothing that a later run could hear: a source that ends was heard."""
        heard = any(strand.cutter.position for strand in self._strands.values())
        return self.done and self._source.ends and heard and not self._broken

    def snapshot(self) -> State:
        """Where to go on: the source's own state, and that of each strand."""
        return {
            "version": VERSION,
            "source": self._source.snapshot(),
            "strands": {name: strand.snapshot() for name, strand in self._strands.items()},
        }

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _resume(self, state: State | None) -> Resume | None:
        if state is None:
            return None
        marks = {name: strand.source_mark for name, strand in self._strands.items()}
        return Resume(
            state["source"],
            {name: mark for name, mark in marks.items() if mark is not None},
            {name: strand.position_ns for name, strand in self._strands.items()},
        )

    def _ask(self, items: list[Item]) -> bool:
        """Take what the source has; False when it has nothing now."""
        taken = self._source.next()
        for item in taken:
            if isinstance(item, SourceState):
                items.append(item)
            elif (strand := self._strand(item.stream, items)) is not None:
                strand.take(item)
                self._busy[item.stream] = strand
        self.wait_ns = self._source.wait_ns
        if self.wait_ns:  # nothing more for now: what is there need not wait for a full frame
            self._deliver(items, flush=True)
        return bool(taken) or not self.wait_ns

    def _strand(self, stream: str, items: list[Item]) -> Strand | None:
        """The strand of a stream; None where there can be none, which is said once."""
        strand = self._strands.get(stream)
        if strand is not None:
            return strand
        owner = self._owners.setdefault(stream, self._name)
        if owner != self._name:
            reason, detail = "two_places", f"'{stream}' is a stream of {owner}, too"
            remedy = "left out here; give this source a name of its own: name=TARGET"
        elif len(self._strands) >= MOST_STREAMS:
            reason, detail = "too_many_streams", f"'{stream}': there are {MOST_STREAMS} already"
            remedy = "later ones are left out; name one by ?stream=, or share the topic (--process)"
        else:
            strand = self._strands[stream] = Strand(stream, self._length)
            return strand
        if (reason, stream) not in self._refused and len(self._refused) < MOST_REFUSALS:
            self._refused.add((reason, stream))
            items.append(
                Failure(self._name, "source", reason, f"{self._name}: {detail}", remedy, 0.0)
            )
        return None

    def _deliver(self, items: list[Item], *, flush: bool = False) -> int:
        """Move what is ready from the strands; nanoseconds until the next frame is due, or 0."""
        waits_ns = 0
        for stream, strand in list(self._busy.items()):
            waits_ns = max(waits_ns, self._drain(stream, strand, items, flush=flush))
            if len(items) >= MOST_FRAMES and not flush:
                break
        return waits_ns

    def _drain(self, stream: str, strand: Strand, items: list[Item], *, flush: bool) -> int:
        pace = self._pace(stream, strand)
        pace.begin()
        while (ready := strand.cutter.ready(flush=flush)) is not None:
            if isinstance(ready, int) and not pace.due(ready):
                return pace.wait_ns
            items += self._items(strand, stream)
            if len(items) >= MOST_FRAMES and not flush:
                return 0
        self._busy.pop(stream, None)
        return 0

    def _items(self, strand: Strand, stream: str) -> list[Item]:
        piece = strand.cutter.take()
        if isinstance(piece, Failure):
            return [piece]
        if isinstance(piece, Over):
            self._ended.add(stream)
            ended = SourceState(stream, "ended", f"{stream}: over for the time being")
            return [*self._last(stream, strand), ended]
        self._ended.discard(stream)
        return [self._frame(stream, strand, piece)]

    def _conclude(self) -> list[Item]:
        """The end of every stream that has not ended, and of a file that held nothing."""
        items: list[Item] = []
        if not self._strands and self._source.ends:
            self._strands[self._name] = Strand(self._name, self._length)
        for stream, strand in self._strands.items():
            strand.take(Break(stream))
            while strand.cutter.ready(flush=True) is not None:
                items += self._items(strand, stream)
            if stream not in self._ended:
                self._ended.add(stream)
                items += self._last(stream, strand)
        return items

    def _pace(self, stream: str, strand: Strand) -> Pace:
        pace = self._paces.get(stream)
        if pace is None:
            speed = "max" if self.live else self._options.speed
            pace = Pace(speed, self._options.clock.steady_ns, strand.cutter.position)
            self._paces[stream] = pace
        return pace

    def _last(self, stream: str, strand: Strand) -> list[Item]:
        """The end of a stream; none where it has not begun and nobody knows when it would."""
        if strand.origin_ns is None and not self._source.ends:
            return []
        nothing = Span(strand.cutter.position, np.empty(0, np.float32))
        return [self._frame(stream, strand, nothing, last=True)]

    def _frame(self, stream: str, strand: Strand, span: Span, *, last: bool = False) -> Frame:
        known = strand.origin_ns
        return Frame(
            stream=stream,
            index=span.index,
            samples=span.samples,
            origin_ns=self._options.start_ns if known is None else known,
            last=last,
            delivered_ns=self._options.clock.wall_ns(),
            traceparent=strand.traceparent,
        )
