"""The end of the flow: every record announced, what is kept spooled before a snapshot counts."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from connectors.milvus.errors import StoreUnwritable
from connectors.sinks import EventSink, StoreSink
from operators.records import Novel, Occurrence
from operators.revision import Revision

OCCURRENCE = Occurrence("s", "pa", 1.0, 2.0, 1, 0.9, 2.5, backfilled=False)


class Spooling:
    """A store whose disk is full for a while."""

    folder = Path("state")

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.kept: list[Any] = []
        self.syncs = 0

    def append(self, records: list[Any]) -> bool:
        if self.refusals:
            self.refusals -= 1
            return False
        self.kept += records
        return True

    def sync(self) -> None:
        self.syncs += 1


def fail(error: Exception) -> NoReturn:
    raise error


def part(store: Spooling) -> Any:
    sink = StoreSink(store, fail)  # type: ignore[arg-type]
    assert sink.list_parts() == ["spool"]
    return sink.build_part("store", "spool", None)


def test_every_record_is_announced_in_order() -> None:
    told: list[object] = []
    EventSink(told.append).build("events", 0, 1).write_batch([("s", OCCURRENCE), ("s", "x")])
    assert told == [OCCURRENCE, "x"]


def test_only_what_is_kept_goes_to_the_spool_and_a_snapshot_waits_for_the_disk() -> None:
    store = Spooling(refusals=0)
    writing = part(store)
    writing.write_batch([OCCURRENCE, Novel("s", 0.0, 1.0)])
    assert (store.kept, store.syncs) == ([OCCURRENCE], 0)
    writing.snapshot()
    assert store.syncs == 1


def test_a_revision_goes_to_the_spool_in_order_unless_nothing_is_gone() -> None:
    added = Revision("s", 1.0, 1, "", "pa", "hindsight", 900.0)
    gone = Revision("s", 1.0, 1, "pa", "", "hindsight", 900.0)
    store = Spooling(refusals=0)
    part(store).write_batch([OCCURRENCE, added, gone, OCCURRENCE])
    assert store.kept == [OCCURRENCE, gone, OCCURRENCE]


def test_what_the_spool_refuses_is_offered_again() -> None:
    store = Spooling(refusals=2)
    writing = part(store)
    writing.write_batch([OCCURRENCE])
    writing.write_batch([])
    assert store.kept == []
    writing.snapshot()
    assert store.kept == [OCCURRENCE]


def test_a_snapshot_without_its_results_is_refused() -> None:
    store = Spooling(refusals=9)
    writing = part(store)
    writing.write_batch([OCCURRENCE])
    with pytest.raises(StoreUnwritable, match="free space on that disk and listen again"):
        writing.snapshot()
    assert store.syncs == 0
