"""The models by name: a lazy registry, so that naming a model imports no framework.

A model is one file beside this one and one line in ``MODELS``: a class with the members of
:class:`Model`, a class attribute ``config_type``, and a constructor that takes one such
configuration. A model reads the folder of weights that its configuration names; where such folders
live and how they are filled is not known here.
"""

import importlib
from dataclasses import fields
from typing import Any, cast

from operators.models.protocol import (
    Model,
    ModelConfig,
    ModelConfigError,
    ModelError,
    UnknownModelError,
)

MODELS: dict[str, str] = {
    "aisfx": "operators.models.aisfx:Aisfx",
    "logmel": "operators.models.logmel:Logmel",
}
DEFAULT_MODEL = "aisfx"

__all__ = ["DEFAULT_MODEL", "MODELS", "Model", "ModelConfig", "ModelError", "configure", "load"]


def configure(name: str, **options: object) -> ModelConfig:
    """Builds the configuration of a model from plain options, as settings deliver them.

    Args:
        name: a name in ``MODELS``.
        options: fields of the model's configuration, such as ``weights`` or ``threads``.

    Raises:
        UnknownModelError: no such model.
        ModelConfigError: an option or a value that this model does not have.
    """
    config_type = _class_of(name).config_type
    known = [field.name for field in fields(config_type)]
    for option in options:
        if option not in known:
            raise ModelConfigError(
                f"model {name!r} has no option {option!r}: it has {', '.join(known)}"
            )
    return cast("ModelConfig", config_type(**options))


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
    model_type = _class_of(name)
    config = model_type.config_type() if config is None else config
    if not isinstance(config, model_type.config_type):
        raise ModelConfigError(f"model {name!r} was given a {type(config).__name__}")
    return cast("Model", model_type(config))


def _class_of(name: str) -> Any:
    if name not in MODELS:
        raise UnknownModelError(name, tuple(sorted(MODELS)))
    module, _, attribute = MODELS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
