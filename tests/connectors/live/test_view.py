"""The live view, as a terminal shows it: pyte stands in for the terminal."""

import io
import sys
import threading
from collections.abc import Callable

import pyte
import pytest
from rich.console import Console

from connectors.live.aside import aside
from connectors.live.typed import newlines
from connectors.live.view import LiveView, possible
from operators.records import SourceState
from operators.vitals import Vitals
from tests.connectors.live.conftest import Given

PATIENCE_S = 60.0
NOON_NS = 1_777_637_051_000_000_000


class Terminal(io.StringIO):
    """What is written, on a screen; whoever waits is told of each write."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, rows, history=5_000)
        self.console = Console(
            file=self, width=columns, height=rows, force_terminal=True, legacy_windows=False
        )
        self._stream = pyte.Stream(self.screen)
        self._written = threading.Condition()
        self._writes = 0
        self.open = threading.Event()
        self.open.set()

    def write(self, text: str) -> int:
        self.open.wait(PATIENCE_S)
        with self._written:
            self._stream.feed(text.replace("\n", "\r\n"))
            self._writes += 1
            self._written.notify_all()
        return len(text)

    def isatty(self) -> bool:
        return True

    def resize(self, columns: int, rows: int, wrapped: str = "") -> None:
        """As a terminal does that may have to wrap what is on it, which this one does not."""
        with self._written:
            self.screen.resize(rows, columns)
            self.console.size = (columns, rows)  # type: ignore[assignment]
            self._stream.feed(wrapped)

    def drawn(self, more: int) -> None:
        """Wait for so many further writes."""
        with self._written:
            least = self._writes + more
            assert self._written.wait_for(lambda: self._writes >= least, PATIENCE_S)

    @property
    def lines(self) -> list[str]:
        with self._written:
            above = [
                "".join(line[column].data for column in sorted(line))
                for line in self.screen.history.top
            ]
            return [line.rstrip() for line in (*above, *self.screen.display) if line.strip()]


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def view_on(terminal: Terminal) -> LiveView:
    return LiveView(terminal.console, now_ns=lambda: NOON_NS)


def state(number: int, stream: str = "roof") -> SourceState:
    return SourceState(stream, "live", f"number {number:04d}")


def figures(given: Given, count: int) -> Callable[[], Vitals]:
    sources = [given.source(f"mic:{number}") for number in range(count)]
    return lambda: given.vitals(*sources)


def rules(lines: list[str]) -> int:
    return sum(line.startswith("──") for line in lines)


def test_lines_stay_above_one_frame_which_is_gone_at_the_end(
    terminal: Terminal, given: Given
) -> None:
    with view_on(terminal) as view:
        view.say("loading")
        terminal.drawn(1)
        view.print("store  a.db")
        view.watch(figures(given, 3))
        for number in range(50):
            view(state(number))
            if number % 20 == 0:
                terminal.drawn(2)
        terminal.drawn(3)
        frame = [line for line in terminal.lines if line.startswith((" mic:", "──"))]
        assert len(frame) == 4
        assert view.close()
    assert terminal.lines[0] == "store  a.db"
    assert [line.split()[-1] for line in terminal.lines[1:]] == [f"{n:04d}" for n in range(50)]
    assert not terminal.screen.cursor.hidden
    assert terminal.screen.cursor.x == 0


def test_it_fits_a_terminal_that_is_resized(terminal: Terminal, given: Given) -> None:
    with view_on(terminal) as view:
        view.watch(figures(given, 40))
        view(state(0))
        for columns, rows in ((200, 50), (60, 12), (80, 24), (30, 5), (120, 40)):
            terminal.resize(columns, rows)
            view(state(columns))
            terminal.drawn(3)
            assert rules(terminal.screen.display) <= 1
            assert not terminal.screen.cursor.hidden
    assert any("number 0120" in line for line in terminal.lines)
    assert rules(terminal.screen.display) == 0


def test_a_frame_that_the_terminal_wrapped_is_not_left_behind(
    terminal: Terminal, given: Given
) -> None:
    terminal.resize(200, 24)
    with view_on(terminal) as view:
        view.watch(figures(given, 1))
        view(state(7))
        terminal.drawn(3)
        terminal.resize(80, 24, "\r\n──\r\n windows 1\r\n──")
        terminal.drawn(3)
        assert rules(terminal.screen.display) == 1
        assert sum("number 0007" in line for line in terminal.screen.display) == 1


def test_while_the_terminal_is_a_shells_it_is_left_alone_and_nothing_of_it_erased_later(
    terminal: Terminal, given: Given
) -> None:
    ours, looks = threading.Event(), threading.Semaphore(0)
    ours.set()

    def foreground() -> bool:
        is_ours = ours.is_set()
        looks.release()
        return is_ours

    with LiveView(terminal.console, now_ns=lambda: NOON_NS, foreground=foreground) as view:
        view.watch(figures(given, 1))
        terminal.drawn(3)
        ours.clear()
        while looks.acquire(blocking=False):
            pass
        assert all(looks.acquire(timeout=PATIENCE_S) for _ in range(2))  # it has seen that
        terminal.resize(80, 24, "\r\nwhat the shell wrote\r\n")
        view(state(3))
        assert all(looks.acquire(timeout=PATIENCE_S) for _ in range(2))
        assert not any("number 0003" in line for line in terminal.lines)
        ours.set()
        terminal.drawn(2)
        assert any("what the shell wrote" in line for line in terminal.lines)
        assert any("number 0003" in line for line in terminal.lines)


def test_enter_on_the_terminal_leaves_nothing_of_the_frame_behind(
    terminal: Terminal, given: Given
) -> None:
    pressed: list[int] = []

    def taken() -> int:
        return pressed.pop() if pressed else 0

    with LiveView(terminal.console, now_ns=lambda: NOON_NS, newlines=taken) as view:
        view.watch(figures(given, 2))
        view(state(7))
        terminal.drawn(3)
        terminal.resize(80, 24, "typed\r\n\r\n")  # as the terminal echoes it
        pressed.append(2)
        terminal.drawn(3)
        assert rules(terminal.screen.display) == 1
        assert not any("typed" in line for line in terminal.screen.display)
        assert sum("number 0007" in line for line in terminal.screen.display) == 1


def test_a_terminal_that_takes_nothing_holds_up_whoever_tells_and_nobody_else(
    terminal: Terminal, given: Given
) -> None:
    view = view_on(terminal)
    with view:
        terminal.drawn(1)
        terminal.open.clear()
        told = threading.Thread(
            target=lambda: [view(state(number)) for number in range(5_000)], daemon=True
        )
        told.start()
        view.watch(figures(given, 1))
        view.say("said at once")
        for _ in range(2_000):
            view.print("said at once, too")
        assert told.is_alive()
        assert not view.close(lambda: True)
        assert not view.drawn
        told.join(PATIENCE_S)
        assert not told.is_alive()
        terminal.open.set()
        assert view.close()
    assert any("lines of stderr were left out" in line for line in terminal.lines)


def test_figures_that_cannot_be_had_leave_the_latest(terminal: Terminal, given: Given) -> None:
    asked = []

    def failing() -> Vitals:
        asked.append(True)
        if len(asked) > 1:
            raise RuntimeError("closed")
        return given.vitals()

    with view_on(terminal) as view:
        view.watch(failing)
        terminal.drawn(8)
        assert len(asked) > 1
        assert any("windows 1204" in line for line in terminal.screen.display)


def test_a_terminal_that_is_taken_away_ends_nothing(given: Given) -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    with view_on(Gone()) as view:
        view.watch(figures(given, 1))
        for number in range(3_000):
            view(state(number))
        assert view.close()


def test_what_goes_to_a_terminals_stderr_meanwhile_becomes_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Terminal()
    monkeypatch.setattr(sys, "stderr", before)
    lines: list[str] = []
    with aside(lines.append):
        sys.stderr.write("two ")
        print("halves\nand a line", file=sys.stderr)  # noqa: T201 - as a library may
        assert not sys.stderr.isatty()
    assert sys.stderr is before
    assert lines == ["two halves", "and a line"]
    assert before.lines == []


def test_a_stderr_that_is_no_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "stderr", elsewhere)
    with aside(lambda line: None):
        assert sys.stderr is elsewhere


@pytest.mark.parametrize(("term", "able"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_or_a_pipe_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch, term: str, able: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    console = Console(file=sys.stdout, force_terminal=True, _environ={"TERM": term})
    assert possible(console) is able
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not possible(console)


def test_where_nobody_can_type_nothing_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\n"))
    assert newlines() == 0
    monkeypatch.setattr(sys, "stdin", None)
    assert newlines() == 0
