"""The models that describe sounds in words, by name; naming one imports no framework.

A describer is a class with the members of
:class:`operators.models.protocol.AudioLanguageModel`, a class attribute ``config_type``, and a
constructor that takes one such configuration. It reads the folder of weights that its
configuration names.
"""

from typing import cast

from operators.models.protocol import AudioLanguageModel, ModelConfig
from operators.models.registry import Registry

DESCRIBERS: dict[str, str] = {
    "audio_flamingo3": "operators.models.audio_language:AudioFlamingo3",
    "gama": "operators.models.gama:Gama",
    "qwen2_audio": "operators.models.audio_language:Qwen2Audio",
}
_REGISTRY = Registry(DESCRIBERS)


def configure_describer(name: str, **options: object) -> ModelConfig:
    """Builds the configuration of a describer from plain options.

    Args:
        name: a name in ``DESCRIBERS``.
        options: fields of its configuration, such as ``weights`` or ``max_new_tokens``.

    Raises:
        UnknownModelError: no such describer.
        ModelConfigError: an option or a value that this describer does not have.
    """
    return _REGISTRY.configure(name, **options)


def load_describer(name: str, config: ModelConfig | None = None) -> AudioLanguageModel:
    """Loads a describer, ready to listen; minutes for a large one.

    Args:
        name: a name in ``DESCRIBERS``.
        config: of the describer's own kind; None means the defaults.

    Raises:
        UnknownModelError: no such describer.
        ModelConfigError: a configuration of another describer.
        WeightsMissingError: no folder was given, or files are missing in it.
        BadWeightsError: its weights are damaged, incomplete, or another model's.
    """
    return cast("AudioLanguageModel", _REGISTRY.load(name, config))
