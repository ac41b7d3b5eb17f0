"""One source as a Bytewax partition: credit, pacing, resuming, and no exception ever.

Invariant: a source that was heard to its end delivers nothing more, in this run or a resumed one;
one that failed is tried again. It knows readers, not what they read.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bytewax.inputs import StatefulSourcePartition

from connectors.chunks import ReadOptions, State
from connectors.reader import Item, Progress, Reader
from operators.records import Failure, to_s

CLOSE_S = 5.0
LONGEST_WAIT_NS = 20_000_000
"""A partition that sleeps longer stalls the others at the end of an epoch."""
ASK_AGAIN_NS = 1_000_000
VERSION = 1


class SourcePartition(StatefulSourcePartition[Item, State]):
    """Delivers one reader's items to the flow.

    Args:
        stream: name of the source.
        build: makes the reader from its resume state; called at the first batch.
        options: clocks and the event time of position 0.
        may_deliver: whether there is room for what a source delivers; told whether it is live.
        stop: once true the partition ends, not its stream.
        state: what ``snapshot`` returned in an earlier run.
    """

    def __init__(
        self,
        stream: str,
        build: Callable[[State | None], Reader],
        options: ReadOptions,
        may_deliver: Callable[[bool], bool],
        stop: Callable[[], bool],
        state: State | None,
    ) -> None:
        self._stream = stream
        self._build = build
        self._options = options
        self._may_deliver = may_deliver
        self._stop = stop
        self._state: State = state or {"version": VERSION, "done": False, "reader": None}
        self._reader: Reader | None = None
        self._done: bool = self._state.get("done") is True
        self._finished = self._done
        self._closing: threading.Thread | None = None
        self._stopped = False
        self._wait_ns = 0

    def next_batch(self) -> list[Item]:
        """Items ready now; raises StopIteration at the end of the stream or once stopped."""
        if self._done or self._stopped or (self._reader is None and self._stop()):
            raise StopIteration
        try:
            items = self._end(self._reader) if self._reader and self._stop() else self._ask()
        except Exception as error:  # whatever it is: the other sources must go on
            items = self._give_up(error)
        if self._done and self._reader is not None:
            self._release(self._reader)
        return items

    def next_awake(self) -> datetime:
        """When the reader has something again, at most 20 ms ahead."""
        wait_ns = min(self._wait_ns, LONGEST_WAIT_NS)
        now = datetime.fromtimestamp(self._options.clock.wall_ns() / 1e9, UTC)
        return now + timedelta(microseconds=wait_ns // 1000)

    def snapshot(self) -> State:
        """Versioned plain state: whether nothing is left to hear, and the reader's own state.

        A source that failed is not done for good: a later run tries again.
        """
        if self._reader is None:
            return {**self._state, "done": self._finished}
        self._finished = self._reader.finished
        began = self._reader.position or not self._done  # else a later run begins anew
        state = self._reader.snapshot() if began else None
        return {"version": VERSION, "done": self._finished, "reader": state}

    def close(self) -> None:
        """Close the reader."""
        if self._closing is not None:
            self._closing.join(CLOSE_S)
        elif self._reader is not None:
            self._reader.close()

    def _release(self, reader: Reader) -> None:
        """Close the reader while others go on: a driver that takes its time holds up nobody."""
        if self._closing is None:
            self._closing = threading.Thread(target=reader.close, name="closing", daemon=True)
            self._closing.start()

    def progress(self) -> Progress:
        """How far the stream is."""
        reader = self._reader
        if reader is None:
            return Progress(self._stream, 0.0, None, self._done)
        return Progress(
            self._stream, to_s(reader.position), reader.total_s, self._done, reader.lag_s
        )

    @property
    def lag_s(self) -> float | None:
        """Distance to the newest audio there is, where the source knows it."""
        return self._reader.lag_s if self._reader is not None and not self._done else None

    def _ask(self) -> list[Item]:
        if self._reader is None:
            if self._state["version"] != VERSION:
                raise ValueError(f"a resume state of version {self._state['version']}")
            self._reader = self._build(self._state["reader"])
        if not self._may_deliver(self._reader.live):
            self._wait_ns = ASK_AGAIN_NS
            return []
        items = self._reader.next()
        self._wait_ns = self._reader.wait_ns
        self._done = self._reader.done
        return items

    def _end(self, reader: Reader) -> list[Item]:
        self._stopped = True
        return reader.conclude()

    def _give_up(self, error: Exception) -> list[Item]:
        self._done = True
        position = self._reader.position if self._reader is not None else 0
        said = " ".join(f"{type(error).__name__}: {error}".split())
        failure = Failure(
            self._stream,
            "source",
            "error",
            f"{self._stream}: given up at {to_s(position):.3f} s ({said})",
            "report it with this line; if the run was resumed, a new recovery folder starts afresh",
            to_s(position),
            fatal_source=True,
        )
        try:
            return [failure, *(self._reader.give_up() if self._reader is not None else [])]
        except Exception:  # it is beyond saying even that
            return [failure]
