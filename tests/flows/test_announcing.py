"""Every record that leaves the flow: counted, kept where it failed, told."""

import threading
from pathlib import Path

import pytest

from connectors.deadletters import DeadLetters
from flows.announcing import Announcer
from operators.records import Failure

FAILED = Failure("s", "source", "length", "3 bytes", "mend it", 0.0)


class View:
    def __init__(self) -> None:
        self.items: list[object] = []
        self.goes = threading.Event()
        self.goes.set()

    def __call__(self, item: object) -> None:
        self.goes.wait(30)
        self.items.append(item)

    def event(self, event: dict[str, object]) -> None:
        self.items.append(event)


def test_a_record_is_counted_shown_and_kept_where_it_failed(tmp_path: Path) -> None:
    view = View()
    announcer = Announcer(view)
    announcer.keep(DeadLetters(tmp_path / "letters.jsonl"))
    announcer(FAILED)
    announcer.show("beside the flow")
    assert announcer.conclude({"event": "summary"}) == ()
    assert announcer.told
    assert not announcer.lost
    announcer.close()
    assert view.items == [FAILED, "beside the flow"]
    assert announcer.ledger.reasons == {"source: length": 1}
    assert '"reason":"length"' in (tmp_path / "letters.jsonl").read_text()


def test_who_takes_nothing_is_left_once_somebody_asked_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.outlet.HURRY_S", 0.1)
    view = View()
    view.goes.clear()
    announcer = Announcer(view, hurried=lambda: True)
    announcer.keep(DeadLetters(tmp_path / "letters.jsonl"))
    announcer(FAILED)
    announcer(FAILED)
    (note,) = announcer.conclude({"event": "summary"})
    assert "2 records were not shown" in note
    assert not announcer.told
    announcer(FAILED)
    announcer.close()
    assert (tmp_path / "letters.jsonl").read_text().count("\n") == 3
    view.goes.set()
