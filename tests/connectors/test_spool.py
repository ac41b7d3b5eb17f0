import logging
import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectors.framing import frame
from connectors.spool import Spool, SpoolError, SpoolFullError, SpoolHeldError
from operators.records import Failure


def payloads(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    position = spool.acknowledged
    while entries := spool.read(position):
        found += [entry.payload for entry in entries]
        position = entries[-1].position
    return found


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.segment"))


class SpoolAgainstAList(RuleBasedStateMachine):
    """The spool does what a list of payloads with an acknowledged prefix does."""

    @initialize(segment_bytes=st.integers(20, 200))
    def begin(self, segment_bytes: int) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="spool-"))
        self.generation = 0
        self.segment_bytes = segment_bytes
        self.entries: list[tuple[int, bytes]] = []
        self.acknowledged = self.end = self.synced = 0
        self.failures: list[Failure] = []
        self.spool = self.open()

    @property
    def folder(self) -> Path:
        return self.root / str(self.generation)

    def open(self) -> Spool:
        return Spool(self.folder, segment_bytes=self.segment_bytes, on_failure=self.failures.append)

    @rule(new=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4))
    def append(self, new: list[bytes]) -> None:
        rolls = self.spool.append(new)
        for payload in new:
            self.end += len(frame(payload))
            self.entries.append((self.end, payload))
        assert rolls == self.end

    @rule()
    def sync(self) -> None:
        self.spool.sync()
        self.synced = self.end

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        waiting = [position for position, _ in self.entries if position > self.acknowledged]
        if waiting:
            self.acknowledged = data.draw(st.sampled_from(waiting))
            self.spool.acknowledge(self.acknowledged)

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.synced = self.end
        self.spool = self.open()
        assert self.failures == []

    @rule(data=st.data())
    def lose_power(self, data: st.DataObject) -> None:
        newest = max((int(path.stem) for path in segments(self.folder)), default=self.end)
        cut = data.draw(st.integers(min(max(self.synced, newest), self.end), self.end))
        before = self.folder
        self.generation += 1
        shutil.copytree(before, self.folder)
        self.spool.close()
        if cut > newest:
            os.truncate(self.folder / f"{newest:020d}.segment", cut - newest)
        elif segments(self.folder) and cut == newest:
            os.truncate(segments(self.folder)[-1], 0)
        self.entries = [entry for entry in self.entries if entry[0] <= cut]
        whole = max((position for position, _ in self.entries), default=newest)
        torn = cut > max(whole, newest)
        self.spool = self.open()
        assert [failure.reason for failure in self.failures] == ["torn_tail"] * torn
        self.failures.clear()
        assert self.spool.end >= self.acknowledged
        self.end = self.synced = self.spool.end

    @invariant()
    def replays_what_is_not_acknowledged(self) -> None:
        expected = [payload for position, payload in self.entries if position > self.acknowledged]
        assert payloads(self.spool) == expected
        assert self.spool.end == self.end
        assert self.spool.acknowledged == self.acknowledged
        assert self.failures == []

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.root, ignore_errors=True)


TestSpoolAgainstAList = SpoolAgainstAList.TestCase
TestSpoolAgainstAList.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_entries_come_back_in_order_after_the_process_died_without_closing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"one", b"two"])
    spool._lock.release()  # what the kernel does for a dead process
    assert payloads(Spool(tmp_path)) == [b"one", b"two"]


def test_acknowledged_segments_are_deleted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=50)
    for number in range(10):
        spool.append([b"x" * 40])
        assert len(segments(tmp_path)) <= 2
        spool.acknowledge(spool.end)
        assert spool.entries == number + 1


def test_entries_waiting_at_the_opening_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=50)
    position = spool.append([b"x" * 40])
    spool.append([b"y" * 40, b"z"])
    spool.acknowledge(position)
    spool.close()
    assert Spool(tmp_path).entries == 2


def test_a_damaged_entry_in_the_middle_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"first", b"second", b"third"])
    spool.close()
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b"second", b"sec0nd"))
    told: list[Failure] = []
    spool = Spool(tmp_path, on_failure=told.append)
    assert payloads(spool) == [b"first", b"third"]
    assert [failure.reason for failure in told] == ["damaged"]
    assert str(path) in told[0].detail
    assert told[0].stage == "spool"


def test_a_damaged_segment_is_told_and_the_next_one_is_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=10)
    spool.append([b"lost"])
    spool.append([b"kept"])
    spool.close()
    path = segments(tmp_path)[0]
    path.write_bytes(bytes(path.stat().st_size))
    told: list[Failure] = []
    spool = Spool(tmp_path, on_failure=told.append)
    assert payloads(spool) == [b"kept"]
    assert [failure.reason for failure in told] == ["damaged"]


