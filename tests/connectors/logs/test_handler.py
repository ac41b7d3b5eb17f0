"""Lines on stderr."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from connectors.logs import handler as handlers
from connectors.logs.handler import Lines, as_json, as_text, set_up
from operators import tracing


@pytest.fixture
def log() -> logging.Logger:
    logger = logging.Logger("grym.test")
    logger.setLevel(logging.DEBUG)
    return logger


def test_a_line_for_machines_is_one_flat_object(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(as_json)
    log.addHandler(lines)
    log.warning("store %s is away", "x.db", extra={"fields": {"stage": "store"}})
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("broken")
    lines.close()
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["message"] == "store x.db is away"
    assert (first["level"], first["logger"], first["stage"]) == ("warning", "grym.test", "store")
    assert first["time"].endswith("+00:00")
    assert "trace_id" not in first
    assert second["exception"].splitlines()[-1] == "ValueError: bad"


def test_a_line_for_people_has_no_traceback_unless_asked_for(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(as_text)
    log.addHandler(lines)
    log.info("hello")
    lines.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" INFO grym.test hello")


@pytest.mark.parametrize("write", [as_json, as_text])
def test_the_span_that_was_current_is_named(
    log: logging.Logger, capsys: pytest.CaptureFixture[str], write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
    lines = Lines(write)
    log.addHandler(lines)
    with tracing.current(tracing.live_span("batch aisfx")) as span:
        log.warning("slow")
    lines.close()
    assert f"{span.get_span_context().trace_id:032x}" in capsys.readouterr().err


class Unspeakable:
    def __str__(self) -> str:
        raise LookupError("not a word")


def test_whatever_is_logged_is_a_line_and_nobody_who_logs_is_hurt(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(as_json)
    log.addHandler(lines)
    log.warning({"a": 1})
    log.warning(["b"])
    log.warning("%d", "no number")
    log.warning(Unspeakable())
    log.warning("x", extra={"fields": {"level_db": float("nan")}})
    log.warning("two\nlines, \u00fc")
    lines.close()
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"].partition(":")[0] for line in said] == [
        "{'a'",
        "['b']",
        "a log line cannot be written (TypeError)",
        "a log line cannot be written (LookupError)",
        "x",
        "two\nlines, \u00fc",
    ]
    assert said[4]["level_db"] == "nan"


def test_what_repeats_is_left_out_and_counted(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    lines = Lines(as_text, clock=lambda: clock[0])
    log.addHandler(lines)
    for number in range(9):
        log.warning("broker %d is away", number)
    clock[0] = 61.0
    log.warning("broker %d is away", 9)
    for number in range(7):
        log.warning("broker %d is away", number)
    lines.close()
    said = [line.partition("grym")[2] for line in capsys.readouterr().err.splitlines()]
    assert [line[:24] for line in said[:5]] == [f".test broker {n} is away" for n in range(5)]
    assert said[5] == ".test broker 9 is away (4 more like it before)"
    assert said[-1] == " 3 repeated log lines were left out"


def test_logging_never_waits_for_a_reader_that_takes_nothing(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, entered = threading.Event(), threading.Event()

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            entered.set()
            stuck.wait(20)
            return super().write(text)

    full = Full()
    monkeypatch.setattr(handlers.sys, "stderr", full)
    lines = Lines(as_text)
    log.addHandler(lines)
    log.warning("first")
    assert entered.wait(20)
    for number in range(3 * handlers.MOST_LINES):
        log.warning("line of a kind of its own", extra={"kind": number})
    assert lines._outlet.shed > handlers.MOST_LINES // 2
    stuck.set()
    lines.close()
    assert "first" in full.getvalue()
    assert "repeated log lines were left out" in full.getvalue()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    yield root
    for handler in [each for each in root.handlers if each not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_setting_up_again_replaces_what_was_set_up(root: logging.Logger) -> None:
    set_up("info")
    set_up("error", "json")
    (handler,) = [each for each in root.handlers if isinstance(each, Lines)]
    assert handler._write is as_json
    assert root.level == logging.ERROR
