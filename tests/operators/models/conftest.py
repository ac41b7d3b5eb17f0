from pathlib import Path

import pytest

from connectors import weights
from operators.models import Model, configure, load


@pytest.fixture(scope="session")
def aisfx_folder() -> Path:
    """The real weights, in the user's cache: `make install` has put them there, or this does."""
    folder = weights.pull("aisfx")
    assert folder is not None
    return folder


@pytest.fixture(scope="session")
def models(aisfx_folder: Path) -> dict[str, Model]:
    """Grym's own models, in the arithmetic that this processor is given by default."""
    return {
        name: load(name, configure(name, weights=folder))
        for name, folder in (
            ("aisfx", aisfx_folder),
            ("aisfx_plain", aisfx_folder),
            ("logmel", None),
        )
    }
