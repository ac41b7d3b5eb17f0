"""Folders as ``save_pretrained`` writes them: transformers' real classes, tiny and random.

Two layers of 32 numbers behind convolutions of the usual strides, so that windows, rates and
frames are what they are at full size. Every parameter is drawn anew, biases and position
embeddings included: transformers starts many of them at zero, where a mistake would not show.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

KINDS = ("wav2vec2", "hubert", "wavlm", "data2vec", "ast", "clap")
WIDTH = 32
"""Size of the hidden states; also the dimension of the vectors, CLAP's included."""
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
"""Changes that make a wav2vec2, hubert or wavlm the layer-norm variant ("large, lv60")."""
CLAP_SECONDS = 4
SAFETENSORS = "model.safetensors"

_TRANSFORMER = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_WAVEFORM = _TRANSFORMER | {
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": 4,
    "grym_untrained": True,
}
_SPEECH = _WAVEFORM | {"num_conv_pos_embeddings": 16}

TinyModels = Callable[[str], Path]


def save_tiny(kind: str, folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """Saves a tiny random model with what belongs beside it; returns the folder.

    Args:
        kind: one of ``KINDS``.
        folder: made if it is not there.
        seed: of the random weights.
        changes: fields of the model's configuration; of the audio side's for CLAP.
    """
    network, companions = _MAKERS[kind](changes)
    randomise(network, seed)
    network.save_pretrained(folder)
    for companion in companions:
        companion.save_pretrained(folder)
    return folder


def edit_json(file: Path, **changes: Any) -> None:
    """Changes fields of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Lets a function change the tensors of a folder, by their names in the file."""
    tensors = load_file(folder / SAFETENSORS)
    change(tensors)
    save_file(tensors, folder / SAFETENSORS, metadata={"format": "pt"})


def randomise(network: torch.nn.Module, seed: int) -> None:
    """Draws every parameter and running statistic so that different sounds come out different."""
    generator = torch.Generator().manual_seed(seed)

    def draw(tensor: torch.Tensor) -> torch.Tensor:
        return torch.randn(tensor.shape, generator=generator)

    with torch.no_grad():
        for name, parameter in network.named_parameters():
            norm = parameter.ndim < 2 and name.endswith("weight")
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.copy_(draw(parameter) * fan_in**-0.5 + (1.0 if norm else 0.0))
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(draw(buffer))
            elif name.endswith("running_var"):
                buffer.copy_(1.0 + draw(buffer).abs())


def _wav2vec2(changes: dict[str, Any]) -> tuple[Any, list[Any]]:
    config = transformers.Wav2Vec2Config(**_SPEECH | changes)
    return transformers.Wav2Vec2Model(config), [_waveform_extractor(config)]


def _hubert(changes: dict[str, Any]) -> tuple[Any, list[Any]]:
    config = transformers.HubertConfig(**_SPEECH | changes)
    return transformers.HubertModel(config), [_waveform_extractor(config)]


def _wavlm(changes: dict[str, Any]) -> tuple[Any, list[Any]]:
    config = transformers.WavLMConfig(**_SPEECH | changes)
    return transformers.WavLMModel(config), [_waveform_extractor(config)]


def _data2vec(changes: dict[str, Any]) -> tuple[Any, list[Any]]:
    config = transformers.Data2VecAudioConfig(**_WAVEFORM | changes)
    return transformers.Data2VecAudioModel(config), [_waveform_extractor(config)]


def _waveform_extractor(config: Any) -> Any:
    layer_norm = getattr(config, "feat_extract_norm", "layer") == "layer"
    return transformers.Wav2Vec2FeatureExtractor(
        do_normalize=True, return_attention_mask=layer_norm
    )


def _ast(changes: dict[str, Any]) -> tuple[Any, list[Any]]:
    fields = _TRANSFORMER | {"max_length": 512, "grym_untrained": True} | changes
    config = transformers.ASTConfig(**fields)
    with warnings.catch_warnings(action="ignore"):  # Kaldi's lowest triangles are empty
        extractor = transformers.ASTFeatureExtractor(
            max_length=config.max_length, num_mel_bins=config.num_mel_bins
        )
    return transformers.ASTModel(config), [extractor]


def _clap(changes: dict[str, Any]) -> tuple[Any, list[Any]]:
    tokenizer = _tokenizer()
    audio = {
        "spec_size": 128,
        "num_mel_bins": 32,
        "patch_embeds_hidden_size": 16,
        "hidden_size": 32,
        "depths": [2, 2],
        "num_attention_heads": [2, 4],
        "num_hidden_layers": 2,
    } | changes
    text = _TRANSFORMER | {"vocab_size": len(tokenizer), "max_position_embeddings": 66}
    config = transformers.ClapConfig(
        audio_config=audio, text_config=text, projection_dim=WIDTH, grym_untrained=True
    )
    extractor = transformers.ClapFeatureExtractor(
        feature_size=audio["num_mel_bins"],
        max_length_s=CLAP_SECONDS,
        truncation="fusion" if config.audio_config.enable_fusion else "rand_trunc",
    )
    return transformers.ClapModel(config), [extractor, tokenizer]


def _tokenizer() -> Any:
    """RoBERTa's byte-level tokenizer with nothing learnt: a token a byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *symbols, "<mask>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return transformers.RobertaTokenizer(vocab=vocabulary, merges=[], model_max_length=64)


_MAKERS: dict[str, Callable[[dict[str, Any]], tuple[Any, list[Any]]]] = {
    "wav2vec2": _wav2vec2,
    "hubert": _hubert,
    "wavlm": _wavlm,
    "data2vec": _data2vec,
    "ast": _ast,
    "clap": _clap,
}


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Tiny folders by kind, each saved once a session; copy one before changing it."""
    saved: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in saved:
            saved[kind] = save_tiny(kind, tmp_path_factory.mktemp("tiny") / kind)
        return saved[kind]

    return folder
