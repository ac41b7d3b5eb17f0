import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from connectors.entries import encode
from connectors.locks import FileLock
from connectors.milvus import writer as milvus_writer
from connectors.milvus.connection import Connection
from connectors.milvus.errors import (
    StoreHeld,
    StoreUnreachable,
    StoreUnwritable,
    StoreVersion,
)
from connectors.milvus.process import StoreProcess, state_dir
from connectors.milvus.queries import Queries
from connectors.milvus.reader import Reader
from connectors.milvus.writer import Acknowledged, Writer
from connectors.sinks import StoreSink
from connectors.spool import Spool
from connectors.store import Store
from operators.ledger import Ledger
from operators.records import Failure, Novel, Occurrence
from operators.revision import Revision, settled

Eventually = Callable[[Callable[[], object]], bool]
Ended = Callable[[int], bool]
Program = Callable[..., "subprocess.Popen[str]"]


HOUR_NS = 3_600_000_000_000


class Heard:
    """What a store told about."""

    def __init__(self) -> None:
        self.stored: list[Acknowledged] = []
        self.failures: list[Failure] = []

    def open(self, uri: str, **more: object) -> Store:
        return Store.open(
            uri,
            on_ack=self.stored.extend,
            on_failure=self.failures.append,
            **more,  # type: ignore[arg-type]
        )


@pytest.fixture
def heard() -> Heard:
    return Heard()


def keys(uri: str, collection: str) -> list[str]:
    reader = Reader(uri)
    try:
        return [row["key"] for row in reader.rows(collection, "", ["key"])]
    finally:
        reader.close()


def pid_of(uri: str) -> int:
    return StoreProcess(Path(uri)).pid


