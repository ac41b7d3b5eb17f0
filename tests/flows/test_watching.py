"""``grym listen`` on a terminal, as a person sees it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import OnDisk
from tests.plugins.pseudoterminal import PseudoTerminal

CODE = "from flows.cli import main; main()"
ENV = {"OMP_NUM_THREADS": "1", "GRYM_LISTEN__MODELS": '["logmel"]'}
ODD = "[red]höhle 日本.wav"


@pytest.fixture
def listen(on_disk: OnDisk, tmp_path: Path) -> Iterator[Callable[..., PseudoTerminal]]:
    """Listen to a recording, at 80 columns."""
    begun: list[PseudoTerminal] = []
    (tmp_path / ODD).symlink_to(on_disk.wav)

    def start(*flags: object, **env: str) -> PseudoTerminal:
        arguments = ["listen", tmp_path / ODD, "--store", tmp_path / "a.db", *flags]
        terminal = PseudoTerminal(CODE, *arguments, columns=80, rows=24, env={**ENV, **env})
        begun.append(terminal)
        return terminal

    yield start
    for terminal in begun:
        terminal.close()


def rows(terminal: PseudoTerminal, *words: str) -> list[str]:
    return [row for row in terminal.screen.display if all(word in row for word in words)]


def stacked(terminal: PseudoTerminal) -> bool:
    """A whole frame, with models below sources."""
    return bool(rows(terminal, "logmel closed", "queue") and rows(terminal, " heard in ")) and (
        not beside(terminal)
    )


def beside(terminal: PseudoTerminal) -> bool:
    """Models stand beside sources."""
    return bool(rows(terminal, "reading", "logmel closed"))


def test_a_run_is_watched_resized_and_ended_with_ctrl_c(
    listen: Callable[..., PseudoTerminal],
) -> None:
    terminal = listen("--speed", "realtime")
    terminal.until(lambda: stacked(terminal))
    assert rows(terminal, "[red]h", "日", "reading", " of 2:00")

    terminal.resize(200, 30)
    terminal.until(lambda: beside(terminal) and bool(rows(terminal, "─" * 150)))
    terminal.resize(80, 24)
    terminal.until(lambda: stacked(terminal))
    assert len(rows(terminal, "──")) == 1

    terminal.press(b"ls\n\n")
    terminal.until(lambda: stacked(terminal) and len(rows(terminal, "──")) == 1)
    terminal.press(b"\x03")
    assert terminal.end() == 0
    assert rows(terminal, "heard ", " s of audio in ")
    assert (
        not rows(terminal, "──")
        + rows(terminal, "reading")
        + rows(terminal, "^C")
        + rows(terminal, "ls")
    )
    assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")
    assert not terminal.screen.cursor.hidden
    assert b"Traceback" not in terminal.raw


def test_what_was_found_stays_on_the_screen(listen: Callable[..., PseudoTerminal]) -> None:
    terminal = listen()
    assert terminal.end() == 0
    above = [
        "".join(line[column].data for column in sorted(line))
        for line in terminal.screen.history.top
    ]
    text = "\n".join([*above, *terminal.screen.display])
    assert "P1  new pattern" in text
    assert "2nd" not in text  # it is part of what founded the pattern
    assert "3rd  conf" in text
    assert "──" not in text
    assert "heard 120.0 s of audio in " in text


@pytest.mark.parametrize(
    ("flags", "env"),
    [(["--plain"], {}), ([], {"TERM": "dumb"}), (["--quiet"], {})],
    ids=["plain", "dumb", "quiet"],
)
def test_there_is_no_live_view_where_it_is_not_wanted_or_cannot_be(
    listen: Callable[..., PseudoTerminal], flags: list[str], env: dict[str, str]
) -> None:
    terminal = listen(*flags, **env)
    assert terminal.end() == 0
    assert "──".encode() not in terminal.raw
    assert b"CPU share" in terminal.raw
    assert (b" no. 3  score" in terminal.raw) == (flags != ["--quiet"])


def test_colours_are_left_out_where_they_are_not_wanted(
    listen: Callable[..., PseudoTerminal],
) -> None:
    terminal = listen(NO_COLOR="1")
    assert terminal.end() == 0
    assert b"new pattern" in terminal.raw
    assert not re.search(rb"\x1b\[[\d;]*3\d[\d;]*m", terminal.raw)
