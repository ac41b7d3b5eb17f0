"""A model's weights on disk: a folder with a safetensors file and the manifest that vouches for it.

Invariant: bytes are handed out only after all of them have been checked against the manifest, so
that what was checked is what is parsed. Where the folder lies, and how it came to be there, is not
known here; no framework is imported.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from operators.models.protocol import BadWeightsError, WeightsMissingError

MANIFEST = "manifest.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a folder of weights and where it came from.

    Attributes:
        model: name of the model it belongs to.
        recipe: how the tensors were prepared; the model asks for the one it was written for.
        file, size_bytes, sha256: the safetensors file.
        source, source_sha256, licence: what it was made from, and on what terms.
        trained: False for random weights.
    """

    model: str
    recipe: str
    file: str
    size_bytes: int
    sha256: str
    source: str
    source_sha256: str
    licence: str
    trained: bool = True
    version: int = _VERSION

    def to_json(self) -> str:
        """The manifest as it is written to disk."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def packed(
    content: bytes,
    notice: str,
    *,
    model: str,
    recipe: str,
    file: str,
    source: str,
    source_sha256: str,
    licence: str,
) -> dict[str, bytes]:
    """The files of a folder of weights, by name: them, their notice, and the manifest."""
    manifest = Manifest(
        model=model,
        recipe=recipe,
        file=file,
        size_bytes=len(content),
        sha256=sha256(content),
        source=source,
        source_sha256=source_sha256,
        licence=licence,
    )
    return {file: content, "NOTICE": notice.encode(), MANIFEST: manifest.to_json().encode()}


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def read_manifest(model: str, folder: Path, recipe: str) -> Manifest:
    """Reads the manifest of a folder of weights.

    Raises:
        WeightsMissingError: there is no such folder, or nothing complete in it.
        BadWeightsError: the manifest cannot be read, or was made for another recipe.
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        raise WeightsMissingError(model, folder) from None
    except (OSError, ValueError, TypeError) as error:
        raise BadWeightsError(model, path, f"unreadable manifest ({error})") from error
    found = (manifest.version, manifest.model, manifest.recipe)
    if found != (_VERSION, model, recipe):
        raise BadWeightsError(
            model, path, f"made for {found[1]} {found[2]!r}, this version needs {model} {recipe!r}"
        )
    return manifest


def read_verified(folder: Path, manifest: Manifest) -> bytes:
    """Reads the file that a manifest describes and checks it.

    Raises:
        BadWeightsError: the file is missing or damaged.
    """
    path = folder / manifest.file
    try:
        content = path.read_bytes()
    except OSError as error:
        detail = error.strerror or str(error)
        raise BadWeightsError(manifest.model, path, f"cannot be read ({detail})") from error
    if sha256(content) != manifest.sha256:
        sizes = f"{len(content)} bytes, expected {manifest.size_bytes}"
        raise BadWeightsError(manifest.model, path, f"damaged ({sizes}; the checksum differs)")
    return content
