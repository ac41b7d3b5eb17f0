import os
from pathlib import Path

import pytest

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding
from connectors.doctor.sources import check


def found(*paths: object) -> list[Finding]:
    return list(check(Asked(paths=tuple(map(str, paths))), 3.0))


def test_files_and_folders_that_are_there_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"sound")
    assert found(file, tmp_path, f"watch:{tmp_path}") == [
        Finding("sources", "ok", f"'{file}': a file of 5 bytes"),
        Finding("sources", "ok", f"'{tmp_path}': a folder"),
        Finding("sources", "ok", f"'watch:{tmp_path}': a folder"),
    ]


def test_what_is_not_there_is_a_defect_that_keeps_no_other_from_being_looked_at(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.wav"
    file.touch()
    missing, no_folder, there = found(tmp_path / "b.wav", f"watch:{file}", file)
    assert missing.detail == f"'{tmp_path / 'b.wav'}': there is no such file"
    assert "is a file, not a folder" in no_folder.detail
    assert [each.status for each in (missing, no_folder, there)] == ["broken", "broken", "ok"]


def test_what_this_user_may_not_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    (finding,) = found(tmp_path)
    assert finding.status == "broken"
    assert finding.remedy == f"chmod -R u+rX '{tmp_path}'"
