import os
from pathlib import Path

import pytest

from connectors.locks import FileLock


def test_an_exclusive_lock_excludes_and_release_lets_the_next_one_in(tmp_path: Path) -> None:
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire()
    assert not two.acquire()
    assert not two.held
    one.release()
    assert two.acquire()


def test_shared_locks_share_and_keep_an_exclusive_one_out(tmp_path: Path) -> None:
    one, two, three = (FileLock(tmp_path / "lock") for _ in range(3))
    assert one.acquire(shared=True)
    assert two.acquire(shared=True)
    assert not three.acquire(timeout_s=0.02)


def test_a_lock_on_a_deleted_file_is_stale_and_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    old, new = FileLock(path), FileLock(path)
    assert old.acquire()
    assert not old.stale
    path.unlink()
    assert old.stale
    assert new.acquire()
    assert old.stale


def test_what_the_holder_wrote_can_be_read_by_others(tmp_path: Path) -> None:
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert two.read() == b""
    with one:
        assert one.acquire()
        one.write(b"a longer text")
        one.write(b"mine")
        assert two.read() == b"mine"
    assert not one.held


def test_a_lock_is_not_inherited_by_a_new_program(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    assert not os.get_inheritable(lock._descriptor)


def test_a_folder_that_cannot_be_written_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        FileLock(tmp_path / "no" / "lock").acquire()
