import shutil
from pathlib import Path

import pytest

from tests.plugins.gama import save_tiny_gama


@pytest.fixture(scope="session")
def tiny_gama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the published layout, saved once; take ``copy`` to change something in it."""
    return save_tiny_gama(tmp_path_factory.mktemp("tiny") / "gama")


@pytest.fixture
def copy(tiny_gama: Path, tmp_path: Path) -> Path:
    """A folder of one's own."""
    return Path(shutil.copytree(tiny_gama, tmp_path / "gama"))