def windows(make) -> str:
    return f"windows_{make.space}".replace("-", "_")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store whose process stays up for the tests of this file that do not hurt it."""
    uri = str(tmp_path_factory.mktemp("shared") / "x.db")
    connection = Connection(uri)
    connection.client()
    yield uri
    connection.close()


def test_records_are_stored_once_however_often_they_are_appended(
    shared: str, make, heard: Heard
) -> None:
    records = [
        *(make.embedding(n, delivered_ns=time.time_ns() - n * HOUR_NS) for n in range(5)),
        *(make.occurrence("p1", n) for n in range(3)),
        make.pattern("p1"),
        make.relation("p1", "p2"),
        make.centroid("p1"),
    ]
    with heard.open(shared) as store:
        for _ in range(2):
            assert store.append(records)
            store.sync()
            assert store.drain(10)
        assert store.pending == 0
        assert not store.full
        assert store.failed is None
        assert store.folder == state_dir(Path(shared))
        assert keys(shared, windows(make)) == sorted(record.key for record in records[:5])
        assert keys(shared, "occurrences") == [
            f"mic|{n}000000000|p1".replace("|0000000000", "|0") for n in range(3)
        ]
        assert keys(shared, "patterns") == ["p1"]
        assert keys(shared, "relations") == ["p1|sequential|p2"]
        assert keys(shared, "centroids_logmel_0a1b2c3d_16") == ["p1"]
    assert [round(each.latency_s / 3600) for each in heard.stored] == [*range(5)] * 2
    assert heard.failures == []


def test_the_newest_change_of_a_key_wins_within_a_batch_and_across(
    shared: str, make, heard: Heard
) -> None:
    there, gone = make.relation("a", "b", support=1), make.relation("a", "b", withdrawn=True)
    with heard.open(shared) as store, Queries(shared) as queries:

        def support() -> list[int]:
            assert store.drain(10)
            return [row["support"] for row in queries.relations() if row["source"] == "a"]

        store.append([there, gone, make.relation("a", "b", support=2)])
        assert support() == [2]
        store.append([make.relation("a", "b", support=3), gone])
        assert support() == []
        store.append([gone])
        store.append([there])
        assert support() == [1]
        store.append([gone])
        assert support() == []
    assert heard.failures == []


def revised(gone: Occurrence, now: str = "") -> Revision:
    stream, at_ns = gone.stream, gone.start_ns
    return Revision(stream, gone.start_s, at_ns, gone.pattern, now, "hindsight", 900.0)


def test_rows_are_the_occurrences_that_stand_however_often_it_is_replayed(
    tmp_path: Path, make, heard: Heard
) -> None:
    """As the flow does it: through the sink, in pieces, and again after a crash."""
    uri = str(tmp_path / "x.db")
    first, second, third, other = (make.occurrence("p", n) for n in (1, 2, 3, 4))
    told = [
        *(first, second, third, other),
        *(make.occurrence("q", 1), revised(first, "q")),
        *(make.occurrence("p", 2.02), revised(second, "p")),
        *(make.occurrence("p", 9), Revision("mic", 9.0, 9 * 10**9, "", "p", "hindsight", 900.0)),
        *(revised(third), revised(other), replace(other, score=0.5)),
    ]
    ledger = Ledger()
    for item in told:
        ledger.note(item)
    standing = settled(told)
    with heard.open(uri) as store, Queries(uri) as queries:
        sink = StoreSink(store, pytest.fail).build_part("store", "spool", None)
        for pieces in ([told], [told[at : at + 1] for at in range(len(told))], [told[5:]]):
            for piece in pieces:
                sink.write_batch(piece)
                if len(pieces) > 1:
                    assert store.drain(10)
            assert store.drain(10)
            assert keys(uri, "occurrences") == sorted(item.key for item in standing)
            assert len(queries.occurrences()) == ledger.occurrences == len(standing) == 4
        assert [
            (row["pattern"], row["start_s"], row["score"]) for row in queries.occurrences()
        ] == [*(("q", 1.0, 0.9), ("p", 2.02, 0.9), ("p", 4.0, 0.5), ("p", 9.0, 0.9))]
        store.append([make.pattern("p"), make.pattern("q", status="merged", into="p")])
        assert store.drain(10)
        assert {row["pattern"] for row in queries.occurrences()} == {"p"}
        assert [row["start_s"] for row in queries.occurrences(since_s=6.0)] == [4.0, 9.0]
    assert heard.failures == []


def test_what_was_spooled_before_a_crash_deletes_what_is_gone_and_keeps_what_came_again(
    tmp_path: Path, make, heard: Heard
) -> None:
    """A process that died left upsert, deletion and upsert of a key; they are carried in order."""
    uri = str(tmp_path / "x.db")
    back, gone = make.occurrence("p", 1), make.occurrence("p", 2)
    with heard.open(uri) as store:
        store.append([back, gone])
        assert store.drain(10)
    left = Spool(state_dir(Path(uri)) / "spool", max_bytes=1 << 20)
    left.append([encode(record) for record in (gone, revised(back), revised(gone), back)])
    left.close()
    with heard.open(uri) as store:
        store.append([gone, revised(gone)])
        assert store.drain(10)
    assert keys(uri, "occurrences") == [back.key]
    assert heard.failures == []


def test_withdrawing_from_a_store_without_relations_is_no_failure(
    tmp_path: Path, make, heard: Heard
) -> None:
    with heard.open(str(tmp_path / "x.db")) as store:
        store.append([make.relation("a", "b", withdrawn=True)])
        assert store.drain(10)
    assert heard.failures == []


def test_what_cannot_be_stored_is_told_alone_and_the_rest_is_stored(
    shared: str, make, heard: Heard
) -> None:
    good = [make.occurrence("good", n) for n in range(20)]
    endless = make.occurrence("endless", 1.0, score=float("inf"))
    huge = make.occurrence("h" * 70_000, 1.0)
    broken = make.embedding(901.0)
    broken.vector.flags.writeable = True
    broken.vector[3] = np.nan
    short = make.embedding(902.0, delivered_ns=5)
    object.__setattr__(short, "vector", short.vector[:7])
    big = make.pattern("big", template=bytes(60_000))
    surrogate = make.occurrence("\ud800", 2.0)
    with heard.open(shared) as store:
        store.append([*good[:7], huge, *good[7:], endless, broken, short, big, surrogate])
        assert store.drain(20)
    stored = [key for key in keys(shared, "occurrences") if key.endswith("|good")]
    assert stored == sorted(record.key for record in good)
    told = {failure.detail.partition(":")[2][:40].strip() for failure in heard.failures}
    assert len(heard.failures) == 6, told
    reasons = sorted(failure.reason for failure in heard.failures)
    assert reasons == ["rejected"] * 4 + ["window_rejected"] * 2
    assert {failure.stage for failure in heard.failures} == {"store"}
    assert {failure.stream for failure in heard.failures} == {"mic"}
    for words in ("score is inf", "not finite", "has 7 numbers", "49149 bytes"):
        assert any(words in failure.detail for failure in heard.failures), words
    assert sorted({failure.start_s for failure in heard.failures}) == [1.0, 2.0, 901.0, 902.0]
    assert heard.stored == []


def test_an_entry_that_this_version_cannot_read_is_told_and_passed_over(
    shared: str, make, heard: Heard
) -> None:
    spool = Spool(state_dir(Path(shared)) / "spool")
    spool.append([b"\x09from the future"])
    spool.close()
    with heard.open(shared) as store:
        store.append([make.pattern("p1")])
        assert store.drain(10)
        assert store.pending == 0
    assert [failure.reason for failure in heard.failures] == ["unreadable"]


def test_a_second_listener_is_refused_and_a_reader_is_not(shared: str, heard: Heard) -> None:
    with heard.open(shared):
        with pytest.raises(StoreHeld, match=f"process {os.getpid()} since"):
            heard.open(shared)
        with Queries(shared) as queries:
            assert isinstance(queries.patterns(), list)
    heard.open(shared).close()


def test_a_store_of_another_layout_is_refused_before_anything_is_written(
    tmp_path: Path, heard: Heard
) -> None:
    uri = str(tmp_path / "x.db")
    connection = Connection(uri)
    connection.client().create_collection("patterns", dimension=4, timeout=5)
    with pytest.raises(StoreVersion, match=r"patterns.*layout none.*writes layout 1") as caught:
        heard.open(uri)
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreVersion, match="layout none"):
        Queries(uri)
    connection.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, heard: Heard) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnwritable, match="--store"):
        heard.open(str(tmp_path / "file" / "x.db"))


def test_an_address_where_nothing_answers_is_told(tmp_path: Path, heard: Heard) -> None:
    with pytest.raises(
        StoreUnreachable, match=r"no store answers at http://127\.0\.0\.1:9"
    ) as caught:
        heard.open("http://127.0.0.1:9", folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_an_address_without_sense_is_told(tmp_path: Path, heard: Heard) -> None:
    with pytest.raises(StoreUnreachable, match="no store answers at nonsense://x"):
        heard.open("nonsense://x", folder=tmp_path)


def test_records_of_other_kinds_are_refused(shared: str, heard: Heard) -> None:
    with heard.open(shared) as store, pytest.raises(TypeError, match="Novel"):
        store.append([Novel("s", 0.0, 1.0)])  # type: ignore[list-item]


def test_a_full_spool_refuses_says_so_once_and_recovers(shared: str, make, heard: Heard) -> None:
    with heard.open(shared, max_spool_bytes=2_000) as store:
        many = [make.embedding(n) for n in range(20)]
        assert not store.append(many)
        assert not store.append(many)
        assert store.full
        assert [failure.reason for failure in heard.failures] == ["spool_full"]
        assert "20 records refused" in heard.failures[0].detail
        assert store.append(many[:2])
        assert store.drain(10)
        assert not store.full


def test_a_server_by_address_is_written_and_read_the_same_way(
    shared: str, tmp_path: Path, make, heard: Heard
) -> None:
    holder = StoreProcess(Path(shared))
    address = holder.ensure()
    with heard.open(address, folder=tmp_path) as store, heard.open(address, folder=tmp_path) as two:
        assert store.folder == two.folder == tmp_path
        store.append([make.pattern("by-address")])
        two.append([make.pattern("by-another")])
        assert store.drain(10)
        assert two.drain(10)
        with Queries(address, "user:secret") as queries:
            assert {"by-address", "by-another"} <= {row["pattern"] for row in queries.patterns()}
    assert len(list(tmp_path.iterdir())) == 2
    holder.close()


def test_rows_arrive_though_the_store_process_is_killed_again_and_again(
    tmp_path: Path, make, heard: Heard, eventually: Eventually
) -> None:
    uri = str(tmp_path / "x.db")

    def kill() -> None:
        pids: list[int] = []
        assert eventually(lambda: pids.append(pid_of(uri)) or pids[-1])
        os.kill(pids[-1], signal.SIGKILL)

    with heard.open(uri) as store, Queries(uri) as queries:
        expected = []
        for number in range(3):
            batch = [make.embedding(number * 400 + n, delivered_ns=1) for n in range(400)]
            expected += batch
            store.append(batch)
            store.append([make.occurrence("p1", number * 400 + n) for n in range(400)])
            kill()
        assert store.drain(30)
        assert keys(uri, windows(make)) == sorted(record.key for record in expected)
        assert len(queries.occurrences()) == 1_200
        assert queries.search(expected[0].vector, make.space, limit=1)[0]["start_ns"] == 0
    assert len(heard.stored) == 1_200
    assert heard.failures == []


def test_a_disk_that_refuses_the_store_loses_nothing(tmp_path: Path, make, heard: Heard) -> None:
    uri = str(tmp_path / "x.db")
    with heard.open(uri) as store:
        store.append([make.embedding(0.0)])
        assert store.drain(10)
        before = pid_of(uri)
        resource.prlimit(before, resource.RLIMIT_FSIZE, (20_000, 20_000))
        rows = [make.embedding(float(n)) for n in range(400)]
        store.append(rows)
        assert store.drain(30)
        assert pid_of(uri) != before
        assert keys(uri, windows(make)) == sorted(record.key for record in rows)
    assert heard.failures == []


WRITER = """
import sys
import numpy as np
from connectors.store import Store
from operators.records import Embedding
store = Store.open(sys.argv[1])
for n in range(1000):
    vector = np.full(16, n + 1, np.float32)
    store.append([Embedding("mic", n * 44100, n * 10**9, 1.0, False, -20.0,
                            "logmel-0a1b2c3d-16", vector, 1)])
