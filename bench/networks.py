"""Networks of base size with random weights, in folders as published, and their bare loops.

Cost does not depend on what the weights are, so nothing is fetched. The bare loop of a network is
what a user of transformers would write around it: its own input ready on the device, batch after
batch, nothing else.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from connectors import weights
from operators.models import Model, configure, load
from operators.models.pretrained import quiet
from operators.models.wav2vec2 import normalised
from tests.plugins.folders import save_tiny

NAMES = ("logmel", "aisfx", "wav2vec2", "ast", "clap")
TRANSFORMERS = ("wav2vec2", "ast", "clap")
_TRANSFORMER: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
_BASE: dict[str, dict[str, Any]] = {
    "wav2vec2": _TRANSFORMER
    | {
        "conv_dim": (512,) * 7,
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
    },
    "ast": _TRANSFORMER | {"max_length": 1024},
    "clap": {
        "spec_size": 256,
        "num_mel_bins": 64,
        "patch_embeds_hidden_size": 96,
        "hidden_size": 768,
        "depths": [2, 2, 6, 2],
        "num_attention_heads": [4, 8, 16, 32],
        "num_hidden_layers": 4,
    },
}
"""What differs from the tiny networks of the tests: the published base sizes (CLAP: HTS-AT)."""


def save_base(name: str, folder: Path) -> Path:
    """Saves a network of base size; its weights are random."""
    with quiet():
        save_tiny(name, folder, **_BASE[name])
    if name == "clap":  # the tests' extractor hears four seconds, the published one ten
        transformers.ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(folder)
    return folder


def opened(name: str, folder: Path, **options: object) -> Model:
    """A model of this bench: from a base-size folder under ``folder``, or from the cache."""
    if name in TRANSFORMERS:
        options["weights"] = folder / name
    elif name in weights.SOURCES:
        options["weights"] = weights.pull(name)
    return load(name, configure(name, **options))


def bare(name: str, model: Any, windows: Tensor) -> Callable[[], Tensor]:
    """The network alone on what its front end made of windows (n, samples) at its own rate.

    Raises:
        KeyError: a model that is not transformers'.
    """
    ready, network = _FRONT_ENDS[name], model.network
    with torch.inference_mode():
        given = ready(model, windows.to(model.placement.device))

    def step() -> Tensor:
        with torch.inference_mode():
            return _POOLED[name](network, given).to(torch.float32).cpu()

    return step


_FRONT_ENDS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "wav2vec2": lambda model, windows: normalised(windows).to(model.placement.dtype),
    "ast": lambda model, windows: model.spectrograms(windows).to(model.placement.dtype),
    "clap": lambda model, windows: model._mel(windows)[:, None],
}
_POOLED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "wav2vec2": lambda network, given: network(given).last_hidden_state.mean(dim=1),
    "ast": lambda network, given: network(given).pooler_output,
    "clap": lambda network, given: (
        network.get_audio_features(
            given, is_longer=torch.zeros(len(given), 1, dtype=torch.bool, device=given.device)
        ).pooler_output
    ),
}
