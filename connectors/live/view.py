"""The live view on a terminal: findings scroll by and stay, below them a frame of how it is.

One thread draws, four times a second: what has come since then, and the frame, in one write. So
nobody else waits for the terminal, except that whoever hands over records does once too many lines
wait. Invariant: whatever ends the run, what stands above the frame stays, and the cursor is never
hidden for longer than a write.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType

from rich.console import Console, ConsoleOptions
from rich.control import Control
from rich.live import Live
from rich.live_render import LiveRender
from rich.segment import ControlType, Segment
from rich.text import Text

from connectors.events import Event
from connectors.live import typed
from connectors.live.aside import aside
from connectors.live.frame import opening, render
from connectors.live.glyphs import Glyphs, glyphs_of
from connectors.live.inputs import condition, ranked
from connectors.live.moments import Moments
from connectors.live.tail import Heard, Tail
from connectors.outlet import HURRY_S
from operators.vitals import SourceVitals, Vitals

PERIOD_S = 0.25
MOST_LINES = 1_000
"""Lines that may wait to be drawn."""
_LOOK_S = 0.1
_DRAWS_AN_ORDER = 12
_ONE_ROW_BACK = Control((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))

_log = logging.getLogger(__name__)


def possible(console: Console) -> bool:
    """Whether stdout is a terminal that can be drawn on."""
    return (
        console.is_terminal
        and console.is_interactive
        and not console.is_dumb_terminal
        and sys.stdout.isatty()
    )


class LiveView:
    """Watches a run from ``with`` to its end.

    Args:
        console: of the terminal.
        windows: give the verdict on every window a line, too.
        now_ns: wall clock, epoch nanoseconds.
        newlines: how often Enter was pressed since it was asked last.
        foreground: whether the terminal is ours to draw on.
    """

    def __init__(
        self,
        console: Console,
        *,
        windows: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
        newlines: Callable[[], int] = typed.newlines,
        foreground: Callable[[], bool] = typed.foreground,
    ) -> None:
        self._console = console
        self._newlines = newlines
        self._foreground = foreground
        self._resumed = threading.Event()
        glyphs = glyphs_of(console.encoding)
        self._tail = Tail(Moments(now_ns), glyphs, windows=windows)
        self._frame = _Frame(self._heard, glyphs)
        self._live = Live(
            self._frame,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._changed = threading.Condition()
        self._waiting: list[Text] = []
        self._left_out = 0
        self._closed = False
        self._gone = False
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._opened = ExitStack()

    @property
    def drawn(self) -> bool:
        """Everything was drawn and the frame taken away; if not, writing more would wait, too."""
        return not self._thread.is_alive()

    def __enter__(self) -> "LiveView":
        self._opened.enter_context(aside(self._put))
        self._opened.enter_context(typed.noticing(signal.SIGCONT, self._resumed))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(lambda: True)

    def __call__(self, item: object) -> None:
        """Take a record; waits while too many lines do."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MOST_LINES or self._closed)
            if not self._closed:
                self._add(self._tail.take(item))

    def event(self, event: Event) -> None:
        """Events that are no records are shown by the command line."""

    def say(self, doing: str) -> None:
        """What is being done until there are figures."""
        self._frame.doing = doing

    def print(self, line: str) -> None:
        """A line that stays."""
        self._put(line)

    def watch(self, vitals: Callable[[], Vitals]) -> None:
        """From here on there are figures."""
        self._frame.vitals = vitals

    def close(self, hurried: Callable[[], bool] = lambda: False) -> bool:
        """Draw what waits and take the frame away; may be called more than once.

        Args:
            hurried: asked while waiting: once true, at most ``HURRY_S`` more are waited.

        Returns:
            Whether everything was drawn.
        """
        with self._changed:
            if not self._closed:
                self._closed = True
                self._add(self._tail.flush())
                if self._left_out:
                    said = f"{self._left_out} lines of stderr were left out: the terminal took none"
                    self._add([self._tail.say(said)])
            self._changed.notify_all()
        left = round(HURRY_S / _LOOK_S)
        while self._thread.is_alive() and left:
            self._thread.join(_LOOK_S)
            left -= hurried()
        self._opened.close()
        return self.drawn

    def _put(self, line: str) -> None:
        with self._changed:
            if len(self._waiting) < MOST_LINES:
                self._add([self._tail.say(line)])
            else:
                self._left_out += 1

    def _add(self, lines: Iterable[Text]) -> None:
        self._waiting.extend(lines)
        if len(self._waiting) >= MOST_LINES // 2:
            self._changed.notify_all()

    def _heard(self) -> Heard:
        with self._changed:
            return self._tail.heard()

    def _run(self) -> None:
        self._try(self._start)
        done = False
        while not done:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or len(self._waiting) >= MOST_LINES // 2, PERIOD_S
                )
                lines, self._waiting = self._waiting, []
                latest = list(self._tail.lines)
                done = self._closed
                self._changed.notify_all()
            if not (self._foreground() or done):
                self._resumed.set()
                self._keep(lines)
            else:
                self._try(partial(self._draw, lines, latest))
        self._frame.over = True
        self._try(self._live.stop)

    def _try(self, draw: Callable[[], object]) -> None:
        """A terminal that was taken away is nothing to report; the run goes on without."""
        if self._gone:
            return
        try:
            draw()
        except OSError:
            self._gone = True
        except Exception:
            _log.debug("the live view could not be drawn", exc_info=True)

    def _start(self) -> None:
        self._live.start()
        self._console.show_cursor(True)  # so that it is seen even after kill -9

    def _keep(self, lines: list[Text]) -> None:
        """The terminal is somebody else's: what would be said waits, the latest of it."""
        with self._changed:
            self._waiting = [*lines, *self._waiting][-MOST_LINES // 2 :]

    def _draw(self, lines: list[Text], latest: list[Text]) -> None:
        if self._resumed.is_set():  # a shell wrote below the frame: it is drawn anew, further down
            self._resumed.clear()
            self._live._live_render = LiveRender(self._frame)
        width, height = self._frame.size = self._console.size
        with self._console:  # all of it in one write
            if self._frame.width > width:
                lines = _afresh(lines, latest, width, height - self._frame.height - 1)
                self._console.clear()
            for _ in range(self._newlines()):
                self._console.control(_ONE_ROW_BACK)
            said = Text("\n").join(lines) if lines else Control()
            self._console.print(said, highlight=False, soft_wrap=True)


def _afresh(lines: list[Text], latest: list[Text], width: int, rows: int) -> list[Text]:
    """What to show where the screen is cleared: the latest lines, as many as there is room for.

    A terminal that became narrower may have wrapped the frame, so that nobody knows where it is.
    """
    shown: list[Text] = []
    for line in reversed(latest):
        rows -= 1 + max(0, line.cell_len - 1) // max(1, width)
        if rows < 0:
            break
        shown.insert(0, line)
    return shown if len(shown) >= len(lines) else lines


class _Frame:
    """What is drawn below the lines: the figures of the moment it is drawn.

    Attributes:
        vitals: asked for figures; None before there are any.
        doing: what is told instead.
        over: there is nothing to draw any more.
        size: of the terminal, asked once a draw, because it may change meanwhile.
        width, height: of what was drawn last, in cells.
    """

    def __init__(self, heard: Callable[[], Heard], glyphs: Glyphs) -> None:
        self._heard = heard
        self._glyphs = glyphs
        self._latest: Vitals | None = None
        self._order: list[int] = []
        self._conditions: list[str] = []
        self._draws = 0
        self.vitals: Callable[[], Vitals] | None = None
        self.doing = "opening"
        self.over = False
        self.size: tuple[int, int] = (80, 24)
        self.width = 0
        self.height = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        if self.over:
            return
        lines = self._lines(*self.size)
        self.width = max((line.cell_len for line in lines), default=0)
        self.height = len(lines)
        for line in lines:  # not as texts, which would be measured and wrapped once more
            yield from line.render(console, end="\n")

    def _lines(self, width: int, height: int) -> list[Text]:
        if self.vitals is not None:
            try:
                self._latest = self.vitals()
            except Exception:  # of a run that is just ending
                _log.debug("no figures", exc_info=True)
        if self._latest is None:
            return opening(self.doing, width=width, height=height, glyphs=self._glyphs)
        return render(
            self._latest,
            self._heard(),
            width=width,
            height=height,
            glyphs=self._glyphs,
            order=self._ranked(self._latest.sources),
        )

    def _ranked(self, sources: Sequence[SourceVitals]) -> list[int]:
        """The order of sources, which levels may change only now and then: rows can be read."""
        conditions = [condition(each) for each in sources]
        if conditions != self._conditions or self._draws % _DRAWS_AN_ORDER == 0:
            self._order, self._conditions = ranked(sources), conditions
        self._draws += 1
        return self._order
