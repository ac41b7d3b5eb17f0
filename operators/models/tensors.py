"""Tensors to and from the safetensors format: numbers with names and shapes, nothing executable."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from operators.models.artefact import Manifest, read_verified
from operators.models.protocol import BadWeightsError


def encode(tensors: Mapping[str, Tensor]) -> bytes:
    """Serialises tensors in the safetensors format."""
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})


def read_tensors(folder: Path, manifest: Manifest) -> dict[str, Tensor]:
    """Reads and verifies the tensors that a manifest describes.

    Raises:
        BadWeightsError: the file is missing, damaged, or no safetensors file.
    """
    content = read_verified(folder, manifest)
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        path = folder / manifest.file
        raise BadWeightsError(manifest.model, path, f"no safetensors file ({error})") from error
