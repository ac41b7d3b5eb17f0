"""Maps between vector spaces on disk, beside the store whose windows they were fitted on.

One safetensors file a pair of spaces, named after both: the numbers as tensors, the rest as text in
the file's header. Invariant: a file appears whole or not at all and replaces its predecessor in one
rename; a file of another version, or of other spaces than its name says, is refused.
"""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import platformdirs
import safetensors
import safetensors.numpy

from connectors.milvus.errors import StoreError, StoreUnwritable
from connectors.milvus.pairs import read_pairs, resolve
from connectors.milvus.process import embedded_path, make_writable, state_dir
from connectors.milvus.reader import Reader
from operators.projection import VERSION, HeldOut, Projection, ProjectionError, fit

_ARROW = "--"
"""Between two spaces in a file's name; no space's name holds it."""


class ProjectionMissing(StoreError):  # noqa: N818  # named by what it says
    """No map between these spaces has been fitted; the text says how to fit it."""


def project(uri: str, one: str, other: str, *, token: str | None = None) -> tuple[Projection, Path]:
    """Fits a map between two spaces on the windows that both heard, and keeps it.

    Args:
        uri: the store.
        one: space, or name of the model, to map from.
        other: space, or name of the model, to map into.
        token: for a server that asks for one.

    Returns:
        The map, with its held-out error, and the file it was written to.

    Raises:
        StoreError: the store cannot be read, holds no such space, or its folder not be written.
        ProjectionError: the two share too few windows, or are one.
    """
    reader = Reader(uri, token)
    try:
        from_space, to_space = resolve(reader, one), resolve(reader, other)
        if from_space == to_space:
            raise ProjectionError(f"{from_space} twice: name two spaces, or models, to map between")
        pairs = read_pairs(reader, from_space, to_space)
    finally:
        reader.close()
    fitted = fit(pairs.x, pairs.y, pairs.groups, from_space=from_space, to_space=to_space)
    return fitted, save(folder_of(uri), fitted)


def find(uri: str, from_space: str, into: str, *, token: str | None = None) -> Projection:
    """The map from a space into another one of the store, as search needs it.

    Args:
        uri: the store.
        from_space: the space of the vectors at hand.
        into: space, or name of the model, to search in.
        token: for a server that asks for one.

    Raises:
        StoreError: the store cannot be read, or holds no such space.
        ProjectionMissing: no such map was fitted.
        ProjectionError: the file is damaged.
    """
    reader = Reader(uri, token)
    try:
        to_space = resolve(reader, into)
    finally:
        reader.close()
    return read(folder_of(uri), from_space, to_space)


def folder_of(uri: str) -> Path:
    """Where the maps of a store lie: beside an embedded one, for a server in the user's data."""
    path = embedded_path(uri)
    if path is not None:
        return state_dir(path) / "projections"
    name = hashlib.blake2b(uri.encode(), digest_size=8).hexdigest()
    return platformdirs.user_data_path("grym", appauthor=False) / "projections" / name


def save(folder: Path, projection: Projection) -> Path:
    """Writes a map, in place of an older one between the same spaces.

    Raises:
        StoreUnwritable: the folder cannot be written.
    """
    make_writable(folder, f"projections {folder}")
    path = _path(folder, projection.from_space, projection.to_space)
    about = {
        "version": VERSION,
        "from_space": projection.from_space,
        "to_space": projection.to_space,
        "penalty": projection.penalty,
        "held_out": asdict(projection.held_out),
    }
    content = safetensors.numpy.save(
        {"matrix": projection.matrix, "offset": projection.offset}, {"grym": json.dumps(about)}
    )
    aside = folder / f".{path.name}.{os.getpid()}"
    try:
        with aside.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreUnwritable(
            f"cannot write {path}: {error.strerror}; make room or permit writing there"
        ) from error
    return path


def read(folder: Path, from_space: str, to_space: str) -> Projection:
    """Reads the map between two spaces.

    Raises:
        ProjectionMissing: it was never fitted; the text names those that were.
        ProjectionError: the file is damaged, or another version made it.
    """
    path = _path(folder, from_space, to_space)
    fit_it = f"`grym models project {from_space} {to_space}`"
    if not path.is_file():
        there = ", ".join(" -> ".join(pair) for pair in stored(folder)) or "none"
        raise ProjectionMissing(
            f"there is no map from {from_space} to {to_space} (there: {there}): fit it with "
            f"{fit_it} after listening with both models at once"
        )
    try:
        with safetensors.safe_open(path, framework="numpy") as opened:
            about = json.loads(opened.metadata()["grym"])
            matrix, offset = opened.get_tensor("matrix"), opened.get_tensor("offset")
        version = about.pop("version")
        held_out = HeldOut(**about.pop("held_out"))
        found = Projection(matrix=matrix, offset=offset, held_out=held_out, **about)
    except (OSError, ValueError, TypeError, KeyError, safetensors.SafetensorError) as error:
        raise ProjectionError(f"{path}: damaged ({error}): fit it again with {fit_it}") from error
    if version != VERSION or (found.from_space, found.to_space) != (from_space, to_space):
        raise ProjectionError(
            f"{path}: version {version} of {found.from_space} -> {found.to_space}, this grym "
            f"reads version {VERSION} of {from_space} -> {to_space}: fit it again with {fit_it}"
        )
    shapes = (matrix.shape, offset.shape)
    dimensions = (_dimension(from_space), _dimension(to_space))
    finite = np.isfinite(matrix).all() and np.isfinite(offset).all()
    if shapes != (dimensions, dimensions[1:]) or not finite:
        raise ProjectionError(f"{path}: damaged (numbers): fit it again with {fit_it}")
    return found


def stored(folder: Path) -> list[tuple[str, str]]:
    """The pairs of spaces between which a map lies in a folder, sorted."""
    pairs = (path.stem.partition(_ARROW) for path in folder.glob(f"*{_ARROW}*.safetensors"))
    return sorted((one, other) for one, _, other in pairs)


def _path(folder: Path, from_space: str, to_space: str) -> Path:
    return folder / f"{from_space}{_ARROW}{to_space}.safetensors"


def _dimension(space: str) -> int:
    return int(space.rpartition("-")[2])
