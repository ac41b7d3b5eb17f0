"""Where the weights of models live on this machine, and how they get there.

One folder a model under the user's cache: a safetensors file, a NOTICE, and a manifest with the
checksum. Invariant: a folder appears whole or not at all (built aside, synced, renamed), and any
number of processes may pull at once: one works, the others wait and find it done. What the tensors
mean is the models' business; see :mod:`operators.models`.
"""

import fcntl
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import platformdirs

from connectors.wheel import DownloadError
from operators.models import MODELS, artefact
from operators.models.describers import DESCRIBERS
from operators.models.protocol import (
    BadWeightsError,
    ModelError,
    UnknownModelError,
    WeightsMissingError,
    pull_command,
)

SOURCES: dict[str, str] = {
    "aisfx": "connectors.aisfx_checkpoint",
    "silero": "connectors.silero",
}
"""Modules that build a model's folder (``RECIPE``, ``build``)."""
WEIGHTLESS = frozenset({"logmel"})
"""Models that need no weights; who is named nowhere here reads a folder that people bring."""
SHARED: dict[str, str] = {"aisfx_plain": "aisfx"}
"""Models that read the folder of another one."""

Progress: TypeAlias = Callable[[str], None]
State: TypeAlias = Literal["ready", "missing", "damaged", "not needed"]


class PullError(ModelError):
    """Weights could not be fetched or stored; the message is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is known about the weights of a model.

    Attributes:
        state: "ready" (verified), "missing", "damaged" (or made for another version), "not needed".
        folder: where they are, or would be; None where none are needed.
        detail: one line: their source, or what is wrong and the command that mends it.
    """

    name: str
    state: State
    folder: Path | None
    detail: str


def find(name: str, *, cache_dir: Path | None = None) -> Path | None:
    """Finds the folder to hand to ``operators.models.configure(name, weights=...)``.

    Nothing is verified here: loading verifies. None means that nothing was pulled, or that the
    model needs nothing; in the first case loading says so.

    Args:
        name: a name in the registry of models.
        cache_dir: instead of the user's cache folder of grym.

    Raises:
        UnknownModelError: no such model.
    """
    folder = _folder(name, cache_dir)
    return folder if folder is not None and folder.is_dir() else None


def status(name: str, *, cache_dir: Path | None = None) -> Status:
    """Verifies the weights of a model; reads every byte of them.

    Raises:
        UnknownModelError: no such model.
    """
    folder, owner = _folder(name, cache_dir), SHARED.get(name, name)
    if name in WEIGHTLESS:
        return Status(name, "not needed", None, "computed from the signal alone, nothing to pull")
    if folder is None:
        return Status(name, "missing", None, yours(name))
    try:
        manifest = artefact.read_manifest(owner, folder, _source(owner).RECIPE)
        artefact.read_verified(folder, manifest)
    except WeightsMissingError as error:
        return Status(name, "missing", folder, str(error))
    except BadWeightsError as error:
        return Status(name, "damaged", folder, str(error))
    return Status(name, "ready", folder, f"from {manifest.source}, {manifest.licence}")


def pull(
    name: str, *, cache_dir: Path | None = None, progress: Progress | None = None
) -> Path | None:
    """Fetches the weights of a model, unless they are there and whole.

    Args:
        name: a name in the registry of models.
        cache_dir: instead of the user's cache folder of grym.
        progress: told what is being done, one line at a time.

    Returns:
        The folder, or None for a model that needs no weights.

    Raises:
        UnknownModelError: no such model.
        PullError: the download or the disk failed; what was there before is left alone.
    """
    tell: Progress = progress or _silent
    folder, name = _folder(name, cache_dir), SHARED.get(name, name)
    if name in WEIGHTLESS:
        tell(f"model {name!r} needs no weights")
        return None
    if folder is None:
        raise PullError(f"the weights of {name!r} are not pulled: {yours(name)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder, tell):
            _pull_locked(name, folder, cache_dir, tell)
    except DownloadError as error:
        remedy = f"check the network and pip's settings, then run `{pull_command(name)}`"
        raise PullError(f"{error}: {remedy}") from error
    except OSError as error:
        detail = error.strerror or str(error)
        raise PullError(
            f"{folder}: the weights of {name!r} could not be stored ({detail}): make room or "
            f"permit writing there, then run `{pull_command(name)}`"
        ) from error
    return folder


def _pull_locked(name: str, folder: Path, cache_dir: Path | None, tell: Progress) -> None:
    found = status(name, cache_dir=cache_dir)
    if found.state == "ready":
        tell(f"{folder}: complete ({found.detail})")
        return
    if found.state == "damaged":
        tell(found.detail.rpartition(": ")[0] + ": fetching it again")
    for leftover in folder.parent.glob(f".{name}-*"):
        shutil.rmtree(leftover)
    aside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        for file, content in _source(name).build(aside, tell).items():
            _write(aside / file, content)
        _publish(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    tell(f"{folder}: pulled and verified")


def _publish(aside: Path, folder: Path) -> None:
    """Puts a finished folder in its place; an older one goes first, in one rename."""
    aside.chmod(0o755)
    _sync(aside)
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        folder.rename(old / "old")
        aside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        aside.rename(folder)
    _sync(folder.parent)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sync(folder: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path, tell: Progress) -> Iterator[None]:
    """Holds the lock of a model's folder among processes; the system frees it if we die."""
    with (folder.parent / f".{folder.name}.lock").open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waiting: another process is pulling into {folder}")
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _folder(name: str, cache_dir: Path | None) -> Path | None:
    known = {*MODELS, *DESCRIBERS, *SOURCES}  # whoever describes or tags has weights, too
    if name not in known:
        raise UnknownModelError(name, tuple(sorted(known)))
    owner = SHARED.get(name, name)
    if owner not in SOURCES:
        return None
    root = platformdirs.user_cache_path("grym") if cache_dir is None else cache_dir
    return root / "models" / owner


def _source(name: str) -> Any:
    return importlib.import_module(SOURCES[name])


def yours(name: str) -> str:
    """What to do for a model whose weights people bring."""
    return f'set path of [models.{name}] to a folder, or to "owner/name" on the hub'


def _silent(_line: str) -> None:
    """Tells nobody."""