def test_a_long_damaged_stretch_is_crossed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"a", b"b" * 5000, b"c"])
    spool.close()
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b"b" * 5000, b"B" * 5000))
    spool = Spool(tmp_path)
    first = spool.read(0, max_bytes=20)
    assert [entry.payload for entry in first] == [b"a"]
    assert [e.payload for e in spool.read(first[-1].position, max_bytes=20)] == [b"c"]


def test_a_missing_segment_is_stepped_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=10)
    for payload in (b"one", b"two", b"three"):
        spool.append([payload])
    spool.close()
    segments(tmp_path)[1].unlink()
    assert payloads(Spool(tmp_path)) == [b"one", b"three"]


def test_an_entry_larger_than_the_buffer_is_read_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"x" * 10_000, b"y"])
    assert spool.read(0, max_bytes=100)[0].payload == b"x" * 10_000


def test_reading_takes_about_as_much_as_was_asked_for(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([bytes([n + 1]) * 100 for n in range(50)])
    assert 1 <= len(spool.read(0, max_bytes=1_000)) <= 10


def test_a_damaged_acknowledgement_replays_everything_that_is_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.acknowledge(spool.append([b"stored"]))
    spool.append([b"waiting"])
    spool.close()
    (tmp_path / "acknowledged").write_bytes(b"nonsense")
    assert payloads(Spool(tmp_path)) == [b"stored", b"waiting"]


def test_full_comes_before_the_bound_and_the_bound_refuses_all_or_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=1_000)
    spool.append([b"x" * 800])
    assert not spool.full
    end = spool.append([b"y" * 80])
    assert spool.full
    with pytest.raises(SpoolFullError, match="full"):
        spool.append([b"z", b"z" * 200])
    assert spool.end == end
    spool.acknowledge(end)
    assert not spool.full
    spool.append([b"z" * 200])
    assert payloads(spool) == [b"z" * 200]


def test_a_disk_that_refuses_leaves_the_log_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"before"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, hard))
    try:
        with pytest.raises(SpoolError, match="File too large"):
            spool.append([b"x" * 500])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    spool.append([b"after"])
    assert payloads(spool) == [b"before", b"after"]
    spool.close()
    assert payloads(Spool(tmp_path)) == [b"before", b"after"]


def test_a_folder_that_cannot_be_made_gives_one_line_with_path_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match=r"file/spool.*make that folder writable") as caught:
        Spool(tmp_path / "file" / "spool")
    assert "\n" not in str(caught.value)


def test_a_folder_in_use_is_refused_until_it_is_given_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(SpoolHeldError, match="in use"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_only_what_was_appended_can_be_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    end = spool.append([b"x"])
    with pytest.raises(ValueError, match="beyond"):
        spool.acknowledge(end + 1)
    spool.acknowledge(end)
    spool.acknowledge(0)
    assert spool.acknowledged == end


def test_appending_nothing_changes_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.append([]) == 0
    assert segments(tmp_path) == []
    assert spool.read(0) == []
    assert spool.folder == tmp_path


def test_a_disk_that_cannot_note_what_is_stored_costs_a_longer_replay_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path)
    in_the_way = tmp_path / "acknowledged"
    in_the_way.mkdir()
    first = spool.append([b"one"])
    second = spool.append([b"two"])
    third = spool.append([b"three"])
    with caplog.at_level(logging.WARNING):
        spool.acknowledge(first)
        spool.acknowledge(second)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(tmp_path) in caplog.text
    assert spool.acknowledged == second
    assert payloads(spool) == [b"three"]
    in_the_way.rmdir()
    spool.close()  # tries once more
    spool = Spool(tmp_path)
    assert payloads(spool) == [b"three"]
    spool.acknowledge(third)
    spool.close()
    assert payloads(Spool(tmp_path)) == []


def test_without_room_an_older_note_stays_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    first = spool.append([b"one"])
    spool.acknowledge(first)
    second = spool.append([b"two"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        spool.acknowledge(second)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert spool.acknowledged == second
    spool._lock.release()  # what the kernel does for a dead process
    assert payloads(Spool(tmp_path)) == [b"two"]


def test_a_closed_spool_touches_nothing_any_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    end = spool.append([b"one"])
    spool.close()
    spool.close()
    heir = Spool(tmp_path)
    with pytest.raises(SpoolError, match="closed"):
        spool.acknowledge(end)
    with pytest.raises(SpoolError, match="closed"):
        spool.append([b"two"])
    assert payloads(heir) == [b"one"]
