"""What a run finds out about itself, as log lines: for where logs are read and no screen is.

Invariant: results (occurrences, patterns, relations) are no log lines; what went wrong or changed
its state is one each.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from connectors.events import Event, as_event
from connectors.logs.handler import FIELDS, KIND
from operators.records import BreakerTransition, Failure, RungChange, SourceState

_log: Final = logging.getLogger("grym.events")


class View(Protocol):
    """Who watches a run."""

    def __call__(self, item: object) -> None:
        """Take a record."""
        ...

    def event(self, event: Event) -> None:
        """Take an event that is no record."""
        ...


class Logged:
    """A view that logs what is worth it, too.

    Args:
        view: shown everything all the same.
    """

    def __init__(self, view: View) -> None:
        self._view = view

    def __call__(self, item: object) -> None:
        """Log a record, if it is worth it, and show it."""
        describe = _SAID.get(type(item))
        if describe is not None:
            level, line, kind = describe(item)
            event = as_event(item) or {}
            fields = {key: value for key, value in event.items() if value is not None}
            extra = {FIELDS: fields, KIND: kind, "traceparent": getattr(item, "traceparent", "")}
            _log.log(level, "%s", line, extra=extra)
        self._view(item)

    def event(self, event: Event) -> None:
        """Log the closing event, and show it."""
        if event.get("event") == "summary":
            _log.info("the run has ended", extra={FIELDS: event})
        self._view.event(event)


_Said = tuple[int, str, tuple[str, ...]]


def _failure(item: Failure) -> _Said:
    level = logging.ERROR if item.fatal_source else logging.WARNING
    return level, f"{item.detail}; {item.remedy}", (item.stream, item.stage, item.reason)


def _breaker(item: BreakerTransition) -> _Said:
    level = logging.WARNING if item.to_state == "open" else logging.INFO
    reason = f" ({item.reason})" if item.reason else ""
    line = f"breaker of {item.name}: {item.from_state} -> {item.to_state}{reason}"
    return level, line, ("breaker", item.name, item.to_state)


def _rung(item: RungChange) -> _Said:
    serves = item.to_model or "no model"
    level = logging.INFO if item.to_model == item.ladder else logging.WARNING
    return level, f"{item.ladder}: {serves} serves ({item.reason})", ("rung", item.ladder, serves)


def _source(item: SourceState) -> _Said:
    level = logging.WARNING if item.state in ("degraded", "lagging") else logging.INFO
    return level, item.detail or f"{item.stream}: {item.state}", ("source", item.stream, item.state)


_SAID: dict[type, Callable[[Any], _Said]] = {
    Failure: _failure,
    BreakerTransition: _breaker,
    RungChange: _rung,
    SourceState: _source,
}
