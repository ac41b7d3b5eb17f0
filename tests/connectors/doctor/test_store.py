import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.doctor.asked import Asked, AskedStore
from connectors.doctor.finding import Finding
from connectors.doctor.store import check
from connectors.milvus.process import StoreProcess, state_dir

Program = Callable[..., "subprocess.Popen[str]"]
PATIENCE_S = 60.0
LISTENER = """
import sys
from pathlib import Path
from connectors.milvus.process import ListenerLock
lock = ListenerLock(Path(sys.argv[1]))
print("listening", flush=True)
sys.stdin.read()
"""


def found(
    uri: object, *, patience_s: float = PATIENCE_S, shown: str = "", spool_mb: int = 0
) -> Finding:
    store = AskedStore(str(uri), shown or str(uri), spool_mb=spool_mb)
    (finding,) = check(Asked(store=store), patience_s)
    return finding


def tree(folder: Path) -> list[tuple[str, int]]:
    """Everything below a folder, and when it was changed, but for the folders' own times."""
    return sorted(
        (str(path), 0 if path.is_dir() else path.stat().st_mtime_ns) for path in folder.rglob("*")
    )


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    finding = found(tmp_path / "new" / "deeper" / "x.db")
    assert finding.status == "ok"
    assert f"{tmp_path}/new/deeper/x.db is made when something is heard" in finding.detail
    assert "GB free" in finding.detail
    assert tree(tmp_path) == []


def test_a_store_that_is_there_is_left_as_it_is(
    tmp_path: Path, ended: Callable[[int], bool]
) -> None:
    store = tmp_path / "x.db"
    process = StoreProcess(store)
    process.ensure()
    pid = process.pid
    process.close()
    assert ended(pid)
    before = tree(tmp_path)
    finding = found(store)
    assert finding.status == "ok"
    assert f"{store} is there" in finding.detail
    assert tree(tmp_path) == before
    assert process.pid == 0


@pytest.mark.parametrize("place", ["file/x.db", "file/deeper/x.db", "file.db"])
def test_a_place_that_cannot_be_written_is_said_in_the_listeners_words(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file.db").touch()
    before = tree(tmp_path)
    finding = found(tmp_path / place)
    assert finding.status == "broken"
    assert str(tmp_path / place) in finding.detail
    assert "--store" in str(finding.remedy)
    assert tree(tmp_path) == before


def test_a_store_that_is_listened_into_names_the_listener(tmp_path: Path, program: Program) -> None:
    store = tmp_path / "x.db"
    holder = program(LISTENER, str(store))
    assert holder.stdout
    assert holder.stdout.readline() == "listening\n"
    lock = state_dir(store) / "listener.lock"
    written = lock.read_bytes()
    finding = found(store)
    assert finding.status == "broken"
    assert f"{store} is being listened into by process {holder.pid} since 20" in finding.detail
    assert "another store" in str(finding.remedy)
    assert lock.read_bytes() == written

    holder.kill()
    holder.wait()
    assert found(store).status == "ok"
    assert lock.read_bytes() == written


def test_little_room_is_a_note(tmp_path: Path) -> None:
    finding = found(tmp_path / "x.db", spool_mb=1 << 40)
    assert finding.status == "note"
    assert "MB free" in finding.detail
    assert "store.spool_mb" in str(finding.remedy)


def test_a_server_that_answers_says_its_version(tmp_path: Path) -> None:
    process = StoreProcess(tmp_path / "x.db")
    uri = process.ensure()
    finding = found(uri)
    process.close()
    assert finding.status == "ok"
    assert finding.detail.startswith("Milvus ")
    assert finding.detail.endswith(f" at {uri}")


def test_a_server_that_is_not_there_names_the_remedy(nobody: str) -> None:
    finding = found(f"http://{nobody}")
    assert finding.status == "broken"
    assert finding.detail == f"no store answers at http://{nobody}: Connection refused"
    assert "--store" in str(finding.remedy)


def test_a_server_that_says_nothing_is_given_up(black_hole: str) -> None:
    finding = found(f"http://{black_hole}", patience_s=0.1)
    assert finding.status == "broken"
    assert finding.detail == f"no store answers at http://{black_hole} within 0.1 s"


def test_a_secret_in_the_address_is_not_shown(black_hole: str) -> None:
    for address, patience_s in ((black_hole, 0.1), (":1", PATIENCE_S)):
        shown = f"tcp://***@{address}"
        finding = found(f"tcp://root:hunter2@{address}", shown=shown, patience_s=patience_s)
        assert finding.status == "broken"
        assert shown in finding.detail
        assert "hunter2" not in f"{finding.detail}{finding.remedy}"


def test_no_store_is_asked_for() -> None:
    assert list(check(Asked(), PATIENCE_S)) == []
