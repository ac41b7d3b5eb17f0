import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from connectors.milvus.errors import StoreHeld, StoreUnreachable, StoreUnwritable
from connectors.milvus.process import ListenerLock, StoreProcess, embedded_path, state_dir

Program = Callable[..., "subprocess.Popen[str]"]
Ended = Callable[[int], bool]

USER = """
import sys
from pathlib import Path
from connectors.milvus.process import StoreProcess
process = StoreProcess(Path(sys.argv[1]))
process.ensure()
print(process.pid, flush=True)
sys.stdin.read()
"""


def test_simultaneous_starts_make_one_process_that_ends_with_its_last_user(
    tmp_path: Path, program: Program, ended: Ended
) -> None:
    store = tmp_path / "new" / "x.db"
    mine = [StoreProcess(store) for _ in range(3)]
    others = [program(USER, str(store)) for _ in range(2)]
    threads = [threading.Thread(target=process.ensure) for process in mine]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pid = mine[0].pid
    assert {process.pid for process in mine} == {pid}
    assert [int(other.stdout.readline()) for other in others if other.stdout] == [pid, pid]
    (uri,) = {process.ensure() for process in mine}
    content = json.loads((state_dir(store) / "server.json").read_text())
    assert content == {"version": 1, "pid": pid, "port": int(uri.rpartition(":")[2]), "error": ""}

    for process in mine:
        process.close()
    others[0].communicate()  # ends by itself
    others[1].kill()  # the kernel gives its lock back
    assert ended(pid)
    assert mine[0].pid == 0
    assert not (state_dir(store) / "server.json").exists()


def test_a_killed_process_is_started_again_by_the_next_ensure(tmp_path: Path, ended: Ended) -> None:
    process = StoreProcess(tmp_path / "x.db")
    for number in (signal.SIGKILL, signal.SIGTERM):
        process.ensure()
        pid = process.pid
        os.kill(pid, number)
        assert ended(pid)
        process.ensure()
        assert process.pid not in {0, pid}
    last = process.pid
    process.close()
    assert ended(last)


def test_a_store_that_the_engine_refuses_is_one_line_that_says_why(tmp_path: Path) -> None:
    store = tmp_path / "x.db"
    process = StoreProcess(store)
    with (store / "LOCK").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreUnreachable, match="another process holds the lock") as caught:
            process.ensure()
    process.close()
    assert "\n" not in str(caught.value)
    assert str(store) in str(caught.value)


def test_a_store_process_that_cannot_start_says_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    process = StoreProcess(tmp_path / "x.db")
    with pytest.raises(StoreUnreachable, match="it ended with status 1"):
        process.ensure()
    process.close()


def test_a_start_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    process = StoreProcess(tmp_path / "x.db")
    with pytest.raises(StoreUnreachable, match="not ready in time"):
        process.ensure(timeout_s=0.0)
    process.close()


def test_a_process_that_does_not_leave_is_not_waited_for_without_end(tmp_path: Path) -> None:
    store = tmp_path / "x.db"
    process = StoreProcess(store)
    with (state_dir(store) / "users.lock").open("w") as leaving:
        fcntl.flock(leaving, fcntl.LOCK_EX)
        with pytest.raises(StoreUnreachable, match="does not end"):
            process.ensure(timeout_s=0.05)


def test_who_waits_for_a_start_can_be_called_off(tmp_path: Path, eventually) -> None:
    store = tmp_path / "x.db"
    process = StoreProcess(store)
    told: list[str] = []

    def wait() -> None:
        with pytest.raises(StoreUnreachable) as caught:
            process.ensure()
        told.append(str(caught.value))

    with (state_dir(store) / "users.lock").open("w") as leaving:
        fcntl.flock(leaving, fcntl.LOCK_EX)
        thread = threading.Thread(target=wait)
        thread.start()
        process.interrupt()
        assert eventually(lambda: told)
        thread.join()
    assert "not waited for any more" in told[0]
    process.close()


def test_a_start_that_met_somebody_looking_at_the_lock_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, python = tmp_path / "once", tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ntest -e {once} || {{ touch {once}; exit 75; }}\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    process = StoreProcess(tmp_path / "x.db")
    assert process.ensure().startswith("http://127.0.0.1:")
    assert once.exists()
    process.close()


def test_pings_between_calls_are_permitted(tmp_path: Path) -> None:
    process = StoreProcess(tmp_path / "x.db")
    options = {
        "grpc.keepalive_time_ms": 50,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,
    }
    address = process.ensure().removeprefix("http://")
    ready, sent_away = threading.Event(), threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        if state is grpc.ChannelConnectivity.READY:
            ready.set()
        elif ready.is_set():
            sent_away.set()

    with grpc.insecure_channel(address, options=list(options.items())) as channel:
        channel.subscribe(note, try_to_connect=True)
        assert ready.wait(10)
        assert not sent_away.wait(1.0)  # the third ping would do
    process.close()


@pytest.mark.parametrize("place", ["file/x.db", "file"])
def test_an_unwritable_place_is_one_line_with_place_and_remedy(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnwritable, match="--store") as caught:
        StoreProcess(tmp_path / place)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / place) in str(caught.value)


def test_only_paths_ending_in_db_are_embedded() -> None:
    assert embedded_path("/a/x.db") == Path("/a/x.db")
    assert embedded_path("x.db") == Path.cwd() / "x.db"
    assert embedded_path("http://localhost:19530") is None


LISTENER = """
import sys
from pathlib import Path
from connectors.milvus.process import ListenerLock
lock = ListenerLock(Path(sys.argv[1]))
print("listening", flush=True)
sys.stdin.read()
"""


def test_a_second_listener_is_refused_with_the_pid_and_since_when_of_the_first(
    tmp_path: Path, program: Program
) -> None:
    store = tmp_path / "x.db"
    holder = program(LISTENER, str(store))
    assert holder.stdout
    assert holder.stdout.readline() == "listening\n"
    with pytest.raises(StoreHeld, match=f"process {holder.pid} since 20") as caught:
        ListenerLock(store)
    assert caught.value.pid == holder.pid
    assert caught.value.since
    assert "\n" not in str(caught.value)

    holder.kill()
    holder.wait()
    lock = ListenerLock(store)
    (state_dir(store) / "listener.lock").write_text("torn")
    with pytest.raises(StoreHeld, match="another process"):
        ListenerLock(store)
    lock.release()
    ListenerLock(store).release()
