import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from connectors.clips import Clips
from operators.records import ANALYSIS_RATE_HZ, Floats

MANY = 1 << 30


def noise(seconds: float = 0.2, seed: int = 0) -> Floats:
    samples = np.random.default_rng(seed).uniform(-1, 1, round(seconds * ANALYSIS_RATE_HZ))
    return samples.astype(np.float32)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_clip_is_kept_as_a_file_that_sounds_the_same(tmp_path: Path) -> None:
    clips = Clips(tmp_path / "deep" / "clips", MANY)
    clip = noise()
    assert clips.keep("p1", clip) == "p1.flac"
    found, rate_hz = soundfile.read(clips.folder / "p1.flac", dtype="float32")
    assert rate_hz == ANALYSIS_RATE_HZ
    np.testing.assert_allclose(found, clip, atol=1.01 / 32_768)
    assert names(clips.folder) == ["p1.flac"]


def test_sixteen_bits_survive_exactly_and_loud_samples_are_limited(tmp_path: Path) -> None:
    clips = Clips(tmp_path, MANY)
    clip = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 3.0, 1 / 32_768] * 10, np.float32)
    clips.keep("p1", clip, 16_000)
    found, rate_hz = soundfile.read(tmp_path / "p1.flac", dtype="int16")
    assert rate_hz == 16_000
    assert found[:7].tolist() == [0, 16_384, -16_384, 32_767, -32_768, 32_767, 1]


def test_the_same_clip_gives_the_same_bytes_and_a_newer_one_takes_its_place(
    tmp_path: Path,
) -> None:
    clips = Clips(tmp_path, MANY)
    clips.keep("p1", noise())
    first = (tmp_path / "p1.flac").read_bytes()
    clips.keep("p1", noise())
    assert (tmp_path / "p1.flac").read_bytes() == first
    clips.keep("p1", noise(seed=1))
    assert (tmp_path / "p1.flac").read_bytes() != first
    assert names(tmp_path) == ["p1.flac"]


def test_only_the_owner_may_listen(tmp_path: Path) -> None:
    clips = Clips(tmp_path / "clips", MANY)
    clips.keep("p1", noise())
    assert stat.S_IMODE(clips.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((clips.folder / "p1.flac").stat().st_mode) == 0o600


def age(file: Path, seconds: float) -> None:
    then = file.stat().st_mtime - seconds
    os.utime(file, (then, then))


def test_the_oldest_clips_go_when_there_is_no_room(tmp_path: Path) -> None:
    sizer = Clips(tmp_path / "sizes", MANY)
    sizer.keep("x", noise())
    size = (sizer.folder / "x.flac").stat().st_size
    clips = Clips(tmp_path / "clips", round(3.5 * size))
    for k, name in enumerate("abc"):
        clips.keep(name, noise(seed=k))
        age(clips.folder / f"{name}.flac", 100 - k)
    clips.keep("a", noise(seed=7))  # the newest now, in its own place
    assert names(clips.folder) == ["a.flac", "b.flac", "c.flac"]
    clips.keep("d", noise(seed=8))
    assert names(clips.folder) == ["a.flac", "c.flac", "d.flac"]
    assert sum(f.stat().st_size for f in clips.folder.iterdir()) <= 3.5 * size


def test_a_clip_that_is_larger_than_all_may_be_is_refused_and_nothing_removed(
    tmp_path: Path,
) -> None:
    clips = Clips(tmp_path, 60_000)
    clips.keep("a", noise())
    with pytest.raises(ValueError, match=r"b\.flac has \d+ bytes.*raise clips\.max_mb"):
        clips.keep("b", noise(5.0))
    assert names(tmp_path) == ["a.flac"]


@pytest.mark.parametrize("name", ["", "../p", "a/b", ".p", "p\n", "x" * 65])
def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    clips = Clips(tmp_path, MANY)
    with pytest.raises(ValueError, match="clip name"):
        clips.keep(name, noise())
    assert names(tmp_path) == []


def test_what_cannot_be_written_leaves_the_older_clip_alone(tmp_path: Path) -> None:
    clips = Clips(tmp_path, MANY)
    clips.keep("p", noise())
    before = (tmp_path / "p.flac").read_bytes()
    with pytest.raises(OSError, match="clip p cannot be written"):
        clips.keep("p", noise(), rate_hz=10**9)  # no such rate in this format
    assert (tmp_path / "p.flac").read_bytes() == before
    assert names(tmp_path) == ["p.flac"]


def test_what_a_crash_left_behind_is_cleared_once_nobody_can_be_at_it(tmp_path: Path) -> None:
    for name, seconds in ((".p-old.flac", 7_200.0), (".p-new.flac", 0.0)):
        (tmp_path / name).write_bytes(b"half")
        age(tmp_path / name, seconds)
    (tmp_path / "note.txt").write_text("mine")
    Clips(tmp_path, MANY)
    assert names(tmp_path) == [".p-new.flac", "note.txt"]


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file")
    with pytest.raises(OSError, match="clips"):
        Clips(tmp_path / "clips", MANY)


def test_a_folder_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    folder.chmod(0o755)
    Clips(folder, MANY)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_is_not_ours_to_close_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "clips").mkdir()
    (tmp_path / "clips").chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    assert Clips(tmp_path / "clips", MANY).keep("p1", noise()) == "p1.flac"


def test_clips_that_vanish_while_room_is_made_are_passed_over(tmp_path: Path) -> None:
    # A link to nothing is found in the folder, and is gone when asked about.
    for name in ("gone.flac", ".gone.flac"):
        (tmp_path / name).symlink_to("nowhere")
    clips = Clips(tmp_path, MANY)
    assert clips.keep("p1", noise()) == "p1.flac"


def test_two_clips_that_come_at_once_stay_within_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizer = Clips(tmp_path / "sizes", MANY)
    sizer.keep("x", noise())
    size = (sizer.folder / "x.flac").stat().st_size
    clips = Clips(tmp_path / "clips", round(1.5 * size))
    rename, begun, both = Path.rename, threading.Event(), threading.Event()

    def slowly(self: Path, target: Path) -> Path:
        """The first one dawdles between making room and taking it."""
        if begun.is_set():
            both.set()
        else:
            begun.set()
            both.wait(0.3)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", slowly)
    other = threading.Thread(target=clips.keep, args=("a", noise()))
    other.start()
    assert begun.wait(30)
    clips.keep("b", noise(seed=1))
    other.join(30)
    assert len(names(clips.folder)) == 1
