"""Which files of a folder are heard."""

import logging
import os
from pathlib import Path

import pytest

from connectors.decode import DecodeError
from connectors.folder import audio_files


def test_audio_comes_in_name_order_and_the_rest_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("b.wav", "a.FLAC", "c.m4a", "notes.txt", "take.raw", "._b.wav", "d.opus"):
        (tmp_path / name).touch()
    (tmp_path / "e.wav").mkdir()
    with caplog.at_level(logging.DEBUG, "connectors.folder"):
        found = audio_files(tmp_path)
    assert [path.name for path in found] == ["a.FLAC", "b.wav", "c.m4a", "d.opus"]
    assert "notes.txt" in caplog.text
    assert "c.m4a" not in caplog.text


def test_one_file_is_itself_whatever_it_is_called(tmp_path: Path) -> None:
    assert audio_files(tmp_path / "data.bin") == [tmp_path / "data.bin"]


def test_a_folder_that_cannot_be_listed_is_unreadable(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0)
    tmp_path.chmod(0o755)
    root = os.geteuid() == 0
    here = Path.cwd()
    os.chdir(tmp_path)
    if root:
        os.seteuid(65_534)
    try:
        with pytest.raises(DecodeError, match="mine: cannot be opened") as caught:
            audio_files(Path("mine"))
    finally:
        if root:
            os.seteuid(0)
        os.chdir(here)
    assert caught.value.reason == "unreadable"


def test_a_path_the_system_refuses_is_unreadable() -> None:
    with pytest.raises(DecodeError, match="File name too long") as caught:
        audio_files(Path("a" * 5_000))
    assert caught.value.reason == "unreadable"
