"""Reads the network of an opened folder, and takes its fingerprint.

Weights are safetensors, or a ``.bin`` that is read as tensors only, never as a program.

Invariant: the network is the folder's to the last tensor that embedding uses, or it is refused.
Heads of other tasks may be there or not. The fingerprint is taken over the tensors in float32, in
the order in which the network holds them and under no names: two that change places make another
space, but neither the file format, nor the heads, nor the names that a version of transformers
gives its modules do.
"""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils import parametrize

from operators.models.pretrained import CONFIG, Folder, first_line, quiet

_DERIVED = ("num_batches_tracked", "position_ids", "relative_position_index", "token_type_ids")
"""Last names of tensors that follow from the configuration: some versions of transformers saved
them and some did not."""
_POINTER = b"version https://git-lfs"


def load_network(folder: Folder) -> Any:
    """Reads the weights: the network on the processor in float32, ready to infer.

    Raises:
        BadWeightsError: damaged, or not what the configuration describes.
    """
    architecture = folder.architecture
    try:
        with quiet():
            network, info = architecture.network.from_pretrained(
                folder.path,
                config=folder.config,
                dtype=torch.float32,
                local_files_only=True,
                weights_only=True,
                ignore_mismatched_sizes=True,  # reported below, with names
                output_loading_info=True,
            )
    except Exception as error:  # safetensors, pickle, zip and torch each say no in their own way
        raise folder.bad(folder.weights.name, _reason(folder.weights, error)) from error
    problem = _misfit(network, info, architecture.idle)
    if problem:
        raise folder.bad(folder.weights.name, problem)
    return network.requires_grad_(False)


def fingerprint(network: Any, folder: Folder, recipe: str) -> str:
    """Eight hexadecimal digits over everything that decides a vector.

    Args:
        network: in float32; what was cut away does not count.
        folder: whose it is.
        recipe: the front end and the pooling, in words.
    """
    architecture = folder.architecture
    settings = [f"{field}={_field(folder.config, field)}" for field in architecture.decisive]
    digest = hashlib.blake2b("|".join([recipe, *settings]).encode(), digest_size=4)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and name not in architecture.idle:
            digest.update(_digest(tensor))
    return digest.hexdigest()


def fuse(network: Any) -> None:
    """Computes parametrised weights (weight norm) once instead of at every call."""
    for module in network.modules():
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)


def _misfit(network: Any, info: Mapping[str, Any], idle: tuple[str, ...]) -> str:
    """What is wrong with the tensors that were found; empty if nothing is.

    An unexpected tensor is a head's, unless it stands within a part that the network has: then
    the configuration describes another network than the weights are of.
    """
    lacking = sorted(
        name for name in info["missing_keys"] if name not in idle and not _derived(name)
    )
    if lacking:
        return f"lacks {len(lacking)} tensors, {lacking[0]} among them"
    if info["mismatched_keys"]:
        name, found, wanted = sorted(info["mismatched_keys"])[0]
        return f"{name} has shape {tuple(found)}, {CONFIG} says {tuple(wanted)}"
    parts = {name for name, _ in network.named_children()}
    strange = sorted(
        name
        for name in info["unexpected_keys"]
        if name.partition(".")[0] in parts and not _derived(name)
    )
    return f"holds {strange[0]}, which {CONFIG} does not know" if strange else ""


def _derived(name: str) -> bool:
    return name.rpartition(".")[2] in _DERIVED


def _reason(file: Path, error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "is no file of tensors, or holds more than tensors, which is never run"
    if file.is_file():
        with file.open("rb") as opened:
            if opened.read(len(_POINTER)) == _POINTER:
                return "is a pointer of Git LFS, not the file (`git lfs pull` fetches it)"
    return f"cannot be read ({first_line(error)})"


def _field(config: Any, path: str) -> object:
    for part in path.split("."):
        config = getattr(config, part, None)
    return list(config) if isinstance(config, tuple) else config


def _digest(tensor: torch.Tensor) -> bytes:
    digest = hashlib.blake2b(repr(tuple(tensor.shape)).encode(), digest_size=16)
    values: Any = tensor.to(torch.float32).contiguous().reshape(-1).numpy()
    digest.update(values)
    return digest.digest()
