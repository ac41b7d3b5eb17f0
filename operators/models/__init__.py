"""The models by name: a lazy registry, so that naming a model imports no framework.

A model is one file beside this one and one line in ``MODELS``: a class with the members of
:class:`Model`, a class attribute ``config_type``, and a constructor that takes one such
configuration. A model reads the folder of weights that its configuration names; where such folders
live and how they are filled is not known here.
"""

from typing import cast

from operators.models.protocol import Model, ModelConfig, ModelError
from operators.models.registry import Registry

MODELS: dict[str, str] = {
    "aisfx": "operators.models.aisfx:Aisfx",
    "aisfx_plain": "operators.models.aisfx_plain:AisfxPlain",
    "ast": "operators.models.ast:Ast",
    "clap": "operators.models.clap:Clap",
    "data2vec": "operators.models.wav2vec2:Data2vec",
    "hubert": "operators.models.wav2vec2:Hubert",
    "logmel": "operators.models.logmel:Logmel",
    "wav2vec2": "operators.models.wav2vec2:Wav2vec2",
    "wavlm": "operators.models.wav2vec2:Wavlm",
}
DEFAULT_MODEL = "aisfx"

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "Model",
    "ModelConfig",
    "ModelError",
    "configure",
    "load",
    "reads_text",
]


_REGISTRY = Registry(MODELS)


def configure(name: str, **options: object) -> ModelConfig:
    """Builds the configuration of a model from plain options, as settings deliver them.

    Args:
        name: a name in ``MODELS``.
        options: fields of the model's configuration, such as ``weights`` or ``threads``.

    Raises:
        UnknownModelError: no such model.
        ModelConfigError: an option or a value that this model does not have.
    """
    return _REGISTRY.configure(name, **options)


def load(name: str, config: ModelConfig | None = None) -> Model:
    """Loads a model, ready to embed; takes a second and imports the framework.

    Args:
        name: a name in ``MODELS``.
        config: of the model's own kind (see :func:`configure`); None means the defaults.

    Raises:
        UnknownModelError: no such model.
        ModelConfigError: a configuration of another model.
        WeightsMissingError: the model needs weights and none are where the configuration says.
        BadWeightsError: its weights are damaged.
    """
    return cast("Model", _REGISTRY.load(name, config))


def reads_text(name: str) -> bool:
    """Whether a model embeds words as well; imports it.

    Raises:
        UnknownModelError: no such model.
    """
    return hasattr(_REGISTRY.class_of(name), "embed_text")
