"""Which Python runs this."""

import sys
from collections.abc import Iterator

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding

LEAST, BELOW = (3, 11), (3, 13)


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """Whether grym runs on this version."""
    del asked, patience_s
    version = ".".join(str(part) for part in sys.version_info[:3])
    detail = f"{version}, {sys.executable}"
    if LEAST <= sys.version_info[:2] < BELOW:
        yield Finding("python", "ok", detail)
        return
    needed = "grym needs 3.11 or 3.12"
    yield Finding("python", "broken", f"{detail}: {needed}", "make install PYTHON=python3.11")