store.sync()
print("synced", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_writer_had_synced_is_stored_by_the_next_one(
    tmp_path: Path, make, heard: Heard, program: Program
) -> None:
    uri = str(tmp_path / "x.db")
    writer = program(WRITER, uri)
    assert writer.stdout
    assert writer.stdout.readline() == "synced\n"
    writer.kill()
    writer.wait()
    with heard.open(uri) as store:
        assert store.drain(30)
        expected = sorted(f"mic|{n * 10**9}|{make.space}" for n in range(1_000))
        assert keys(uri, windows(make)) == expected
    assert heard.stored == []  # replays are not measured
    assert heard.failures == []


def test_with_the_store_away_the_flow_goes_on_and_close_leaves_the_rest_for_later(
    tmp_path: Path, make, heard: Heard, eventually: Eventually, ended: Ended
) -> None:
    process = StoreProcess(tmp_path / "x.db")
    address = process.ensure()
    pid = process.pid
    with heard.open(address, folder=tmp_path / "spools") as store:
        process.close()
        assert pid > 0
        os.kill(pid, signal.SIGKILL)
        assert ended(pid)
        store.append([make.pattern("p1"), make.pattern("p2")])
        store.sync()
        assert not store.drain(0.05)
        assert eventually(lambda: heard.failures)
        assert store.pending == 2
        assert [failure.reason for failure in heard.failures] == ["away"]
        assert address in heard.failures[0].detail
    (folder,) = (tmp_path / "spools").iterdir()
    assert len(Spool(folder).read(0)) == 2


def test_drain_waits_only_for_what_was_appended_before(shared: str, make, heard: Heard) -> None:
    with heard.open(shared) as store:
        stop = threading.Event()

        def go_on() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                store.append([make.occurrence("endless", float(number))])

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            assert store.drain(20)
        finally:
            stop.set()
            thread.join()


def test_a_torn_index_file_is_made_anew(tmp_path: Path, make, heard: Heard, ended: Ended) -> None:
    uri = str(tmp_path / "x.db")
    with heard.open(uri) as store:
        store.append([make.embedding(float(n)) for n in range(40)])
        assert store.drain(10)
        pid = pid_of(uri)
    assert ended(pid)
    (index,) = Path(uri).rglob("*.idx")
    os.truncate(index, index.stat().st_size // 2)
    with Queries(uri) as queries:
        (best,) = queries.search(make.vector(3_000), make.space, limit=1)
        assert (best["start_s"], best["score"]) == (3.0, 1.0)


def test_a_writer_that_ends_by_a_mistake_says_so_and_keeps_what_waits(
    shared: str, make, heard: Heard
) -> None:
    def mistaken(stored: list[Acknowledged]) -> None:
        raise LookupError(f"nobody expected {len(stored)}")

    with Store.open(shared, on_ack=mistaken, on_failure=heard.failures.append) as store:
        store.append([make.embedding(5_000.0, delivered_ns=7)])
        assert not store.drain(10)
        assert store.pending == 1
        assert store.failed is not None
        assert store.failed == heard.failures[0].detail
        assert "\n" not in store.failed
    assert [failure.reason for failure in heard.failures] == ["stopped"]
    assert "LookupError: nobody expected 1" in heard.failures[0].detail
    with heard.open(shared) as store:
        assert store.drain(10)
    assert heard.stored == []


def test_a_callback_that_raises_does_not_end_the_writer(shared: str, make) -> None:
    told: list[str] = []

    def broken(failure: Failure) -> None:
        told.append(failure.reason)
        raise LookupError("nobody listens")

    with Store.open(shared, on_failure=broken) as store:
        store.append([make.occurrence("endless", 1.0, score=float("inf"))])
        assert store.drain(10)
        store.append([make.pattern("after")])
        assert store.drain(10)
        assert store.failed is None
    assert told == ["rejected"]
    assert "after" in keys(shared, "patterns")


def test_what_the_disk_cannot_note_ends_nothing(shared: str, make, heard: Heard) -> None:
    with heard.open(shared) as store:
        note = store.folder / "spool" / "acknowledged"
        note.unlink(missing_ok=True)
        note.mkdir()
        for name in ("unnoted-1", "unnoted-2"):
            store.append([make.pattern(name)])
            assert store.drain(10)
        assert store.failed is None
        assert store.pending == 0
        note.rmdir()
    assert heard.failures == []
    with heard.open(shared) as store:
        assert store.pending == 0


def test_a_torn_tail_is_told_once_the_caller_listens(shared: str, make, heard: Heard) -> None:
    folder = state_dir(Path(shared)) / "spool"
    spool = Spool(folder)
    spool.append([b"\x09waits"])
    spool.close()
    with max(folder.glob("*.segment")).open("ab") as segment:
        segment.write(b"torn")
    with heard.open(shared) as store:
        assert heard.failures == []
        store.sync()
        assert store.drain(10)
    assert sorted(failure.reason for failure in heard.failures) == ["torn_tail", "unreadable"]


@pytest.fixture
def waiting(tmp_path: Path, make) -> Spool:
    """A spool in which something waits."""
    spool = Spool(tmp_path / "spool")
    spool.append([encode(make.pattern("waited"))])
    return spool


def test_a_spool_that_cannot_be_read_for_a_moment_is_read_later(
    shared: str, waiting: Spool
) -> None:
    (segment,) = waiting.folder.glob("*.segment")
    aside = segment.rename(segment.with_suffix(".aside"))
    told: list[str] = []

    def put_back(failure: Failure) -> None:
        told.append(failure.reason)
        aside.rename(segment)

    connection = Connection(shared)
    writer = Writer(connection, waiting, on_ack=lambda _: None, on_failure=put_back)
    writer.start()
    assert writer.drain(10)
    assert told == ["spool"]
    assert writer.failed is None
    writer.close()
    connection.close()
    assert "waited" in keys(shared, "patterns")


def test_a_spool_that_cannot_be_read_at_all_ends_the_writer_which_says_why(
    shared: str, waiting: Spool, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_writer, "_DISK_BACK_OFF_S", (0.0, 0.0))
    (segment,) = waiting.folder.glob("*.segment")
    segment.unlink()
    connection = Connection(shared)
    writer = Writer(connection, waiting, on_ack=lambda _: None, on_failure=heard.failures.append)
    writer.start()
    assert not writer.drain(10)
    assert [failure.reason for failure in heard.failures] == ["spool", "stopped"]
    assert writer.failed is not None
    assert f"cannot read the spool {waiting.folder}" in writer.failed
    writer.close()
    connection.close()


def test_closing_does_not_wait_for_a_store_process_that_does_not_start(
    tmp_path: Path, make, heard: Heard, eventually: Eventually, ended: Ended
) -> None:
    uri = str(tmp_path / "x.db")
    store = heard.open(uri)
    pid = pid_of(uri)
    with FileLock(state_dir(Path(uri)) / "start.lock") as starting:
        assert starting.acquire()  # somebody else is starting it, for as long as we like
        os.kill(pid, signal.SIGKILL)
        assert ended(pid)
        store.append([make.pattern("kept")])
        assert not store.drain(0.2)
        closing = threading.Thread(target=store.close)
        closing.start()
        assert eventually(lambda: not closing.is_alive())
    closing.join()
    with heard.open(uri) as store:
        assert store.drain(20)
    assert keys(uri, "patterns") == ["kept"]


def test_closing_leaves_a_call_that_never_returns(
    shared: str, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_writer, "_CLOSE_S", 0.1)
    entered, release = threading.Event(), threading.Event()

    def never(_: list[int]) -> None:
        entered.set()
        release.wait()

    store = Store.open(shared, on_ack=never)
    store.append([make.embedding(7_000.0, delivered_ns=1)])
    assert entered.wait(10)
    store.close()
    with Store.open(shared) as heir:  # the spool is free: it was given back whole
        assert heir.pending == 1
        release.set()
        assert heir.drain(10)
