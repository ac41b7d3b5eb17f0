"""A folder listed by a thread: what its looks add up to, and when it stops."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.chunks import Clock
from connectors.lookout import Lookout
from connectors.settle import Look, Stamp

Eventually = Callable[[Callable[[], object]], bool]
STOPPED = Clock(lambda: 7, lambda: 3)


def wanted(name: str) -> bool:
    return name.endswith(".wav")


def stamp(path: Path) -> Stamp:
    return Stamp(path.stat().st_size, path.stat().st_mtime_ns)


class Watcher:
    """Takes looks and adds them up."""

    def __init__(self, folder: Path, eventually: Eventually, known: dict[str, Stamp]) -> None:
        self.lookout = Lookout(folder, wanted, STOPPED, dict(known), 0.0)
        self.there = known
        self.looks: list[Look | OSError] = []
        self._eventually = eventually

    def until(self, condition: Callable[[], object]) -> None:
        assert self._eventually(lambda: self._take() or condition())

    def _take(self) -> None:
        look = self.lookout.take()
        if look is not None:
            self.looks.append(look)
        if isinstance(look, Look):
            self.there |= look.seen
            for name in look.gone:
                del self.there[name]


@pytest.fixture
def watch(tmp_path: Path, eventually: Eventually) -> Iterator[Callable[..., Watcher]]:
    watchers: list[Watcher] = []

    def start(known: dict[str, Stamp] | None = None) -> Watcher:
        watchers.append(Watcher(tmp_path, eventually, known or {}))
        return watchers[-1]

    yield start
    for watcher in watchers:
        watcher.lookout.close()


def test_looks_add_up_to_the_regular_files_of_interest(
    tmp_path: Path, watch: Callable[..., Watcher]
) -> None:
    a, b = tmp_path / "a.wav", tmp_path / "b.wav"
    a.write_bytes(b"1")
    (tmp_path / "c.txt").write_bytes(b"1")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "broken.wav").symlink_to("nothing")
    (tmp_path / "linked.wav").symlink_to(a)
    watcher = watch()
    first = {"a.wav": stamp(a), "linked.wav": stamp(a)}
    watcher.until(lambda: watcher.there == first)
    assert watcher.looks[0] == Look(3, 3, 7, first, set())
    b.write_bytes(b"22")
    a.write_bytes(b"333")
    watcher.until(lambda: watcher.there == {name: stamp(a) for name in first} | {"b.wav": stamp(b)})
    a.unlink()
    watcher.until(lambda: watcher.there == {"b.wav": stamp(b)})


def test_the_first_look_is_new_against_what_is_known(
    tmp_path: Path, watch: Callable[..., Watcher]
) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    known = {"a.wav": stamp(tmp_path / "a.wav"), "gone.wav": Stamp(1, 1)}
    watcher = watch(known)
    watcher.until(lambda: watcher.looks)
    assert watcher.looks[0] == Look(3, 3, 7, {}, {"gone.wav"})


def test_a_folder_that_cannot_be_listed_forgets_nothing(
    tmp_path: Path, eventually: Eventually
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"1")
    watcher = Watcher(folder, eventually, {})
    watcher.until(lambda: watcher.there)
    folder.rename(tmp_path / "away")
    watcher.until(lambda: isinstance(watcher.looks[-1], FileNotFoundError))
    (tmp_path / "away").rename(folder)
    watcher.until(lambda: isinstance(watcher.looks[-1], Look))
    assert watcher.looks[-1] == Look(3, 3, 7, {}, set())
    assert list(watcher.there) == ["a.wav"]
    watcher.lookout.close()


def test_closing_ends_the_thread_even_where_nothing_is_taken(
    tmp_path: Path, eventually: Eventually
) -> None:
    lookout = Lookout(tmp_path, wanted, STOPPED, {}, 0.0)
    lookout.close()
    lookout.close()
    assert eventually(lambda: all(thread.name != "watch" for thread in threading.enumerate()))
