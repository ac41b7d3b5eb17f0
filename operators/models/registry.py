"""A registry of things by name that imports none of them before it is asked to."""

import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from operators.models.protocol import ModelConfig, ModelConfigError, UnknownModelError


class Registry:
    """Classes by name; each has a ``config_type`` and is made from one such configuration.

    Args:
        entries: "module:Class" by name.
    """

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries = entries

    def configure(self, name: str, **options: object) -> ModelConfig:
        """Builds the configuration of an entry from plain options, as settings deliver them.

        Raises:
            UnknownModelError: no such name.
            ModelConfigError: an option or a value that the entry does not have.
        """
        config_type = self.class_of(name).config_type
        known = [field.name for field in fields(config_type)]
        for option in options:
            if option not in known:
                raise ModelConfigError(
                    f"model {name!r} has no option {option!r}: it has {', '.join(known)}"
                )
        return cast("ModelConfig", config_type(**options))

    def load(self, name: str, config: ModelConfig | None = None) -> Any:
        """Makes an entry from a configuration of its own kind; None means the defaults.

        Raises:
            UnknownModelError: no such name.
            ModelConfigError: a configuration of another entry.
            ModelError: what the entry itself raises.
        """
        made = self.class_of(name)
        config = made.config_type() if config is None else config
        if not isinstance(config, made.config_type):
            raise ModelConfigError(f"model {name!r} was given a {type(config).__name__}")
        return made(config)

    def class_of(self, name: str) -> Any:
        """Imports the class of an entry.

        Raises:
            UnknownModelError: no such name.
        """
        if name not in self._entries:
            raise UnknownModelError(name, tuple(sorted(self._entries)))
        module, _, attribute = self._entries[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
