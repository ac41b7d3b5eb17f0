"""The one handler of the process: whoever logs hands a line over and goes on.

Invariant: logging never waits, also where stderr takes nothing (a stuck pipe): lines wait in a
bounded queue with a thread of its own, and what does not fit is counted. The span that is current
is noted when a line is logged, not when it is written.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from opentelemetry import trace

from connectors.logs.repeats import Repeats
from connectors.outlet import Outlet
from operators import tracing

LogForm: TypeAlias = Literal["console", "json"]
MOST_LINES: Final = 1_024
FIELDS: Final = "fields"
"""Attribute of a record: further keys of its JSON line."""
KIND: Final = "kind"
"""Attribute of a record: what counts as a repetition of it; without one, its text as written."""


def set_up(level: str, form: LogForm = "console") -> None:
    """From here on what is logged goes to stderr; called again, it replaces what it set up.

    Args:
        level: "debug", "info", "warning" or "error".
        form: "console" for people, "json" for machines.
    """
    tear_down()
    root = logging.getLogger()
    root.addHandler(Lines(as_json if form == "json" else as_text))
    root.setLevel(level.upper())


def tear_down() -> None:
    """Write what waits, within bounds, and log no more."""
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, Lines)]:
        root.removeHandler(handler)
        handler.close()


class Lines(logging.Handler):
    """Writes records as lines.

    Args:
        write: the line of a record.
        clock: seconds, monotonic, for repetitions.
    """

    def __init__(
        self,
        write: Callable[[logging.LogRecord], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._write = write
        self._repeats = Repeats(clock)
        self._outlet = Outlet(_tell, MOST_LINES)
        self._turn = threading.RLock()  # a finaliser may log while a line is being counted

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record; returns at once, and never raises."""
        try:
            kind = getattr(record, KIND, None) or (record.name, record.levelno, str(record.msg))
            with self._turn:
                left_out = self._repeats.pass_on(kind)
            if left_out is None:
                return
            record.left_out = left_out
            if not hasattr(record, "traceparent"):
                record.traceparent = tracing.traceparent_of(trace.get_current_span())
            self._outlet.put(self._write(record))
        except Exception as error:  # whoever logs something odd is told so in its place
            odd = f"a log line cannot be written ({type(error).__name__}): {type(record.msg)}"
            plain = {"name": record.name, "levelno": record.levelno, "levelname": record.levelname}
            self._outlet.put(self._write(logging.makeLogRecord({**plain, "msg": odd})))

    def close(self) -> None:
        """Write what waits, within bounds, and how many lines were left out."""
        with self._turn:
            left_out = self._repeats.left_out() + self._outlet.shed
        if left_out:
            said = "%d repeated log lines were left out"
            record = logging.makeLogRecord(
                {"name": "grym", "levelno": logging.WARNING, "levelname": "WARNING", "msg": said}
            )
            record.args = (left_out,)
            record.left_out, record.traceparent = 0, ""
            self._outlet.put(self._write(record))
        self._outlet.close(lambda: True)
        super().close()


def as_text(record: logging.LogRecord) -> str:
    """A line for a person."""
    at = datetime.fromtimestamp(record.created).isoformat(" ", "milliseconds")
    traced = tracing.trace_id(_header(record))
    return (
        f"{at} {record.levelname} {record.name} {_message(record)}"
        f"{f' trace={traced}' if traced else ''}{_raised(record)}"
    )


def as_json(record: logging.LogRecord) -> str:
    """A line for a machine: one flat object."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _message(record),
    }
    header = _header(record)
    if traced := tracing.trace_id(header):
        line |= {"trace_id": traced, "span_id": header[36:52]}
    line |= getattr(record, FIELDS, {})
    if record.exc_info:
        line["exception"] = _raised(record).lstrip("\n")
    try:
        return json.dumps(line, default=str, allow_nan=False)
    except ValueError:  # numbers that JSON does not have
        return json.dumps({key: str(value) for key, value in line.items()})


def _header(record: logging.LogRecord) -> str:
    return str(getattr(record, "traceparent", ""))


def _message(record: logging.LogRecord) -> str:
    left_out = getattr(record, "left_out", 0)
    more = f" ({left_out} more like it before)" if left_out else ""
    return f"{record.getMessage()}{more}"


def _raised(record: logging.LogRecord) -> str:
    """The traceback, where one was asked for, on lines of its own."""
    return f"\n{_FORMATTER.formatException(record.exc_info)}" if record.exc_info else ""


_FORMATTER: Final = logging.Formatter()


def _tell(line: object) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
