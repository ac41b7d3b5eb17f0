"""What a run finds out about itself, as log lines."""

import logging

import pytest

from connectors.events import Event
from connectors.logs import Logged
from operators.records import (
    BreakerTransition,
    Failure,
    Occurrence,
    RungChange,
    SourceState,
)

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Shown:
    def __init__(self) -> None:
        self.items: list[object] = []

    def __call__(self, item: object) -> None:
        self.items.append(item)

    def event(self, event: Event) -> None:
        self.items.append(event)


FAILURE = Failure("yard", "infer", "timeout", "yard: too late", "wait", 1.0, traceparent=SAMPLED)
FATAL = Failure("yard", "source", "unreadable", "yard: no file", "name one", 0.0, True)


@pytest.mark.parametrize(
    ("item", "level", "line"),
    [
        (FAILURE, "WARNING", "yard: too late; wait"),
        (FATAL, "ERROR", "yard: no file; name one"),
        (
            BreakerTransition("clap", "closed", "open", 1.0, "failure rate"),
            "WARNING",
            "breaker of clap: closed -> open (failure rate)",
        ),
        (
            BreakerTransition("clap", "half_open", "closed", 1.0),
            "INFO",
            "breaker of clap: half_open -> closed",
        ),
        (
            RungChange("clap", "clap", "", 1.0, "breaker_open"),
            "WARNING",
            "clap: no model serves (breaker_open)",
        ),
        (
            RungChange("clap", "aisfx", "clap", 1.0, "recovered"),
            "INFO",
            "clap: clap serves (recovered)",
        ),
        (SourceState("mic", "degraded", "mic: gone"), "WARNING", "mic: gone"),
        (SourceState("mic", "live"), "INFO", "mic: live"),
    ],
)
def test_what_changed_or_went_wrong_is_a_line(
    item: object, level: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    shown = Shown()
    with caplog.at_level(logging.INFO, "grym.events"):
        Logged(shown)(item)
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (level, line)
    assert shown.items == [item]


def test_a_line_carries_the_fields_and_the_trace_of_what_it_is_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Logged(Shown())(FAILURE)
    (record,) = caplog.records
    fields = record.fields  # type: ignore[attr-defined]
    assert (fields["event"], fields["stage"], fields["reason"]) == ("failure", "infer", "timeout")
    assert record.traceparent == SAMPLED  # type: ignore[attr-defined]


def test_results_are_shown_and_not_logged_and_the_summary_is_both(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shown = Shown()
    logged = Logged(shown)
    found = Occurrence("yard", "p1", 0.0, 1.0, 0, 0.9, 1.2, False)
    with caplog.at_level(logging.INFO, "grym.events"):
        logged(found)
        logged.event({"event": "score"})
        logged.event({"event": "summary", "windows": 3})
    (record,) = caplog.records
    assert record.fields["windows"] == 3  # type: ignore[attr-defined]
    assert len(shown.items) == 3
