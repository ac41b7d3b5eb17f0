"""Against a server: Milvus Lite behind a service that says it is one, and refuses as told."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.db import MilvusLite
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

from connectors.entries import encode
from connectors.milvus import sender, writer
from connectors.milvus.connection import Connection
from connectors.milvus.errors import StoreUnreachable
from connectors.milvus.queries import Queries
from connectors.milvus.rows import Write, write_of
from connectors.milvus.sender import Sender, StoppedError
from connectors.milvus.writer import Writer
from connectors.spool import Spool
from operators.records import Failure

Refuse = Callable[[str, str], int]


class Server(MilvusServicer):
    """``refuse``: given a call and the text of its request, a code, or 0 to let it pass."""

    def __init__(self, engine: MilvusLite) -> None:
        super().__init__(engine)
        self.refuse: Refuse = lambda _call, _request: 0
        self.address = ""

    def _status(self, call: str, request: object) -> common_pb2.Status | None:
        code = self.refuse(call, str(request))
        retriable = code in {1, 2, 4, 8}
        return common_pb2.Status(code=code, reason="as told", retriable=retriable) if code else None

    def GetVersion(self, request, context):
        status = common_pb2.Status(code=0)
        return milvus_pb2.GetVersionResponse(status=status, version="v2.5.4")

    def Upsert(self, request, context):
        status = self._status("upsert", request)
        return (
            milvus_pb2.MutationResult(status=status) if status else super().Upsert(request, context)
        )

    def Query(self, request, context):
        status = self._status("query", request)
        return milvus_pb2.QueryResults(status=status) if status else super().Query(request, context)

    def ShowCollections(self, request, context):
        status = self._status("list", request)
        return (
            milvus_pb2.ShowCollectionsResponse(status=status)
            if status
            else super().ShowCollections(request, context)
        )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    engine = MilvusLite(str(tmp_path / "server.db"))
    service = Server(engine)
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(service, server)
    service.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(None).wait()
    engine.close()


class Clock:
    """Ten seconds pass between two looks; ends the sender after so many."""

    def __init__(self, stop: threading.Event, looks: int = 10_000) -> None:
        self.now_s = 0.0
        self._stop = stop
        self._left = looks

    def __call__(self) -> float:
        self.now_s += 10.0
        self._left -= 1
        if not self._left:
            self._stop.set()
        return self.now_s


class Sending:
    """A sender with all there is to see of it."""

    def __init__(self, server: Server, *, looks: int = 10_000) -> None:
        self.told: list[Failure] = []
        self.waiting: list[Write] = []
        self.connection = Connection(server.address)
        self.stop = threading.Event()
        self.clock = Clock(self.stop, looks)
        self.sender = Sender(
            self.connection,
            stop=self.stop,
            tell=self.told.append,
            another=lambda _: next(iter(self.waiting), None),
            clock=self.clock,
        )

    @property
    def buried(self) -> list[str]:
        return [told.detail for told in self.told if told.reason == "rejected"]


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_BACK_OFF_S", (0.0,))


def stored(server: Server) -> list[str]:
    server.refuse = lambda _call, _request: 0
    with Queries(server.address) as queries:
        return [row["pattern"] for row in queries.patterns()]


def writes(make, *names: str) -> list[Write]:
    return [write_of(make.pattern(name)) for name in names]


@pytest.mark.parametrize("code", [1, 4, 6])
def test_a_server_that_is_starting_or_busy_is_waited_for_and_nothing_is_buried(
    server: Server, make, code: int
) -> None:
    refusals = itertools.chain([code] * 7, itertools.repeat(0))
    server.refuse = lambda call, _: next(refusals) if call == "upsert" else 0
    sending = Sending(server)
    assert sending.sender.send(writes(make, "a", "b", "c")) == set()
    assert sending.buried == []
    assert stored(server) == ["a", "b", "c"]
    sending.connection.close()


def test_a_row_under_doubt_is_buried_only_after_a_minute_while_others_are_taken(
    server: Server, make
) -> None:
    refused: list[float] = []
    sending = Sending(server)

    def refuse(call: str, request: str) -> int:
        if call != "upsert" or "cursed" not in request:
            return 0
        refused.append(sending.clock.now_s)
        return 65_535

    server.refuse = refuse
    assert sending.sender.send(writes(make, "a", "cursed", "b", "c")) == {"cursed"}
    assert len(sending.buried) == 1
    assert "the row cursed of patterns" in sending.buried[0]
    assert refused[-1] - refused[0] >= 50.0
    assert stored(server) == ["a", "b", "c"]
    sending.connection.close()


def test_a_store_that_answers_everything_unexpectedly_for_hours_costs_no_row(
    server: Server, make
) -> None:
    sending = Sending(server)
    server.refuse = lambda call, _: 65_535 * (call == "upsert" and sending.clock.now_s < 1_000.0)
    assert sending.sender.send(writes(make, "a", "b", "c")) == set()
    assert sending.clock.now_s >= 1_000.0
    assert [told.reason for told in sending.told] == ["away"]
    assert stored(server) == ["a", "b", "c"]
    sending.connection.close()


def test_a_row_alone_is_judged_by_one_that_waits_behind_it(server: Server, make) -> None:
    sending = Sending(server)
    server.refuse = lambda call, request: 65_535 * (call == "upsert" and "cursed" in request)
    sending.waiting = writes(make, "behind")
    assert sending.sender.send(writes(make, "cursed")) == {"cursed"}
    assert stored(server) == ["behind"]
    sending.connection.close()


def test_without_a_witness_a_row_is_tried_until_the_end(server: Server, make) -> None:
    sending = Sending(server, looks=40)
    server.refuse = lambda call, request: 65_535 * (call == "upsert" and "cursed" in request)
    with pytest.raises(StoppedError):
        sending.sender.send(writes(make, "cursed"))
    assert sending.clock.now_s == 400.0
    assert sending.buried == []
    sending.connection.close()


def test_a_deleted_row_is_no_witness(server: Server, make) -> None:
    sending = Sending(server, looks=40)
    there, gone = make.relation("a", "b"), make.relation("a", "b", withdrawn=True)
    sending.sender.send([write_of(there)])
    sending.sender.send([write_of(gone)])
    server.refuse = lambda call, request: 65_535 * (call == "upsert" and "cursed" in request)
    with pytest.raises(StoppedError):
        sending.sender.send([write_of(make.relation("cursed", "b"))])
    server.refuse = lambda _call, _request: 0
    with Queries(server.address) as queries:
        assert queries.relations() == []
    sending.connection.close()


def test_a_busy_server_does_not_look_empty_to_a_reader(server: Server, make) -> None:
    sending = Sending(server)
    sending.sender.send(writes(make, "a"))
    with Queries(server.address) as queries:
        refusals = itertools.chain([4, 1], itertools.repeat(0))
        server.refuse = lambda call, _: next(refusals) if call == "query" else 0
        assert [row["pattern"] for row in queries.patterns()] == ["a"]
    sending.connection.close()


def test_a_server_that_is_just_starting_is_waited_for_when_opening(server: Server) -> None:
    refusals = itertools.chain([1, 1], itertools.repeat(0))
    server.refuse = lambda call, _: next(refusals) if call == "list" else 0
    connection = Connection(server.address)
    assert connection.first_answer(lambda client: client.list_collections(timeout=5)) == []
    assert not connection.lite
    connection.close()


def test_a_server_that_refuses_us_is_told_at_once_when_opening(server: Server) -> None:
    server.refuse = lambda call, _: 1_400 * (call == "list")
    connection = Connection(server.address)
    with pytest.raises(StoreUnreachable, match=f"the store {server.address} refuses: as told"):
        connection.first_answer(lambda client: client.list_collections(timeout=5))
    connection.close()


def test_the_writer_finds_the_witness_among_what_waits(
    server: Server, make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_DOUBT_S", 0.0)
    cursed = make.pattern("cursed", template=bytes(3_000))
    behind = [make.occurrence("p", 1.0), make.pattern("behind")]
    server.refuse = lambda call, request: 65_535 * (call == "upsert" and "cursed" in request)
    spool = Spool(tmp_path / "spool")
    spool.append([encode(cursed), b"\x09from the future", *map(encode, behind)])
    monkeypatch.setattr(writer, "_BATCH_BYTES", len(encode(cursed)) + 50)
    connection, told = Connection(server.address), []
    carrying = Writer(
        connection,
        spool,
        on_ack=lambda _: None,
        on_failure=lambda failure: told.append(failure.reason),
    )
    carrying.start()
    assert carrying.drain(20)
    carrying.close()
    connection.close()
    assert sorted(told) == ["rejected", "unreadable"]
    assert stored(server) == ["behind"]
