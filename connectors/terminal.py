"""People at a terminal and scripts behind a pipe: records as JSON lines or as readable ones.

Invariant: with JSON, stdout holds one object a line and nothing else; everything else a person
sees goes to stderr. A reader that went away (``| head``) asks the run to stop, without an error.
"""

import json
from collections.abc import Callable
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape

from connectors import wording
from connectors.events import Event, as_event
from connectors.hindsight import Hindsight, LookBack
from connectors.stderr import silence
from connectors.wording import describe
from operators.rates import RateChange
from operators.records import (
    BreakerTransition,
    Embedding,
    Failure,
    Occurrence,
    Pattern,
    Relation,
    RungChange,
    SourceState,
    Verdict,
    to_s,
)
from operators.remarks import Description, Tag
from operators.revision import Revision

_NAMES_KEPT = 4_096


class Announcements:
    """Decides what is worth a line: every pattern once a status, windows only when asked for."""

    def __init__(self, *, windows: bool) -> None:
        self._windows = windows
        self._status: dict[str, str] = {}

    def wanted(self, item: object) -> bool:
        """Whether this record is announced (state: the last status of each pattern)."""
        if isinstance(item, Embedding | Verdict | Tag):
            return self._windows
        if isinstance(item, Pattern):
            if self._status.get(item.pattern) == item.status:
                return False
            if len(self._status) >= _NAMES_KEPT:
                self._status.pop(next(iter(self._status)))
            self._status[item.pattern] = item.status
        return True


class PipedConsole(Console):
    """A console whose reader may go away: then ``gone`` is called once, and nothing is raised."""

    def __init__(self, *, stderr: bool = False, gone: Callable[[], None]) -> None:
        super().__init__(stderr=stderr)
        self._gone = gone

    def on_broken_pipe(self) -> None:
        """Nobody reads any more."""
        self.quiet = True
        silence(self.file.fileno())
        self._gone()


class JsonLines:
    """One JSON object a line on ``out``, in ASCII, so that any terminal can take it.

    Attributes:
        lost: why ``out`` takes nothing more (a full disk), where that was not its reader's wish.
    """

    def __init__(
        self, out: TextIO, *, windows: bool, gone: Callable[[], None], quiet: bool = False
    ) -> None:
        self._out = out
        self._quiet = quiet
        self._announcements = Announcements(windows=windows)
        self._gone = gone
        self._open = True
        self.lost: OSError | None = None

    def __call__(self, item: object) -> None:
        """Print a record, if it is announced."""
        if self._quiet and not _went_wrong(item):
            return
        if self._announcements.wanted(item) and (event := as_event(item)) is not None:
            self.event(event)

    def event(self, event: Event) -> None:
        """Print an event that is no record (score, summary)."""
        if not self._open:
            return
        try:
            self._out.write(json.dumps(event, allow_nan=False) + "\n")
            self._out.flush()
        except OSError as error:
            self._open = False
            self.lost = None if isinstance(error, BrokenPipeError) else error
            silence(self._out.fileno())
            self._gone()


class ReadableLines:
    """A line a finding for a person: when, what, how sure; a line a look back at them."""

    def __init__(self, console: Console, *, windows: bool, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._announcements = Announcements(windows=windows)
        self._heard: dict[str, int] = {}
        self._hindsight = Hindsight()
        self._lines: dict[type, Callable[[Any], str]] = {
            Occurrence: self._occurrence,
            Pattern: _pattern,
            LookBack: lambda item: (
                f"{_where(item.stream, item.at_s)}  [dim]{wording.look_back(item)}[/]"
            ),
            Relation: lambda item: f"{_where(item.stream, item.last_s)}  {describe(item)}",
            RateChange: _rate,
            Failure: lambda item: f"{_where(item.stream, item.start_s)}  {wording.failure(item)}",
            BreakerTransition: wording.breaker,
            RungChange: wording.rung,
            Description: _description,
            SourceState: lambda item: f"[dim]{escape(item.stream)}[/] {wording.source(item)}",
            Verdict: lambda item: _window(item, wording.window(item)),
            Embedding: lambda item: _window(item, wording.window(item)),
            Tag: lambda item: _window(item, wording.tag(item)),
        }

    def __call__(self, item: object) -> None:
        """Print a record, if it is announced."""
        if isinstance(item, Revision):  # what it adds is not shown by itself
            self._count(item.pattern, 1)
            self._count(item.pattern_from, -1)
        self._print(self._hindsight.take(item))

    def close(self) -> None:
        """Nothing follows: print what was held back."""
        self._print(self._hindsight.flush())

    def _print(self, items: list[object]) -> None:
        for item in items:
            self._print_one(item)

    def _print_one(self, item: object) -> None:
        make = self._lines.get(type(item))
        if make and self._announcements.wanted(item):
            line = make(item)
            if line and (not self._quiet or _went_wrong(item)):
                self._console.print(line, highlight=False, soft_wrap=True)

    def event(self, event: Event) -> None:
        """Events that are no records are shown as tables by the command line."""

    def _occurrence(self, item: Occurrence) -> str:
        count = self._count(item.pattern, 1)
        late = "  [dim]late[/]" if item.backfilled else ""
        return (
            f"{_where(item.stream, item.start_s)}  [cyan]{item.pattern}[/]"
            f"  no. {count}  score {item.score:.2f}{late}"
        )

    def _count(self, pattern: str, by: int) -> int:
        """How often a pattern was heard in this run, as far as is known now."""
        if not pattern:
            return 0
        count = max(0, self._heard.pop(pattern, 0) + by)
        if len(self._heard) >= _NAMES_KEPT:
            self._heard.pop(next(iter(self._heard)))
        self._heard[pattern] = count
        return count


def _pattern(item: Pattern) -> str:
    where = _where(item.stream, item.last_s)
    return f"{where}  {wording.outcome(item, item.pattern, item.into)}"


def _rate(item: RateChange) -> str:
    where = _where(item.stream, item.at_s)
    return f"{where}  [cyan]{item.pattern}[/]  {wording.rate(item)}"


def _description(item: Description) -> str:
    where = _where(item.stream, item.start_s)
    return f"{where}  [cyan]{item.pattern}[/]  {wording.description(item)}"


def _went_wrong(item: object) -> bool:
    unwell = isinstance(item, SourceState) and item.state in ("degraded", "lagging")
    return unwell or isinstance(item, Failure)


def _window(item: Embedding | Verdict | Tag, said: str) -> str:
    return f"[dim]{_where(item.stream, to_s(item.index))}  {said}[/]"


def _where(stream: str, at_s: float) -> str:
    return f"[dim]{escape(stream)}[/] {wording.clock(at_s)}"
